"""The vault file: what stands in it in clear, what it is bound to, how it is written and read.

A JSON object of these keys, and no others:

``format``        "kalepool vault"
``version``       1
``id``            16 random bytes: ties the pieces of one vault together
``network``       the network's name: it decides the floor of the cost
``addresses``     ``operator``, ``operator_imported``, ``channels``, ``imported``: what the vault signs for
``slots``         ``main`` and perhaps ``operations``: ``passes``, ``memory_bytes``, ``salt`` and ``keys``,
                  the data keys under the passphrase of that slot
``header_tag``    an empty box under the operational data key: authenticates all of the above
``operational``   box: audit key, operator's seed, channels' seeds
``farmers``       box: recovery phrase's entropy, imported seeds
``checksum``      SHA-256 of all of the above: tells damage from a wrong passphrase, stops no one

Bytes are base64. What is authenticated is the canonical form: keys sorted, no space, ASCII.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kalepool.adapters.vault.cost import SALT_BYTES, Cost, check_cost
from kalepool.adapters.vault.derivation import CHANNELS
from kalepool.core.address import is_account, raw_key
from kalepool.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = "kalepool vault"
VERSION = 1
ID_BYTES = 16

MAIN = "main"
OPERATIONS = "operations"
OPERATIONAL = "operational"
FARMERS = "farmers"
KEYS_OF: Final = {MAIN: (OPERATIONAL, FARMERS), OPERATIONS: (OPERATIONAL,)}
"""The data keys that a slot's passphrase opens."""

