"""What a node thinks a call would need: simulateTransaction's answer, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stellar_sdk import xdr

from kalepool.adapters.stellar.answers import MAX_I64, printable
from kalepool.adapters.stellar.outcomes import kale_error
from kalepool.xdr.decode import decode_base64, from_base64

if TYPE_CHECKING:
    from kalepool.adapters.stellar.answers import Answer


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a node says about a call; nothing of it is believed before it is held against the call.

    Attributes:
        node: who said it.
        ledger: the last closed ledger, after which it was tried.
        error: why it would fail, one line; empty where it would not.
        contract_error: number of the KALE contract's error among that, or None.
        read_only: ledger keys that would be read.
        read_write: ledger keys that would be written.
        instructions: to be declared, and so on.
        disk_read_bytes: of classic entries.
        write_bytes: of all entries written.
        resource_fee: stroops that cover all of it.
        authorizations: entries that would have to be signed, as XDR.
        must_restore: whether an archived entry stands in the way.
    """

    node: str
    ledger: int
    error: str = ""
    contract_error: int | None = None
    read_only: tuple[bytes, ...] = ()
    read_write: tuple[bytes, ...] = ()
    instructions: int = 0
    disk_read_bytes: int = 0
    write_bytes: int = 0
    resource_fee: int = 0
    authorizations: tuple[bytes, ...] = ()
    must_restore: bool = False


def read_simulation(answer: Answer, called: str | None, kale: str) -> Simulation:
    """Read the answer about a call of a contract.

    Args:
        answer: the node's.
        called: the contract that was called, or None.
        kale: the KALE contract.

    Raises:
        RetryableError: when the answer cannot be read.
    """
    ledger = answer.number("latestLedger")
    if answer.has("error"):
        error = answer.text("error")
        with answer.reading("events"):
            log = [decode_base64(xdr.DiagnosticEvent, text) for text in answer.texts("events")]
            number = kale_error(log, called, kale)
        first = error.splitlines()[0] if error.strip() else "no reason given"
        return Simulation(answer.node, ledger, error=printable(first), contract_error=number)
    data = answer.xdr(xdr.SorobanTransactionData, "transactionData")
    resources, fee = data.resources, answer.number("minResourceFee", MAX_I64)
    if data.resource_fee.int64 != fee:
        raise answer.wrong("has a minResourceFee that its transactionData does not declare")
    authorizations: list[bytes] = []
    if answer.has("results"):
        for result in answer.sections("results"):
            with answer.reading("auth"):
                authorizations += [from_base64(text) for text in result.texts("auth")]
    return Simulation(
        node=answer.node,
        ledger=ledger,
        read_only=tuple(key.to_xdr_bytes() for key in resources.footprint.read_only),
        read_write=tuple(key.to_xdr_bytes() for key in resources.footprint.read_write),
        instructions=resources.instructions.uint32,
        disk_read_bytes=resources.disk_read_bytes.uint32,
        write_bytes=resources.write_bytes.uint32,
        resource_fee=fee,
        authorizations=tuple(authorizations),
        must_restore=answer.has("restorePreamble"),
    )
