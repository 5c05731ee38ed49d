"""Locking and unlocking: from passphrases to keys and back, without touching a file."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from kalepool.adapters.vault.cost import check_cost, check_new_passphrase, stretch
from kalepool.adapters.vault.document import (
    FARMERS,
    ID_BYTES,
    MAIN,
    OPERATIONAL,
    OPERATIONS,
    Addresses,
    Document,
    Header,
)
from kalepool.adapters.vault.keys import (
    DataKeys,
    Farmers,
    Operational,
    close_document,
    fill_slot,
    header_is_genuine,
    new_slot,
    open_compartment,
    open_slot,
)
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.adapters.vault.cost import Cost
    from kalepool.adapters.vault.document import Slot
    from kalepool.secret import Secret


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A vault opened with the operations passphrase.

    Attributes:
        header: genuine.
        operational: keys of operator and channels.
    """

    header: Header
    operational: Operational


@dataclass(frozen=True, slots=True)
class FullyUnlocked(Unlocked):
    """A vault opened with the main passphrase.

    Attributes:
        stretched: the main passphrase after Argon2id, kept to fill its slot anew.
        keys: both data keys.
        farmers: phrase and keys of the farmers.
    """

    stretched: Secret
    keys: DataKeys
    farmers: Farmers

    def lock(self) -> Document:
        """Encrypt everything under what is in force now."""
        return close_document(self.header, self.keys, self.operational, self.farmers)

    def with_farmers(self, farmers: Farmers) -> Self:
        """Give it with other contents of the farmers' compartment: imported seeds were added."""
        imported = tuple(seed.address for seed in farmers.imported)
        header = replace(self.header, addresses=replace(self.header.addresses, imported=imported))
        return replace(self, header=header, farmers=farmers)

    def with_passphrase(self, passphrase: Secret, cost: Cost) -> Self:
        """Give it under another main passphrase, with a new salt and new data keys.

        The operational data key stays where an operations passphrase holds it too: that one is not here
        to wrap another.

        Raises:
            ConfigError: when passphrase or cost are too weak, or it is the operations passphrase.
        """
        check_cost(cost, self.header.network)
        check_new_passphrase(passphrase, self.header.network)
        keys = DataKeys.fresh()
        operations = self.header.slots.get(OPERATIONS)
        if operations is not None:
            if open_slot(self.header, OPERATIONS, stretch(passphrase, operations.cost, operations.salt)):
                raise _same_passphrase()
            keys = replace(keys, operational=self.keys.operational)
        slot, stretched = new_slot(cost, passphrase)
        filled = fill_slot(self.header, MAIN, slot, stretched, keys)
        header = replace(self.header, slots={**self.header.slots, MAIN: filled})
        return replace(self, header=header, stretched=stretched, keys=keys)

    def with_operations(self, passphrase: Secret | None) -> Self:
        """Give it with another operations passphrase, or none, and a new operational data key.

        Raises:
            ConfigError: when the passphrase is too weak, or the main one.
        """
        main = self.header.slots[MAIN]
        keys = replace(self.keys, operational=DataKeys.fresh().operational)
        slots: dict[str, Slot] = {MAIN: fill_slot(self.header, MAIN, main, self.stretched, keys)}
        if passphrase is not None:
            check_new_passphrase(passphrase, self.header.network)
            if stretch(passphrase, main.cost, main.salt) == self.stretched:
                raise _same_passphrase()
            slot, stretched = new_slot(main.cost, passphrase)
            slots[OPERATIONS] = fill_slot(self.header, OPERATIONS, slot, stretched, keys)
        return replace(self, header=replace(self.header, slots=slots), keys=keys)


def lock_new(
    network: str,
    passphrase: Secret,
    cost: Cost,
    operational: Operational,
    farmers: Farmers,
    *,
    imported: bool,
) -> FullyUnlocked:
    """Put keys under a first passphrase.

    Args:
        network: name.
        passphrase: the main one.
        cost: of trying it.
        operational: keys of operator and channels.
        farmers: phrase and keys of the farmers.
        imported: whether the operator's seed is not derived.

    Raises:
        ConfigError: when passphrase or cost are too weak.
    """
    check_cost(cost, network)
    check_new_passphrase(passphrase, network)
    addresses = Addresses(
        operator=operational.operator.address,
        channels=tuple(seed.address for seed in operational.channels),
        operator_imported=imported,
    )
    header = Header(secrets.token_bytes(ID_BYTES), network, addresses, {})
    keys = DataKeys.fresh()
    slot, stretched = new_slot(cost, passphrase)
    header = replace(header, slots={MAIN: fill_slot(header, MAIN, slot, stretched, keys)})
    return FullyUnlocked(header, operational, stretched, keys, farmers)


def unlock(document: Document, passphrase: Secret, path: Path) -> Unlocked:
    """Open a document with either of its passphrases.

    Every slot is always tried, so that a wrong passphrase takes as long as a right one.

    Raises:
        ConfigError: when the passphrase is wrong, or the document is not what was locked.
    """
    header = document.header
    stretched = {name: stretch(passphrase, slot.cost, slot.salt) for name, slot in header.slots.items()}
    opened = {name: open_slot(header, name, key) for name, key in stretched.items()}
    found = opened[MAIN] or opened.get(OPERATIONS)
    if found is None:
        raise ConfigError(
            f"the passphrase does not open the vault {path}",
            hint="check the passphrase; if it is right beyond doubt, the file was tampered with: restore a backup",
        )
    if not header_is_genuine(document, found[OPERATIONAL]):
        raise _tampered(path, "its header (network, cost, addresses)")
    content = open_compartment(document, OPERATIONAL, found[OPERATIONAL])
    if content is None:
        raise _tampered(path, "the box of the operator's and the channels' keys")
    operational = Operational.unpack(content)
    if opened[MAIN] is None:
        return Unlocked(header, operational)
    content = open_compartment(document, FARMERS, found[FARMERS])
    if content is None:
        raise _tampered(path, "the box of the farmers' keys")
    keys = DataKeys(found[OPERATIONAL], found[FARMERS])
    return FullyUnlocked(header, operational, stretched[MAIN], keys, Farmers.unpack(content))


def _tampered(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"the vault {path} was tampered with or is damaged: {what} is not what was locked",
        hint="restore the file from a backup, and find out who can write to it",
    )


def _same_passphrase() -> ConfigError:
    return ConfigError(
        "main and operations passphrase are the same",
        hint="they must differ: the operations passphrase is for places that must not open everything",
    )
