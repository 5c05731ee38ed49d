"""The network's contracts: KALE by the rules of ``core.contract``, its asset contract, the tractor.

Each function takes its arguments as XDR values, checks their types as a contract's own entry
point would, and reads and writes entries through the host alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from stellar_sdk import scval, xdr

from kalepool.core import contract as rules
from kalepool.core.address import is_account, raw_key
from kalepool.core.farm import Block, ContractError, ContractErrorCode, Farm, Pail, Proof
from kalepool.core.proof import count_zeros, make_proof
from kalepool.devnet.entries import MAX_I64, AssetInstance, Balance, KaleInstance, Trustline
from kalepool.devnet.host import MAX_TTL, ErrorCode, ErrorType, HostError, contract_error
from kalepool.xdr.keys import (
    address_of_sc_address,
    address_value,
    balance_key,
    block_key,
    instance_key,
    pail_key,
    trustline_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from kalepool.devnet.host import ContractFunction, Host
    from kalepool.devnet.network import Identity

_T = TypeVar("_T")

_WEEK_OF_LEDGERS = 120_960

# What each part of a call costs, in instructions: a model, set so that whole fees come out as the public
# network's do: without rent a plant with stake is about 19,400 stroops, a work 14,300, a harvest 12,700, a
# tractor's harvest of five blocks 6,000 a block.
_PLANT = 50_000
_WORK = 1_280_000
_HARVEST = 200_000
_ASSET = 130_000

# Error numbers of the asset contract: a space of its own.
_SAC_NEGATIVE_AMOUNT = 8
_SAC_BALANCE = 10
_SAC_TRUSTLINE_MISSING = 13

_NO_PAILS_PROVIDED = 1
_NO_HARVESTABLE_PAILS = 2


def contracts_of(
    identity: Identity, *, opener_reads_previous: bool = False, trusts_hashes: bool = False
) -> Mapping[str, Mapping[str, ContractFunction]]:
    """Give all contracts of a network: functions by address and name.

    Args:
        identity: the network's ids.
        opener_reads_previous: whether a plant that opens a block also reads the block before,
            as some deployed versions do.
        trusts_hashes: see ``Kale``.
    """
    kale = Kale(opener_reads_previous=opener_reads_previous, trusts_hashes=trusts_hashes)
    return {
        identity.kale_contract: {
            "plant": kale.plant,
            "work": kale.work,
            "harvest": kale.harvest,
            "pause": kale.pause,
            "unpause": kale.unpause,
            "remove_block": kale.remove_block,
        },
        identity.sac_contract: {
            "balance": _sac_balance,
            "transfer": _sac_transfer,
            "burn": _sac_burn,
            "mint": _sac_mint,
            "admin": _sac_admin,
            "decimals": _sac_decimals,
            "name": _sac_name,
            "symbol": _sac_symbol,
        },
        identity.tractor_contract: {"harvest": _tractor_harvest},
    }


class Kale:
    """The KALE contract.

    Args:
        opener_reads_previous: see ``contracts_of``.
        trusts_hashes: take the hash of a work as it is claimed. The neighbours' works are applied so,
            since they draw their zeros instead of grinding for them; transactions never are.
    """

    def __init__(self, *, opener_reads_previous: bool, trusts_hashes: bool) -> None:
        self._opener_reads_previous = opener_reads_previous
        self._trusts_hashes = trusts_hashes

    def plant(self, host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
        """Contract: ``plant(farmer, amount)``."""
        given = _Arguments(arguments, 2)
        farmer, amount = given.address(), given.i128()
        host.require_authorization(farmer)
        host.instructions += _PLANT
        instance = _instance(host, contract)
        farm = instance.farm
        with _refusals():
            record = rules.check_plant(farm, amount)
            reads_current = self._opener_reads_previous or not rules.is_due(record, host.close_time)
            current = _block(host, contract, farm.index) if reads_current else None
            opening = rules.roll_over(farm, current, host.close_time)
            pail = _pail(host, contract, farmer, opening.index)
            planted = rules.plant(opening, pail, amount, host.sequence)
        if amount > 0:
            assert farm.asset is not None
            arguments = [address_value(farmer), scval.to_int128(amount)]
            host.call(farm.asset, "burn", arguments)
        host.put_temporary(pail_key(contract, farmer, planted.index), planted.pail)
        host.put_temporary(block_key(contract, planted.index), planted.block)
        _store(host, contract, instance, planted.farm)
        return scval.to_void()

    def work(self, host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
        """Contract: ``work(farmer, hash, nonce)``; gives the gap."""
        given = _Arguments(arguments, 3)
        farmer, claimed, nonce = given.address(), given.bytes32(), given.u64()
        host.instructions += _WORK
        instance = _instance(host, contract)
        farm = instance.farm
        with _refusals():
            if farm.block is None:
                raise ContractError(ContractErrorCode.FARM_BLOCK_MISSING)
            block = _block(host, contract, farm.index)
            _, block = rules.check_work(farm, block)
            pail = _pail(host, contract, farmer, farm.index)
            proof = self._prove(farm.index, nonce, block.entropy, farmer, claimed)
            worked = rules.work(
                farm,
                block,
                pail,
                claimed=claimed,
                actual=proof.hash,
                zeros=proof.zeros,
                sequence=host.sequence,
            )
        host.put_temporary(pail_key(contract, farmer, farm.index), worked.pail)
        host.put_temporary(block_key(contract, farm.index), worked.block)
        _store(host, contract, instance, worked.farm)
        return scval.to_uint32(worked.gap)

    def _prove(self, index: int, nonce: int, entropy: bytes, farmer: str, claimed: bytes) -> Proof:
        if self._trusts_hashes:
            return Proof(index, nonce, claimed, count_zeros(claimed))
        return make_proof(index, nonce, entropy, raw_key(farmer))

    def harvest(self, host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
        """Contract: ``harvest(farmer, index)``; gives the reward alone and mints reward and stake."""
        given = _Arguments(arguments, 2)
        farmer, index = given.address(), given.u32()
        host.instructions += _HARVEST
        farm = _instance(host, contract).farm
        with _refusals():
            if farm.asset is None:
                raise ContractError(ContractErrorCode.HOMESTEAD_MISSING)
            block = _block(host, contract, index)
            if block is None:
                raise ContractError(ContractErrorCode.BLOCK_MISSING)
            pail = _pail(host, contract, farmer, index)
            harvested = rules.harvest(farm, index, block, pail)
        if harvested.minted > 0:
            host.call(farm.asset, "mint", [address_value(farmer), scval.to_int128(harvested.minted)])
        host.delete(pail_key(contract, farmer, index))
        _extend_instance(host, contract)
        return scval.to_int128(harvested.reward)

    def pause(self, host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
        """Contract: ``pause()``, by the owner."""
        return self._set_paused(host, contract, arguments, paused=True)

    def unpause(self, host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
        """Contract: ``unpause()``, by the owner."""
        return self._set_paused(host, contract, arguments, paused=False)

    def _set_paused(
        self, host: Host, contract: str, arguments: Sequence[xdr.SCVal], *, paused: bool
    ) -> xdr.SCVal:
        _Arguments(arguments, 0)
        instance = _instance(host, contract)
        host.require_authorization(instance.farm.homesteader)
        with _refusals():
            farm = rules.set_paused(instance.farm, paused)
        _store(host, contract, instance, farm)
        return scval.to_void()

    def remove_block(self, host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
        """Contract: ``remove_block(index)``, by the owner."""
        index = _Arguments(arguments, 1).u32()
        host.require_authorization(_instance(host, contract).farm.homesteader)
        host.delete(block_key(contract, index))
        return scval.to_void()


def _tractor_harvest(host: Host, _contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    """Tractor: ``harvest(farmer, pails)``; gives each reward, 0 for a pail that failed."""
    given = _Arguments(arguments, 2)
    farmer, indexes = given.address(), given.u32_vector()
    if not indexes:
        raise contract_error(_NO_PAILS_PROVIDED)
    rewards = []
    for index in indexes:
        arguments = [address_value(farmer), scval.to_uint32(index)]
        reward = host.try_call(host.identity.kale_contract, "harvest", arguments)
        rewards.append(scval.to_int128(0) if reward is None else reward)
    if all(scval.from_int128(reward) == 0 for reward in rewards):
        raise contract_error(_NO_HARVESTABLE_PAILS)
    return scval.to_vec(rewards)


# The asset contract


def _sac_balance(host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    holder = _Arguments(arguments, 1).address()
    host.instructions += _ASSET
    if is_account(holder):
        return scval.to_int128(_line(host, contract, holder).balance)
    entry = host.get(balance_key(contract, holder))
    held = entry.value if entry is not None else None
    return scval.to_int128(held.amount if isinstance(held, Balance) else 0)


def _sac_transfer(host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    given = _Arguments(arguments, 3)
    source, destination, amount = given.address(), given.address(), given.i128()
    _check_amount(amount)
    host.require_authorization(source)
    host.instructions += _ASSET
    _spend(host, contract, source, amount)
    _receive(host, contract, destination, amount)
    host.emit("transfer", (source, destination), amount)
    return scval.to_void()


def _sac_burn(host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    given = _Arguments(arguments, 2)
    holder, amount = given.address(), given.i128()
    _check_amount(amount)
    host.require_authorization(holder)
    host.instructions += _ASSET
    _spend(host, contract, holder, amount)
    host.emit("burn", (holder,), amount)
    return scval.to_void()


def _sac_mint(host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    given = _Arguments(arguments, 2)
    holder, amount = given.address(), given.i128()
    _check_amount(amount)
    admin = _asset_instance(host, contract).admin
    assert admin is not None
    host.require_authorization(admin)
    host.instructions += _ASSET
    _receive(host, contract, holder, amount)
    host.emit("mint", (holder,), amount)
    return scval.to_void()


def _sac_admin(host: Host, contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    _Arguments(arguments, 0)
    admin = _asset_instance(host, contract).admin
    assert admin is not None
    return address_value(admin)


def _sac_decimals(_host: Host, _contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    _Arguments(arguments, 0)
    return scval.to_uint32(7)


def _sac_name(host: Host, _contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    _Arguments(arguments, 0)
    return scval.to_string(host.identity.kale_name)


def _sac_symbol(host: Host, _contract: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
    _Arguments(arguments, 0)
    return scval.to_string(host.identity.kale[0])


def _check_amount(amount: int) -> None:
    if amount < 0:
        raise contract_error(_SAC_NEGATIVE_AMOUNT, "negative amount is not allowed")


def _line(host: Host, contract: str, holder: str) -> Trustline:
    asset = _asset_instance(host, contract).asset
    assert asset is not None
    entry = host.get(trustline_key(holder, asset))
    if entry is not None and isinstance(entry.value, Trustline):
        return entry.value
    if holder == asset[1]:
        # The issuer needs no trustline: what he spends is created, what he receives is gone.
        return Trustline(holder, asset, MAX_I64, MAX_I64)
    raise contract_error(_SAC_TRUSTLINE_MISSING, "trustline entry is missing for account")


def _spend(host: Host, contract: str, holder: str, amount: int) -> None:
    _move(host, contract, holder, -amount)


def _receive(host: Host, contract: str, holder: str, amount: int) -> None:
    _move(host, contract, holder, amount)


def _move(host: Host, contract: str, holder: str, amount: int) -> None:
    if is_account(holder):
        line = _line(host, contract, holder)
        if holder == line.asset[1]:
            return
        if not 0 <= line.balance + amount <= line.limit:
            raise contract_error(_SAC_BALANCE, "resulting balance is not within the allowed range")
        host.put_classic(trustline_key(holder, line.asset), replace(line, balance=line.balance + amount))
        return
    key = balance_key(contract, holder)
    entry = host.get(key)
    held = entry.value.amount if entry is not None and isinstance(entry.value, Balance) else 0
    if not 0 <= held + amount < 2**127:
        raise contract_error(_SAC_BALANCE, "resulting balance is not within the allowed range")
    host.put_persistent(key, Balance(held + amount))


# Entries and arguments


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the rules' ContractError into the host's error."""
    try:
        yield
    except ContractError as error:
        raise contract_error(error.code) from error