_RESTORE = "restore the file from a backup, or make it anew from the recovery phrase"
_FIELDS = {
    "format", "version", "id", "network", "addresses", "slots", "header_tag", OPERATIONAL, FARMERS, "checksum",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a vault signs for, farmers' derived wallets apart: those are known by index.

    Attributes:
        operator: G address.
        channels: G addresses, by number.
        imported: G addresses of imported seeds, in the order they came.
        operator_imported: whether the operator's seed was imported, and so is not in the recovery phrase.
    """

    operator: str
    channels: tuple[str, ...]
    imported: tuple[str, ...] = ()
    operator_imported: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A passphrase's place.

    Attributes:
        cost: of trying one.
        salt: 16 bytes.
        keys: data keys by compartment, each in a box under the stretched passphrase.
    """

    cost: Cost
    salt: bytes
    keys: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in clear, and is authenticated once unlocked.

    Attributes:
        vault_id: 16 bytes.
        network: name.
        addresses: what the vault signs for.
        slots: by name; ``main`` is always there.
    """

    vault_id: bytes
    network: str
    addresses: Addresses
    slots: Mapping[str, Slot]

    def encode(self) -> bytes:
        """Give the canonical bytes: what the header's tag and the compartments are bound to."""
        return _canonical(self.as_json())

    def slot_binding(self, name: str, slot: Slot, compartment: str) -> bytes:
        """Give what a wrapped data key is bound to: its place, and the cost of getting there."""
        place = {"slot": name, "compartment": compartment}
        return _canonical(self._identity() | _cost_json(slot) | place)

    def compartment_binding(self, compartment: str) -> bytes:
        """Give what a compartment is bound to: its name, and the whole header with every public key."""
        return _canonical({"compartment": compartment, "header": hashlib.sha256(self.encode()).hexdigest()})

    def as_json(self) -> dict[str, Any]:
        """Give the header as it is written."""
        return self._identity() | {
            "addresses": {
                "operator": self.addresses.operator,
                "operator_imported": self.addresses.operator_imported,
                "channels": list(self.addresses.channels),
                "imported": list(self.addresses.imported),
            },
            "slots": {
                name: _cost_json(slot) | {"keys": {of: _text(box) for of, box in slot.keys.items()}}
                for name, slot in self.slots.items()
            },
        }

    def _identity(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, "id": _text(self.vault_id), "network": self.network}


@dataclass(frozen=True, slots=True)
class Document:
    """A whole vault file.

    Attributes:
        header: in clear.
        header_tag: an empty box, bound to the header.
        operational: box of the operational compartment.
        farmers: box of the farmers' compartment.
    """

    header: Header
    header_tag: bytes
    operational: bytes
    farmers: bytes

    def render(self) -> bytes:
        """Give the file's bytes."""
        body = self.header.as_json() | {
            "header_tag": _text(self.header_tag),
            OPERATIONAL: _text(self.operational),
            FARMERS: _text(self.farmers),
        }
        return (json.dumps(body | {"checksum": _checksum(body)}, indent=1) + "\n").encode("ascii")


def parse(data: bytes, path: Path) -> Document:
    """Read a vault file, as far as that goes without a passphrase.

    Raises:
        ConfigError: when it is cut short, no vault, of a newer version, damaged, or its cost is out of
            bounds; each says which.
    """
    body = _load(data, path)
    checksum = body.pop("checksum")
    if checksum != _checksum(body):
        raise ConfigError(f"the vault {path} is damaged: its checksum is wrong", hint=_RESTORE)
    try:
        header = Header(
            vault_id=_bytes(body["id"], ID_BYTES),
            network=_string(body["network"]),
            addresses=_addresses(body["addresses"]),
            slots=_slots(body["slots"]),
        )
        document = Document(
            header, _bytes(body["header_tag"]), _bytes(body[OPERATIONAL]), _bytes(body[FARMERS])
        )
    except (KeyError, TypeError, ValueError) as error:
        # Only what was written by other hands comes here: the checksum was right.
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(f"the vault {path} is malformed: {reason}", hint=_RESTORE) from None
    for slot in header.slots.values():
        check_cost(slot.cost, header.network)
    return document


def _load(data: bytes, path: Path) -> dict[str, Any]:
    if not data.rstrip().endswith(b"}"):
        raise ConfigError(f"the vault {path} is cut short: it has {len(data)} bytes", hint=_RESTORE)
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise ConfigError(
            f"the vault {path} is not JSON: it is damaged, or no vault", hint=_RESTORE
        ) from None
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise ConfigError(f"{path} is not a vault of kalepool", hint="check the path")
    version = body.get("version")
    if type(version) is not int or version < 1:
        raise ConfigError(f"the vault {path} has no version", hint=_RESTORE)
    if version > VERSION:
        raise ConfigError(
            f"the vault {path} was written by a newer kalepool: version {version}, this one reads {VERSION}",
            hint="install the newer kalepool",
        )
    if body.keys() != _FIELDS:
        odd = ", ".join(sorted(_FIELDS ^ body.keys()))
        raise ConfigError(f"the vault {path} is malformed: missing or unknown: {odd[:200]}", hint=_RESTORE)
    return body


def _addresses(value: dict[str, Any]) -> Addresses:
    _exactly(value, "operator", "operator_imported", "channels", "imported")
    imported_operator = value["operator_imported"]
    if type(imported_operator) is not bool:
        raise ValueError("operator_imported is neither true nor false")
    channels = tuple(_address(text) for text in _list(value["channels"]))
    if len(channels) != CHANNELS:
        raise ValueError(f"it has {len(channels)} channels, not {CHANNELS}")
    return Addresses(
        operator=_address(value["operator"]),
        channels=channels,
        imported=tuple(_address(text) for text in _list(value["imported"])),
        operator_imported=imported_operator,
    )


def _slots(value: object) -> dict[str, Slot]:
    if not isinstance(value, dict) or MAIN not in value or not value.keys() <= KEYS_OF.keys():
        raise ValueError("its passphrase slots are not main, or main and operations")
    slots = {}
    for name, slot in value.items():
        _exactly(slot, "kdf", "passes", "memory_bytes", "salt", "keys")
        if slot["kdf"] != "argon2id":
            raise ValueError("a passphrase slot is not Argon2id")
        _exactly(slot["keys"], *KEYS_OF[name])
        cost = Cost(_number(slot["passes"]), _number(slot["memory_bytes"]))
        keys = {compartment: _bytes(box) for compartment, box in slot["keys"].items()}
        slots[name] = Slot(cost, _bytes(slot["salt"], SALT_BYTES), keys)
    return slots


def _cost_json(slot: Slot) -> dict[str, Any]:
    return {
        "kdf": "argon2id",
        "passes": slot.cost.passes,
        "memory_bytes": slot.cost.memory_bytes,
        "salt": _text(slot.salt),
    }


def _canonical(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _exactly(value: object, *names: str) -> None:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise ValueError(f"one of its objects has not exactly {', '.join(names)}")


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is none")
    return value


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list is none")
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError("a number is none")
    return value


def _bytes(value: object, length: int | None = None) -> bytes:
    try:
        raw = base64.b64decode(_string(value), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a field is not base64") from None
    if length is not None and len(raw) != length:
        raise ValueError(f"a field has {len(raw)} bytes, not {length}")
    return raw


def _address(value: object) -> str:
    text = _string(value)
    try:
        raw_key(text)
    except UsageError as error:
        raise ValueError(f"an address is wrong: {error.message}") from None
    if not is_account(text):
        raise ValueError("an address is not an account's")
    return text
