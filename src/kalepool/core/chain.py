"""What is read from the network: frozen facts, with the ledger they were true in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.core.farm import Block, Farm, Pail
    from kalepool.core.prices import Reserves


@dataclass(frozen=True, slots=True)
class Tip:
    """How far one node sees.

    Attributes:
        node: which one; what two nodes say must not be mixed.
        ledger: the last closed ledger.
        close_time: of that ledger, Unix seconds.
        oldest_ledger: the first ledger whose transactions the node still has.
    """

    node: str
    ledger: int
    close_time: int
    oldest_ledger: int


@dataclass(frozen=True, slots=True)
class DatedBlock:
    """A Block and the last ledger in which it exists."""

    block: Block
    live_until: int


@dataclass(frozen=True, slots=True)
class DatedPail:
    """A Pail and the last ledger in which it exists."""

    pail: Pail
    live_until: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The farm at one ledger, as one node saw it in one read.

    Attributes:
        node: which one.
        ledger: the ledger all of it was true in.
        farm: the KALE contract's instance.
        wasm_hash: of the contract's code, 32 bytes.
        blocks: Blocks asked for that exist, by index.
        pails: Pails asked for that exist, by farmer's address and index.
        tip: how far the node said it was in the same request, for the clock; None where it was not asked.
        reserves: of the liquidity pool of KALE and XLM; None where it was not asked for or does not exist.
    """

    node: str
    ledger: int
    farm: Farm
    wasm_hash: bytes
    blocks: dict[int, DatedBlock] = field(default_factory=dict)
    pails: dict[tuple[str, int], DatedPail] = field(default_factory=dict)
    tip: Tip | None = None
    reserves: Reserves | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """A classic account and its KALE trustline.

    Attributes:
        address: G address.
        xlm: balance in stroops.
        spendable: XLM in stroops above the reserve.
        sequence: number of its last transaction.
        kale: KALE in stroops, or None without a trustline.
        kale_limit: the trustline's limit, or None.
        sponsor: who carries its reserve, or None.
        ledger: the one it was true in; 0 where that is not known.
    """

    address: str
    xlm: int
    spendable: int
    sequence: int
    kale: int | None
    kale_limit: int | None
    sponsor: str | None
    ledger: int = field(default=0, compare=False)


class Status(StrEnum):
    """What a node knows of a transaction."""

    SUCCESS = "success"
    FAILED = "failed"
    NOT_FOUND = "not_found"


@dataclass(frozen=True, slots=True)
class AssetMove:
    """What the asset's contract told in a transaction: a mint, a burn, a transfer.

    Attributes:
        kind: ``mint``, ``burn`` or ``transfer``.
        parties: who paid and who was paid; one of them for mint and burn.
        amount: stroops.
    """

    kind: str
    parties: tuple[str, ...]
    amount: int


@dataclass(frozen=True, slots=True)
class Landed:
    """A transaction in a ledger, with all that it means for the books.

    Attributes:
        ledger: which ledger.
        closed_at: close time of that ledger, Unix seconds.
        fee_charged: stroops, what came back already left out.
        moves: what the asset's contract told, in order; none where the transaction failed.
    """

    ledger: int
    closed_at: int
    fee_charged: int
    moves: tuple[AssetMove, ...] = ()


@dataclass(frozen=True, slots=True)
class LumenMoves:
    """The XLM that a transaction moved to somebody or from him, beside its fee.

    Attributes:
        ledger: which ledger it is in.
        closed_at: close time of that ledger, Unix seconds.
        moves: (giver, taker, stroops), in order.
    """

    ledger: int
    closed_at: int
    moves: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Happenings:
    """What one node told of a span of ledgers in events: of these, all of it.

    Attributes:
        node: which one.
        first: the first ledger that was read; later than was asked for where the node has no more of before.
        last: the last ledger that was read to its end; ``first - 1`` where none has closed since.
        close_time: network time that has passed by then at least, Unix seconds.
        paid: transactions whose fee the payer paid, successful or failed, by outer hash in hex.
        lumens: (giver, taker, stroops of XLM) that went to the payer or from him, by outer hash in hex.
        others: other transactions that moved KALE of holders, by hash, with those moves and without fee.
    """

    node: str
    first: int
    last: int
    close_time: int
    paid: Mapping[str, Landed] = field(default_factory=dict)
    others: Mapping[str, Landed] = field(default_factory=dict)
    lumens: Mapping[str, LumenMoves] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What one node answers about a transaction's hash.

    Attributes:
        status: what it knows.
        tip: how far it sees, by which a NOT_FOUND is judged.
        ledger: where the transaction is, or 0.
        closed_at: close time of that ledger, Unix seconds, or 0.
        fee_charged: stroops, or 0.
        code: result code of the transaction, inner where it was bumped; empty when not found.
        operation_codes: result codes of its operations.
        contract_error: number of the KALE contract's error that made it fail, or None.
        outer_hash: hash of the envelope that landed, hex.
        moves: what the asset's contract told.
        return_value: XDR of the invocation's return value, or None.
        harvests: (farmer's address, block index) of each pail that it called a harvest of, in the order of the call.
        ended: those of them that it ended, as they were before.
    """

    status: Status
    tip: Tip
    ledger: int = 0
    closed_at: int = 0
    fee_charged: int = 0
    code: str = ""
    operation_codes: tuple[str, ...] = ()
    contract_error: int | None = None
    outer_hash: str = ""
    moves: tuple[AssetMove, ...] = ()
    return_value: bytes | None = None
    harvests: tuple[tuple[str, int], ...] = ()
    ended: Mapping[tuple[str, int], Pail] = field(default_factory=dict)

    @property
    def landed(self) -> Landed:
        """What it means for the books, where it was found."""
        return Landed(self.ledger, self.closed_at, self.fee_charged, self.moves)


class Sent(StrEnum):
    """What a node says to an envelope."""

    PENDING = "PENDING"
    DUPLICATE = "DUPLICATE"
    TRY_AGAIN_LATER = "TRY_AGAIN_LATER"
    ERROR = "ERROR"
    UNKNOWN = "UNKNOWN"  # no answer came: it may have been taken


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """The answer to one envelope.

    Attributes:
        status: what was said.
        code: result code that came with ERROR, such as txBAD_SEQ; else empty.
        node: who said it.
    """

    status: Sent
    code: str = ""
    node: str = ""