def _instance(host: Host, contract: str) -> KaleInstance:
    entry = host.get(instance_key(contract))
    assert entry is not None and isinstance(entry.value, KaleInstance)
    return entry.value


def _asset_instance(host: Host, contract: str) -> AssetInstance:
    entry = host.get(instance_key(contract))
    assert entry is not None and isinstance(entry.value, AssetInstance)
    return entry.value


def _store(host: Host, contract: str, instance: KaleInstance, farm: Farm) -> None:
    host.put_persistent(instance_key(contract), replace(instance, farm=farm))
    _extend_instance(host, contract)


def _extend_instance(host: Host, contract: str) -> None:
    """Keep the instance alive: extended once it is more than a week below the maximum."""
    entry = host.get(instance_key(contract))
    assert entry is not None and entry.live_until is not None
    if entry.live_until - host.sequence < MAX_TTL - _WEEK_OF_LEDGERS:
        host.layer.put_entry(entry.extended(host.sequence + MAX_TTL - 1))


def _block(host: Host, contract: str, index: int) -> Block | None:
    entry = host.get(block_key(contract, index))
    return entry.value if entry is not None and isinstance(entry.value, Block) else None


def _pail(host: Host, contract: str, farmer: str, index: int) -> Pail | None:
    entry = host.get(pail_key(contract, farmer, index))
    return entry.value if entry is not None and isinstance(entry.value, Pail) else None


