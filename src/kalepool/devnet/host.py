"""The contract host: runs one call over a layer of the ledger, counts and guards what it touches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stellar_sdk import scval, xdr

from kalepool.core.address import raw_key
from kalepool.devnet.events import AssetEvent, Diagnostic, error_label
from kalepool.xdr.keys import code_key, instance_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kalepool.devnet.auth import Authorizer
    from kalepool.devnet.entries import Entry, Value
    from kalepool.devnet.network import Identity
    from kalepool.devnet.state import Layer

    ContractFunction = Callable[["Host", str, Sequence[xdr.SCVal]], xdr.SCVal]

ErrorType = xdr.SCErrorType
ErrorCode = xdr.SCErrorCode

MAX_TTL = 3_110_400
MIN_PERSISTENT_TTL = 2_073_600
MAX_INSTRUCTIONS = 400_000_000

# The model of what running a call costs, beside what the contract does in it.
_START_INSTRUCTIONS = 400_000
_CALL_INSTRUCTIONS = 150_000


class HostError(Exception):
    """A call fails: a contract's own error number, or a trap of the host.

    Args:
        kind: whose error it is.
        code: the contract's number, or the host's code.
        message: what the host's log says.
        recoverable: whether a contract that tries a call may go on after it.
    """

    def __init__(
        self, kind: ErrorType, code: ErrorCode | int, message: str, *, recoverable: bool = True
    ) -> None:
        self.kind = kind
        self.code = code
        self.message = message
        self.recoverable = recoverable
        super().__init__(f"{self.label}: {message}")

    @property
    def label(self) -> str:
        """The error as simulations print it: ``Error(Contract, #8)``."""
        return error_label(self._to_xdr())

    def to_scval(self) -> xdr.SCVal:
        """Give the error as a value."""
        return xdr.SCVal(xdr.SCValType.SCV_ERROR, error=self._to_xdr())

    def _to_xdr(self) -> xdr.SCError:
        # The host's codes are integers too, so the kind decides.
        if self.kind == ErrorType.SCE_CONTRACT:
            return xdr.SCError(self.kind, contract_code=xdr.Uint32(self.code))
        return xdr.SCError(self.kind, code=ErrorCode(self.code))


def contract_error(code: int, message: str = "escalating error to panic") -> HostError:
    """Make the error that a contract raises with a number of its own."""
    return HostError(ErrorType.SCE_CONTRACT, int(code), message)


class Footprint(Protocol):
    """Decides which entries a call may touch."""

    def check_read(self, key: bytes) -> None:
        """Allow or refuse reading an entry."""

    def check_write(self, key: bytes) -> None:
        """Allow or refuse writing an entry."""


class DeclaredFootprint:
    """What a transaction declared: anything else traps and fails the transaction."""

    def __init__(self, read_only: Sequence[bytes], read_write: Sequence[bytes]) -> None:
        self._writable = frozenset(read_write)
        self._readable = self._writable | frozenset(read_only)

    def check_read(self, key: bytes) -> None:
        """Refuse what was not declared."""
        if key not in self._readable:
            raise _outside("trying to access contract storage key outside of the footprint")

    def check_write(self, key: bytes) -> None:
        """Refuse what was not declared for writing."""
        if key not in self._writable:
            raise _outside("trying to modify contract storage key outside of the read-write footprint")


def _outside(message: str) -> HostError:
    return HostError(ErrorType.SCE_STORAGE, ErrorCode.SCEC_EXCEEDED_LIMIT, message, recoverable=False)


@dataclass
class RecordedFootprint:
    """Learns the footprint from what a simulated call touches. Order is that of first touch."""

    touched: dict[bytes, bool] = field(default_factory=dict)

    def check_read(self, key: bytes) -> None:
        """Note a read."""
        self.touched.setdefault(key, False)

    def check_write(self, key: bytes) -> None:
        """Note a write."""
        self.touched[key] = True

    @property
    def read_only(self) -> tuple[bytes, ...]:
        """Keys read and not written."""
        return tuple(key for key, written in self.touched.items() if not written)

    @property
    def read_write(self) -> tuple[bytes, ...]:
        """Keys written."""
        return tuple(key for key, written in self.touched.items() if written)


@dataclass(frozen=True, slots=True)
class Frame:
    """A running call; arguments as XDR, as authorizations compare them."""

    contract: str
    function: str
    arguments: tuple[bytes, ...]


class Host:
    """One execution, simulated or real.

    Args:
        layer: where entries are read and changed.
        identity: the network's ids.
        contracts: functions by contract and name.
        footprint: what may be touched.
        authorizer: who has agreed to what.
        close_time: contract time, Unix seconds.
        temporary_ttl: ledgers that a new temporary entry lives.
        max_instructions: the budget; no further call starts once it is used up.
    """

    def __init__(
        self,
        layer: Layer,
        identity: Identity,
        contracts: Mapping[str, Mapping[str, ContractFunction]],
        footprint: Footprint,
        authorizer: Authorizer,
        *,
        close_time: int,
        temporary_ttl: int,
        max_instructions: int = MAX_INSTRUCTIONS,
    ) -> None:
        self.layer = layer
        self.identity = identity
        self.close_time = close_time
        self.frames: list[Frame] = []
        self.events: list[AssetEvent] = []
        self.diagnostics: list[Diagnostic] = []
        self.instructions = _START_INSTRUCTIONS
        self._contracts = contracts
        self._footprint = footprint
        self._authorizer = authorizer
        self._temporary_ttl = temporary_ttl
        self._max_instructions = max_instructions

    @property
    def sequence(self) -> int:
        """This ledger."""
        return self.layer.sequence

    # Entries

    def get(self, key: bytes) -> Entry | None:
        """Read an entry; None where it does not exist."""
        self._footprint.check_read(key)
        return self.layer.get(key)

    def put_classic(self, key: bytes, value: Value) -> None:
        """Write an account or a trustline."""
        self._writable(key)
        self.layer.put(key, value)

    def put_temporary(self, key: bytes, value: Value, live_until: int | None = None) -> None:
        """Write a temporary entry; a new one lives the network's minimum unless told otherwise."""
        entry = self._writable(key)
        if entry is not None:
            end = entry.live_until
        else:
            end = live_until if live_until is not None else self.sequence + self._temporary_ttl - 1
        self.layer.put(key, value, end, temporary=True)

    def put_persistent(self, key: bytes, value: Value) -> None:
        """Write a persistent contract entry."""
        entry = self._writable(key)
        end = entry.live_until if entry is not None else self.sequence + MIN_PERSISTENT_TTL - 1
        self.layer.put(key, value, end)

    def delete(self, key: bytes) -> None:
        """Remove an entry; nothing happens where there is none."""
        if self._writable(key) is not None:
            self.layer.delete(key)

    def _writable(self, key: bytes) -> Entry | None:
        self._footprint.check_read(key)
        self._footprint.check_write(key)
        return self.layer.get(key)

    # Calls

    def call(self, contract: str, function: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal:
        """Call a contract's function.

        Raises:
            HostError: as the contract or the host says.
        """
        frame = Frame(contract, function, tuple(arg.to_xdr_bytes() for arg in arguments))
        self._log_call(contract, function, arguments)
        self.frames.append(frame)
        try:
            self._load(contract)
            implementation = self._contracts[contract].get(function)
            if implementation is None:
                raise HostError(
                    ErrorType.SCE_WASM_VM,
                    ErrorCode.SCEC_MISSING_VALUE,
                    f"trying to invoke non-existent contract function {function}",
                )
            self._spend(_CALL_INSTRUCTIONS)
            result = implementation(self, contract, arguments)
        except HostError as error:
            self._log_error(contract, error)
            raise
        finally:
            self.frames.pop()
            self._authorizer.leave(len(self.frames))
        self.diagnostics.append(
            Diagnostic(contract, (scval.to_symbol("fn_return"), scval.to_symbol(function)), result)
        )
        return result

    def try_call(self, contract: str, function: str, arguments: Sequence[xdr.SCVal]) -> xdr.SCVal | None:
        """Call a contract's function; None, and nothing changed, where it fails."""
        events = len(self.events)
        layer = self.layer
        self.layer = layer.layer()
        try:
            result = self.call(contract, function, arguments)
        except HostError as error:
            del self.events[events:]
            if not error.recoverable:
                raise
            return None
        else:
            self.layer.keep()
            return result
        finally:
            self.layer = layer

    def require_authorization(self, address: str) -> None:
        """Insist that this address has agreed to the running call.

        Raises:
            HostError: when it has not.
        """
        self._authorizer.require(self, address)

    def emit(self, kind: str, parties: Sequence[str], amount: int) -> None:
        """Tell the world what the running asset contract did."""
        contract = self.frames[-1].contract
        self.events.append(AssetEvent(contract, kind, tuple(parties), self.identity.kale_name, amount))

    def _spend(self, instructions: int) -> None:
        self.instructions += instructions
        if self.instructions > self._max_instructions:
            raise HostError(
                ErrorType.SCE_BUDGET,
                ErrorCode.SCEC_EXCEEDED_LIMIT,
                "operation instructions exceeds amount specified",
                recoverable=False,
            )

    def _load(self, contract: str) -> None:
        entry = self.get(instance_key(contract))
        if entry is None or contract not in self._contracts:
            raise HostError(
                ErrorType.SCE_STORAGE,
                ErrorCode.SCEC_MISSING_VALUE,
                "trying to get non-existing value for contract instance",
            )
        wasm_hash = getattr(entry.value, "wasm_hash", None)
        if wasm_hash is not None and self.get(code_key(wasm_hash)) is None:
            raise HostError(ErrorType.SCE_STORAGE, ErrorCode.SCEC_MISSING_VALUE, "Wasm does not exist")

    def _log_call(self, contract: str, function: str, arguments: Sequence[xdr.SCVal]) -> None:
        caller = self.frames[-1].contract if self.frames else None
        topics = (scval.to_symbol("fn_call"), scval.to_bytes(raw_key(contract)), scval.to_symbol(function))
        data = arguments[0] if len(arguments) == 1 else scval.to_vec(list(arguments))
        self.diagnostics.append(Diagnostic(caller, topics, data))

    def _log_error(self, contract: str | None, error: HostError) -> None:
        topics = (scval.to_symbol("error"), error.to_scval())
        self.diagnostics.append(Diagnostic(contract, topics, scval.to_string(error.message)))
