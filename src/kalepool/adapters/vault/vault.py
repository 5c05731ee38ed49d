"""The vault: keys that sign and never leave, in one file."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Self

from kalepool.adapters.vault.cost import floor
from kalepool.adapters.vault.derivation import (
    ENTROPY_BYTES,
    channel_account,
    entropy_of,
    phrase_of,
    wallet_account,
)
from kalepool.adapters.vault.document import MAIN, OPERATIONS, Addresses, Document, parse
from kalepool.adapters.vault.keys import Farmers
from kalepool.adapters.vault.locks import FullyUnlocked, Unlocked, lock_new, unlock
from kalepool.adapters.vault.seed import Seed, parse_seed, written_seed
from kalepool.core.address import raw_key
from kalepool.errors import ConfigError, InternalError, UsageError
from kalepool.private_files import UnconfirmedError, read_private, write_private
from kalepool.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kalepool.adapters.vault.cost import Cost

_WHAT = "the vault"
_SEARCHED_WALLETS = 10_000
_LINK_BYTES = 32


class Vault:
    """A vault that has been unlocked, with the main passphrase or with the operations passphrase.

    Made by ``create`` and ``open``. With the operations passphrase it signs for operator and channels
    and links the audit log; farmers' keys, the recovery phrase and the seal over terms stay shut.
    """

    def __init__(self, path: Path, written: bytes, unlocked: Unlocked) -> None:
        self._path = path
        self._written = written  # what the file holds, as far as we know
        self._unlocked = unlocked
        self._wallets: dict[str, int] = {}  # index by address, of those met
        self._searched = 0

    def __repr__(self) -> str:
        return f"<vault of {self.operator}>"

    # Coming and going

    @staticmethod
    def new_phrase() -> Secret:
        """Give 24 new random words, to be shown to their owner before a vault is made of them."""
        return phrase_of(Secret(secrets.token_bytes(ENTROPY_BYTES)))

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        network: str,
        passphrase: Secret,
        operations_passphrase: Secret | None = None,
        phrase: Secret | None = None,
        operator_seed: Secret | None = None,
        cost: Cost | None = None,
    ) -> Self:
        """Make a vault file; its recovery phrase is then to be had from ``recovery_phrase``.

        Args:
            path: where no file may be yet.
            network: name; anything but ``local`` takes at least Argon2id MODERATE.
            passphrase: opens everything.
            operations_passphrase: opens operator and channels alone; None for no such passphrase.
            phrase: 24 words to restore from; None for new random ones.
            operator_seed: S... of an operator's account that is not to be derived.
            cost: of trying a passphrase; None for the least allowed on this network.

        Raises:
            ConfigError: when there is a file, it cannot be written, or a passphrase or cost is too weak.
            UsageError: when phrase or seed are malformed.
        """
        entropy = Secret(secrets.token_bytes(ENTROPY_BYTES)) if phrase is None else entropy_of(phrase)
        farmers = Farmers(entropy, ())
        operator = None if operator_seed is None else parse_seed(operator_seed)
        unlocked = lock_new(
            network,
            passphrase,
            floor(network) if cost is None else cost,
            farmers.operational(operator),
            farmers,
            imported=operator is not None,
        )
        if operations_passphrase is not None:
            unlocked = unlocked.with_operations(operations_passphrase)
        data = unlocked.lock().render()
        write_private(path, data, instead_of=None, what=_WHAT)
        return cls(path, data, unlocked)

    @classmethod
    def open(cls, path: Path, *, network: str, passphrase: Secret) -> Self:
        """Unlock a vault with either of its passphrases; ``farmers_unlocked`` says with which.

        A wrong passphrase takes as long as a right one.

        Args:
            path: the vault file, mode 0600.
            network: name of the network at work; the vault must belong to it.
            passphrase: either one.

        Raises:
            ConfigError: when the file cannot be used or the passphrase is wrong.
        """
        data, document = _load(path, network)
        return cls(path, data, unlock(document, passphrase, path))

    @staticmethod
    def peek(path: Path, *, network: str) -> Addresses:
        """Give a vault's addresses without unlocking it: as the file says, not yet authenticated.

        Raises:
            ConfigError: when the file cannot be used.
        """
        return _load(path, network)[1].header.addresses

    @staticmethod
    def costs(path: Path, *, network: str) -> dict[str, Cost]:
        """Give what trying a passphrase costs, by its slot, without unlocking.

        Raises:
            ConfigError: when the file cannot be used, or a cost is under the network's floor.
        """
        slots = _load(path, network)[1].header.slots
        return {name: slot.cost for name, slot in slots.items()}

    # Addresses

    @property
    def addresses(self) -> Addresses:
        """What the vault signs for, farmers' derived wallets apart."""
        return self._unlocked.header.addresses

    @property
    def operator(self) -> str:
        """The operator's G address."""
        return self.addresses.operator

    @property
    def farmers_unlocked(self) -> bool:
        """Whether the main passphrase opened it: farmers' keys, seals and changes are to be had."""
        return isinstance(self._unlocked, FullyUnlocked)

    @property
    def has_operations_passphrase(self) -> bool:
        """Whether there is a second passphrase, which opens operator and channels alone."""
        return OPERATIONS in self._unlocked.header.slots

    def channel(self, number: int) -> str:
        """Give the address of a channel account, 0 to 63.

        Raises:
            UsageError: when there is no such channel.
        """
        channel_account(number)
        return self.addresses.channels[number]

    def wallet(self, index: int) -> str:
        """Give the address of a derived farmer's wallet, from 0.

        Raises:
            ConfigError: when the farmers' keys are not unlocked.
            UsageError: when there can be no such wallet.
        """
        wallet_account(index)
        address = self._fully("a farmer's wallet").farmers.wallet(index).address
        self._wallets[address] = index
        return address

    # Signing and sealing

    def sign(self, address: str, payload: bytes) -> bytes:
        """Sign 32 bytes with an address's key: 64 bytes of ed25519.

        A wallet that ``wallet`` has not been asked for is looked up among the first 10,000, once.

        Raises:
            ConfigError: when the key is not here or not unlocked.
            UsageError: when the address is malformed.
            InternalError: when the payload is not 32 bytes.
        """
        return self._seed(address).sign(payload)

    def seal(self, message: bytes) -> bytes:
        """Give the MAC of terms and payout addresses: 32 bytes of HMAC-SHA256.

        Its key lies with the farmers': who holds the operations passphrase alone can neither move a
        farmer's money nor say where it goes. It comes from the recovery phrase: seals outlive the file.

        Raises:
            ConfigError: when the farmers' keys are not unlocked.
        """
        key = self._fully("the seal over terms and payout addresses").farmers.seal_key
        return hmac.digest(key.reveal(), message, "sha256")

    def seal_holds(self, message: bytes, seal: bytes) -> bool:
        """Tell whether a seal is this vault's over this message.

        Raises:
            ConfigError: when the farmers' keys are not unlocked.
        """
        return hmac.compare_digest(self.seal(message), seal)

    def audit_link(self, previous: bytes, entry: bytes) -> bytes:
        """Give the next link of the audit log: 32 bytes of HMAC-SHA256 over ``previous`` and ``entry``.

        Its key is an operational one, since cron writes to the log too. It comes from the recovery phrase.

        Args:
            previous: the link before, 32 bytes; zeros for the first.
            entry: the canonical bytes of what happened.

        Raises:
            InternalError: when ``previous`` is not 32 bytes.
        """
        if len(previous) != _LINK_BYTES:
            raise InternalError(f"a link of the audit log has {_LINK_BYTES} bytes, not {len(previous)}")
        return hmac.digest(self._unlocked.operational.audit_key.reveal(), previous + entry, "sha256")

    # Changing; all or nothing, in memory and on disk

    def add_imported(self, seeds: Sequence[Secret]) -> list[str]:
        """Store seeds beside the phrase, all or none; give their addresses.

        Args:
            seeds: in their written form, S...

        Raises:
            ConfigError: when the farmers' keys are not unlocked, or the file cannot be written.
            UsageError: when one is malformed, or its key is here already.
        """
        full = self._fully("importing a seed")
        new = [parse_seed(text) for text in seeds]
        known = {self.operator, *self.addresses.channels, *self.addresses.imported, *self._wallets}
        for seed in new:
            if seed.address in known:
                raise UsageError(
                    f"the vault has the key of {seed.address} already",
                    hint="leave it out: nothing was imported",
                )
            known.add(seed.address)
        self._commit(full.with_farmers(full.farmers.with_imported(new)))
        return [seed.address for seed in new]

    def address_of(self, seed: Secret) -> str:
        """Give the G address of a seed in its written form, S...

        Raises:
            UsageError: when it is malformed.
        """
        return parse_seed(seed).address

    def keep(self, seed: Secret) -> str:
        """Store a seed beside the phrase, unless it was imported before; give its address.

        Args:
            seed: in its written form, S...

        Raises:
            ConfigError: when the farmers' keys are not unlocked, or the file cannot be written.
            UsageError: when it is malformed, or its key comes from the recovery phrase.
        """
        self._fully("importing a seed")
        address = self.address_of(seed)
        return address if address in self.addresses.imported else self.add_imported([seed])[0]

    def change_passphrase(self, passphrase: Secret, *, cost: Cost | None = None) -> None:
        """Give the vault another main passphrase, with new salt and data keys.

        An operations passphrase stays as it is, and with it the operational data key. The old passphrase
        still opens old copies of the file.

        Args:
            passphrase: the new one.
            cost: of trying it; None to keep what it costs.

        Raises:
            ConfigError: when the farmers' keys are not unlocked, the passphrase or cost is too weak, or
                the file cannot be written.
        """
        full = self._fully("changing the passphrase")
        self._commit(full.with_passphrase(passphrase, cost or full.header.slots[MAIN].cost))

    def set_operations_passphrase(self, passphrase: Secret | None) -> None:
        """Set, change or (None) take away the passphrase that opens operator and channels alone.

        Raises:
            ConfigError: when the farmers' keys are not unlocked, the passphrase is too weak or the main
                one, or the file cannot be written.
        """
        self._commit(self._fully("changing the operations passphrase").with_operations(passphrase))

    # The two ways out, for `init` and `wallet export` alone

    def recovery_phrase(self) -> Secret:
        """Give the 24 words, to be shown to their owner once.

        Raises:
            ConfigError: when the farmers' keys are not unlocked.
        """
        return phrase_of(self._fully("the recovery phrase").farmers.entropy)

    def export_seed(self, address: str) -> Secret:
        """Give an address's seed in its written form, S..., to be handed to its owner.

        Raises:
            ConfigError: when the farmers' keys are not unlocked, or the key is not here.
            UsageError: when the address is malformed.
        """
        self._fully("exporting a seed")
        return written_seed(self._seed(address))

    # Inside

    def _fully(self, wanted: str) -> FullyUnlocked:
        if not isinstance(self._unlocked, FullyUnlocked):
            raise _shut(f"{wanted} takes the main passphrase")
        return self._unlocked

    def _seed(self, address: str) -> Seed:
        raw_key(address)  # so that a seed given by mistake is refused before it is named in an error
        operational = self._unlocked.operational
        for seed in (operational.operator, *operational.channels):
            if seed.address == address:
                return seed
        if not isinstance(self._unlocked, FullyUnlocked):
            raise _shut(f"no key of {address} is unlocked")
        farmers = self._unlocked.farmers
        for seed in farmers.imported:
            if seed.address == address:
                return seed
        return farmers.wallet(self._find_wallet(farmers, address))

    def _find_wallet(self, farmers: Farmers, address: str) -> int:
        while address not in self._wallets and self._searched < _SEARCHED_WALLETS:
            self._wallets[farmers.wallet(self._searched).address] = self._searched
            self._searched += 1
        if address not in self._wallets:
            raise ConfigError(
                f"the vault holds no key of {address}", hint="is this the vault that goes with this store?"
            )
        return self._wallets[address]

    def _commit(self, unlocked: FullyUnlocked) -> None:
        data = unlocked.lock().render()
        try:
            write_private(self._path, data, instead_of=self._written, what=_WHAT)
        except UnconfirmedError:
            self._written, self._unlocked = data, unlocked  # the new file counts all the same
            raise
        self._written, self._unlocked = data, unlocked


def _shut(message: str) -> ConfigError:
    return ConfigError(
        message, hint="the operations passphrase opens the operator's and the channels' keys alone"
    )


def _load(path: Path, network: str) -> tuple[bytes, Document]:
    data = read_private(path, _WHAT)
    document = parse(data, path)
    belongs = document.header.network
    if belongs != network:
        raise ConfigError(
            f"{_WHAT} {path} belongs to the network {belongs}, not {network}",
            hint="each network has its own vault: choose the other network, or another configuration",
        )
    return data, document
