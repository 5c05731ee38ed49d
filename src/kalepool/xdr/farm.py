"""Block, Pail and the KALE contract's instance, to and from XDR values."""

from __future__ import annotations

from typing import TypeAlias

from stellar_sdk import scval, xdr

from kalepool.core.farm import Block, Farm, Pail
from kalepool.xdr.keys import address_of_sc_address, address_value

_Fields: TypeAlias = dict[str, xdr.SCVal]


def block_to_scval(block: Block) -> xdr.SCVal:
    """Give the contract's map of a Block, keys sorted."""
    return _struct(
        {
            "entropy": scval.to_bytes(block.entropy),
            "max_gap": scval.to_uint32(block.max_gap),
            "max_stake": scval.to_int128(block.max_stake),
            "max_zeros": scval.to_uint32(block.max_zeros),
            "min_gap": scval.to_uint32(block.min_gap),
            "min_stake": scval.to_int128(block.min_stake),
            "min_zeros": scval.to_uint32(block.min_zeros),
            "normalized_total": scval.to_int128(block.normalized_total),
            "staked_total": scval.to_int128(block.staked_total),
            "timestamp": scval.to_uint64(block.timestamp),
        }
    )


def block_from_scval(value: xdr.SCVal) -> Block:
    """Read a Block.

    Raises:
        ValueError: when a field is missing or of another type.
    """
    fields = _fields(value)
    entropy = scval.from_bytes(_field(fields, "entropy"))
    if len(entropy) != 32:  # noqa: PLR2004 - BytesN<32>
        raise ValueError("a block's entropy has 32 bytes")
    return Block(
        timestamp=scval.from_uint64(_field(fields, "timestamp")),
        min_gap=scval.from_uint32(_field(fields, "min_gap")),
        max_gap=scval.from_uint32(_field(fields, "max_gap")),
        min_stake=scval.from_int128(_field(fields, "min_stake")),
        max_stake=scval.from_int128(_field(fields, "max_stake")),
        min_zeros=scval.from_uint32(_field(fields, "min_zeros")),
        max_zeros=scval.from_uint32(_field(fields, "max_zeros")),
        entropy=entropy,
        staked_total=scval.from_int128(_field(fields, "staked_total")),
        normalized_total=scval.from_int128(_field(fields, "normalized_total")),
    )


def pail_to_scval(pail: Pail) -> xdr.SCVal:
    """Give the contract's map of a Pail; what is not known yet is void."""
    return _struct(
        {
            "gap": _optional_u32(pail.gap),
            "sequence": scval.to_uint32(pail.sequence),
            "stake": scval.to_int128(pail.stake),
            "zeros": _optional_u32(pail.zeros),
        }
    )


def pail_from_scval(value: xdr.SCVal) -> Pail:
    """Read a Pail.

    Raises:
        ValueError: when a field is missing or of another type.
    """
    fields = _fields(value)
    return Pail(
        sequence=scval.from_uint32(_field(fields, "sequence")),
        stake=scval.from_int128(_field(fields, "stake")),
        gap=_from_optional_u32(_field(fields, "gap")),
        zeros=_from_optional_u32(_field(fields, "zeros")),
    )


def instance_to_scval(farm: Farm, wasm_hash: bytes) -> xdr.SCVal:
    """Give the KALE contract's instance. An index of 0 and an unpaused farm are left out, as on the chain."""
    storage: list[tuple[str, xdr.SCVal]] = []
    if farm.block is not None:
        storage.append(("FarmBlock", block_to_scval(farm.block)))
    if farm.index:
        storage.append(("FarmIndex", scval.to_uint32(farm.index)))
    if farm.paused:
        storage.append(("FarmPaused", scval.to_bool(True)))
    storage.append(("Homesteader", address_value(farm.homesteader)))
    if farm.asset is not None:
        storage.append(("HomesteadAsset", address_value(farm.asset)))
    # The host keeps a map in the order of its keys, and symbols compare as strings.
    storage.sort()
    entries = [xdr.SCMapEntry(scval.to_vec([scval.to_symbol(name)]), value) for name, value in storage]
    executable = xdr.ContractExecutable(
        xdr.ContractExecutableType.CONTRACT_EXECUTABLE_WASM, wasm_hash=xdr.Hash(wasm_hash)
    )
    return xdr.SCVal(
        xdr.SCValType.SCV_CONTRACT_INSTANCE,
        instance=xdr.SCContractInstance(executable, xdr.SCMap(entries)),
    )


def instance_from_scval(value: xdr.SCVal) -> tuple[Farm, bytes]:
    """Read the KALE contract's instance; give the farm and the contract's wasm hash.

    Raises:
        ValueError: when it is no instance of the KALE contract.
    """
    if value.instance is None or value.instance.storage is None:
        raise ValueError("not a contract instance with storage")
    executable = value.instance.executable
    if executable.wasm_hash is None:
        raise ValueError("the KALE contract is not a wasm contract here")
    fields: _Fields = {}
    for entry in value.instance.storage.sc_map:
        names = scval.from_vec(entry.key)
        if len(names) == 1:
            fields[scval.from_symbol(names[0])] = entry.val
    block, asset, index, paused = (
        fields.get(name) for name in ("FarmBlock", "HomesteadAsset", "FarmIndex", "FarmPaused")
    )
    farm = Farm(
        homesteader=_from_address(_field(fields, "Homesteader")),
        asset=None if asset is None else _from_address(asset),
        index=0 if index is None else scval.from_uint32(index),
        block=None if block is None else block_from_scval(block),
        paused=paused is not None and scval.from_bool(paused),
    )
    return farm, executable.wasm_hash.hash


def _struct(fields: _Fields) -> xdr.SCVal:
    entries = [xdr.SCMapEntry(scval.to_symbol(name), value) for name, value in fields.items()]
    return xdr.SCVal(xdr.SCValType.SCV_MAP, map=xdr.SCMap(entries))


def _fields(value: xdr.SCVal) -> _Fields:
    if value.map is None:
        raise ValueError(f"expected a map, not {value.type.name}")
    return {scval.from_symbol(entry.key): entry.val for entry in value.map.sc_map}


def _field(fields: _Fields, name: str) -> xdr.SCVal:
    try:
        return fields[name]
    except KeyError:
        raise ValueError(f"the field {name} is missing") from None


def _optional_u32(value: int | None) -> xdr.SCVal:
    return scval.to_void() if value is None else scval.to_uint32(value)


def _from_optional_u32(value: xdr.SCVal) -> int | None:
    return None if value.type == xdr.SCValType.SCV_VOID else scval.from_uint32(value)


def _from_address(value: xdr.SCVal) -> str:
    if value.address is None:
        raise ValueError(f"expected an address, not {value.type.name}")
    return address_of_sc_address(value.address)
