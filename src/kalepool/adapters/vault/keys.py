"""The vault's secrets in the open: its two compartments, the keys above them, and both as boxes.

Data keys are random. The passphrase of slot ``main`` opens both; that of slot ``operations`` opens the
operational one alone, and nothing in that compartment leads to a farmer's key: the seeds of operator and
channels are kept as such, since the node they derive from would derive the farmers' as well.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kalepool.adapters.vault.box import close_box, new_key, open_box
from kalepool.adapters.vault.cost import SALT_BYTES, Cost, stretch
from kalepool.adapters.vault.derivation import (
    AUDIT_LABEL,
    CHANNELS,
    ENTROPY_BYTES,
    OPERATOR_ACCOUNT,
    SEAL_LABEL,
    account_seed,
    channel_account,
    labelled_key,
    phrase_of,
    root_of,
    stellar_node,
    wallet_account,
)
from kalepool.adapters.vault.document import FARMERS, KEYS_OF, MAIN, OPERATIONAL, Document, Header, Slot
from kalepool.adapters.vault.seed import SEED_BYTES, Seed
from kalepool.errors import InternalError
from kalepool.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

_AUDIT_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Operational:
    """What the operations passphrase opens.

    Attributes:
        audit_key: 32 bytes.
        operator: seed.
        channels: seeds, by number.
    """

    audit_key: Secret
    operator: Seed
    channels: tuple[Seed, ...]

    def pack(self) -> Secret:
        """Give the compartment's bytes: audit key, operator, channels, 32 bytes each."""
        return _joined((self.audit_key, self.operator, *self.channels))

    @staticmethod
    def unpack(content: Secret) -> Operational:
        """Read the compartment's bytes."""
        audit_key, operator, *channels = _parts(content, at_least=2 + CHANNELS)
        return Operational(Secret(audit_key), Seed(operator), tuple(map(Seed, channels)))


class Farmers:
    """What the main passphrase opens besides.

    Args:
        entropy: behind the recovery phrase, 32 bytes.
        imported: seeds, in the order they came.
    """

    def __init__(self, entropy: Secret, imported: Sequence[Seed]) -> None:
        self.entropy = entropy
        self.imported = tuple(imported)
        with phrase_of(entropy) as phrase, root_of(phrase) as root:
            self.node = stellar_node(root)
            self.seal_key = labelled_key(root, SEAL_LABEL)
            self._audit_key = labelled_key(root, AUDIT_LABEL)

    def operational(self, operator: Seed | None = None) -> Operational:
        """Derive the operational compartment; an imported operator takes the place of the derived one."""
        return Operational(
            self._audit_key,
            operator or account_seed(self.node, OPERATOR_ACCOUNT),
            tuple(account_seed(self.node, channel_account(number)) for number in range(CHANNELS)),
        )

    def with_imported(self, seeds: Sequence[Seed]) -> Farmers:
        """Give it with more imported seeds."""
        return Farmers(self.entropy, (*self.imported, *seeds))

    def wallet(self, index: int) -> Seed:
        """Derive a farmer's wallet."""
        return account_seed(self.node, wallet_account(index))

    def pack(self) -> Secret:
        """Give the compartment's bytes: entropy, imported seeds, 32 bytes each."""
        return _joined((self.entropy, *self.imported))

    @staticmethod
    def unpack(content: Secret) -> Farmers:
        """Read the compartment's bytes."""
        entropy, *imported = _parts(content, at_least=1)
        return Farmers(Secret(entropy), tuple(map(Seed, imported)))


@dataclass(frozen=True, slots=True)
class DataKeys:
    """The two data keys, 32 random bytes each."""

    operational: Secret
    farmers: Secret

    @staticmethod
    def fresh() -> DataKeys:
        """Make new ones."""
        return DataKeys(new_key(), new_key())

    def of(self, compartment: str) -> Secret:
        """Give the key of a compartment."""
        return self.farmers if compartment == FARMERS else self.operational


def new_slot(cost: Cost, passphrase: Secret) -> tuple[Slot, Secret]:
    """Make a slot with a new salt, holding no keys yet; give it with the stretched passphrase."""
    salt = secrets.token_bytes(SALT_BYTES)
    return Slot(cost, salt, {}), stretch(passphrase, cost, salt)


def fill_slot(header: Header, name: str, slot: Slot, stretched: Secret, keys: DataKeys) -> Slot:
    """Give a slot with the data keys that belong into it, boxed under the stretched passphrase."""
    return replace(
        slot,
        keys={
            compartment: close_box(
                stretched, keys.of(compartment), header.slot_binding(name, slot, compartment)
            )
            for compartment in KEYS_OF[name]
        },
    )


def open_slot(header: Header, name: str, stretched: Secret) -> dict[str, Secret] | None:
    """Give a slot's data keys; None when the passphrase is another one, or the slot was tampered with."""
    slot = header.slots[name]
    opened = {}
    for compartment in KEYS_OF[name]:
        key = open_box(stretched, slot.keys[compartment], header.slot_binding(name, slot, compartment))
        if key is None:
            return None
        opened[compartment] = key
    return opened


def close_document(header: Header, keys: DataKeys, operational: Operational, farmers: Farmers) -> Document:
    """Encrypt a whole vault, and insist that it opens again to the same: nothing else may reach the disk.

    Raises:
        InternalError: when it does not.
    """
    document = Document(
        header=header,
        header_tag=close_box(keys.operational, Secret(b""), header.encode()),
        operational=close_box(keys.operational, operational.pack(), header.compartment_binding(OPERATIONAL)),
        farmers=close_box(keys.farmers, farmers.pack(), header.compartment_binding(FARMERS)),
    )
    if (
        open_compartment(document, OPERATIONAL, keys.operational) != operational.pack()
        or open_compartment(document, FARMERS, keys.farmers) != farmers.pack()
        or MAIN not in header.slots
    ):
        raise InternalError("a vault was encrypted that does not open again", hint="nothing has been written")
    return document


def open_compartment(document: Document, name: str, key: Secret) -> Secret | None:
    """Decrypt a compartment; None when it, the header or the key is not what belongs together."""
    box = document.farmers if name == FARMERS else document.operational
    return open_box(key, box, document.header.compartment_binding(name))


def header_is_genuine(document: Document, operational_key: Secret) -> bool:
    """Tell whether the header is the one that the vault was closed with."""
    return open_box(operational_key, document.header_tag, document.header.encode()) is not None


def _joined(pieces: Sequence[Secret]) -> Secret:
    return Secret(b"".join(piece.reveal() for piece in pieces))


def _parts(content: Secret, *, at_least: int) -> list[bytes]:
    assert SEED_BYTES == ENTROPY_BYTES == _AUDIT_KEY_BYTES
    count, rest = divmod(len(content), SEED_BYTES)
    if rest or count < at_least:
        raise InternalError("a compartment of the vault has a length that it cannot have")
    whole = content.reveal()
    return [whole[start : start + SEED_BYTES] for start in range(0, len(whole), SEED_BYTES)]
