"""Events: kept small while the ledger runs, encoded when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from stellar_sdk import scval, xdr

from kalepool.core.address import account_address, contract_address, is_account, raw_key
from kalepool.xdr.keys import address_value

_ERROR_KINDS = {
    xdr.SCErrorType.SCE_CONTRACT: "Contract",
    xdr.SCErrorType.SCE_WASM_VM: "WasmVm",
    xdr.SCErrorType.SCE_CONTEXT: "Context",
    xdr.SCErrorType.SCE_STORAGE: "Storage",
    xdr.SCErrorType.SCE_BUDGET: "Budget",
    xdr.SCErrorType.SCE_VALUE: "Value",
    xdr.SCErrorType.SCE_AUTH: "Auth",
}
_ERROR_CODES = {
    xdr.SCErrorCode.SCEC_INVALID_INPUT: "InvalidInput",
    xdr.SCErrorCode.SCEC_INVALID_ACTION: "InvalidAction",
    xdr.SCErrorCode.SCEC_MISSING_VALUE: "MissingValue",
    xdr.SCErrorCode.SCEC_EXISTING_VALUE: "ExistingValue",
    xdr.SCErrorCode.SCEC_EXCEEDED_LIMIT: "ExceededLimit",
    xdr.SCErrorCode.SCEC_UNEXPECTED_TYPE: "UnexpectedType",
    xdr.SCErrorCode.SCEC_UNEXPECTED_SIZE: "UnexpectedSize",
}


def error_label(error: xdr.SCError) -> str:
    """Word an error as nodes print it: ``Error(Contract, #8)``, ``Error(Storage, ExceededLimit)``."""
    kind = _ERROR_KINDS.get(error.type, error.type.name)
    if error.contract_code is not None:
        return f"Error({kind}, #{error.contract_code.uint32})"
    code = "" if error.code is None else _ERROR_CODES.get(error.code, error.code.name)
    return f"Error({kind}, {code})"


@dataclass(frozen=True, slots=True)
class AssetEvent:
    """What an asset contract tells: mint, burn, transfer, fee (CAP-0046-06, CAP-0067).

    Attributes:
        contract: the asset's contract.
        kind: the first topic.
        parties: the addresses in the topics: who paid, who was paid.
        asset: the last topic, ``native`` or ``CODE:ISSUER``; empty for none.
        amount: stroops.
        memo: the memo of a classic payment, which travels with the amount.
    """

    contract: str
    kind: str
    parties: tuple[str, ...]
    asset: str
    amount: int
    memo: xdr.Memo | None = None

    def topics(self) -> list[xdr.SCVal]:
        """Give the topics."""
        values = [scval.to_symbol(self.kind)]
        values += [address_value(party) for party in self.parties]
        return values + ([scval.to_string(self.asset)] if self.asset else [])

    def data(self) -> xdr.SCVal:
        """Give the amount, in a map with the memo where there is one."""
        amount = scval.to_int128(self.amount)
        if self.memo is None:
            return amount
        return scval.to_map(
            {scval.to_symbol("amount"): amount, scval.to_symbol("to_muxed_id"): _memo_value(self.memo)}
        )

    def to_xdr(self) -> xdr.ContractEvent:
        """Give the ContractEvent."""
        return contract_event(self.contract, self.topics(), self.data())

    @property
    def size(self) -> int:
        """Bytes of its XDR."""
        kinds = tuple(is_account(party) for party in self.parties)
        if self.memo is not None:
            return len(self.to_xdr().to_xdr_bytes())
        return _event_size(self.kind, kinds, self.asset)


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A line of the host's own log: a call, a return, an error.

    Attributes:
        contract: the contract that ran, or None for the host itself.
        topics: topics of the event.
        data: its data.
    """

    contract: str | None
    topics: tuple[xdr.SCVal, ...]
    data: xdr.SCVal

    def to_xdr(self, *, successful: bool) -> xdr.DiagnosticEvent:
        """Give the DiagnosticEvent."""
        event = contract_event(self.contract, list(self.topics), self.data, xdr.ContractEventType.DIAGNOSTIC)
        return xdr.DiagnosticEvent(successful, event)

    def __str__(self) -> str:
        """Word it as a line of a simulation's log."""
        where = f"contract:{self.contract}, " if self.contract else ""
        topics = ", ".join(_worded(topic) for topic in self.topics)
        return f"[Diagnostic Event] {where}topics:[{topics}], data:{_worded(self.data)}"


def _worded(value: xdr.SCVal) -> str:
    if value.error is not None:
        return error_label(value.error)
    if value.sym is not None:
        return value.sym.sc_symbol.decode("latin-1")
    if value.str is not None:
        return '"' + value.str.sc_string.decode("latin-1") + '"'
    # A vector or map may be absent in XDR; no contract takes such a value, but a log must word it.
    if value.type == xdr.SCValType.SCV_VEC:
        items = value.vec.sc_vec if value.vec is not None else []
        return "[" + ", ".join(_worded(item) for item in items) + "]"
    if value.type == xdr.SCValType.SCV_MAP:
        entries = value.map.sc_map if value.map is not None else []
        return "{" + ", ".join(f"{_worded(entry.key)}: {_worded(entry.val)}" for entry in entries) + "}"
    native = scval.to_native(value)
    if isinstance(native, bytes):
        return f"Bytes({native.hex()})"
    return str(getattr(native, "address", native))


def contract_event(
    contract: str | None,
    topics: list[xdr.SCVal],
    data: xdr.SCVal,
    kind: xdr.ContractEventType = xdr.ContractEventType.CONTRACT,
) -> xdr.ContractEvent:
    """Build a ContractEvent."""
    identity = None if contract is None else xdr.ContractID(xdr.Hash(raw_key(contract)))
    body = xdr.ContractEventBody(0, v0=xdr.ContractEventV0(topics, data))
    return xdr.ContractEvent(xdr.ExtensionPoint(0), identity, kind, body)


def _memo_value(memo: xdr.Memo) -> xdr.SCVal:
    if memo.id is not None:
        return scval.to_uint64(memo.id.uint64)
    if memo.text is not None:
        return scval.to_string(memo.text)
    raw = memo.hash or memo.ret_hash
    assert raw is not None
    return scval.to_bytes(raw.hash)


@lru_cache(maxsize=64)
def _event_size(kind: str, accounts: tuple[bool, ...], asset: str) -> int:
    # Amounts are fixed-width, and an address's length depends on its kind alone.
    parties = tuple((account_address if account else contract_address)(bytes(32)) for account in accounts)
    event = AssetEvent(contract_address(bytes(32)), kind, parties, asset, 0)
    return len(event.to_xdr().to_xdr_bytes())