class _Arguments:
    """Takes a call's arguments one by one, insisting on their number and types.

    What does not fit traps without an error number, as a contract's own entry point does.
    """

    def __init__(self, values: Sequence[xdr.SCVal], count: int) -> None:
        if len(values) != count:
            raise HostError(
                ErrorType.SCE_WASM_VM, ErrorCode.SCEC_UNEXPECTED_SIZE, "wrong number of arguments"
            )
        self._values = iter(values)

    def address(self) -> str:
        value = next(self._values)
        try:
            return address_of_sc_address(_typed(value.address))
        except ValueError:
            raise _wrong_type() from None

    def i128(self) -> int:
        parts = _typed(next(self._values).i128)
        return parts.hi.int64 << 64 | parts.lo.uint64

    def u32(self) -> int:
        return _typed(next(self._values).u32).uint32

    def u64(self) -> int:
        return _typed(next(self._values).u64).uint64

    def bytes32(self) -> bytes:
        raw = _typed(next(self._values).bytes).sc_bytes
        if len(raw) != 32:  # noqa: PLR2004 - BytesN<32>
            raise _wrong_type()
        return raw

    def u32_vector(self) -> list[int]:
        return [_typed(item.u32).uint32 for item in _typed(next(self._values).vec).sc_vec]


def _typed(value: _T | None) -> _T:
    if value is None:
        raise _wrong_type()
    return value


def _wrong_type() -> HostError:
    return HostError(
        ErrorType.SCE_WASM_VM, ErrorCode.SCEC_INVALID_ACTION, "VM call trapped: UnreachableCodeReached"
    )
