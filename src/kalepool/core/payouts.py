"""Which claims are paid now, which are held and why, and how payments are put together: plain decisions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.classic import Payment
from kalepool.core.postings import KALE, account
from kalepool.core.shares import Claim, owed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kalepool.core.chain import AccountState
    from kalepool.core.farmers import Farmer, Terms

MAX_PAYERS: Final = 19
"""A transaction carries 20 signatures: each payer signs, and its source too."""

MAX_PAYMENTS: Final = 100
_HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class Line:
    """One payment that settles one claim.

    Attributes:
        claim: whose.
        farmer: number of the farmer on whose account it is owed.
        name: his.
        source: who pays, G address: his wallet, or the operator.
        destination: G address; empty where he has none.
        amount: stroops of KALE, more than 0.
        memo: on the transaction, or empty.
    """

    claim: Claim
    farmer: int
    name: str
    source: str
    destination: str
    amount: int
    memo: str = ""

    @property
    def item(self) -> str:
        """Key of the claim as an item: it is in one open payment at a time."""
        return f"due:{self.claim}:{self.farmer}"

    @property
    def account(self) -> str:
        """The claim's account in the books."""
        return owed(self.claim, self.farmer)

    @property
    def payment(self) -> Payment:
        """The payment as an operation."""
        return Payment(self.destination, self.amount, source=self.source)


@dataclass(frozen=True, slots=True)
class Held:
    """A payment that is not made now.

    Attributes:
        line: which.
        why: the reason, for people.
    """

    line: Line
    why: str


@dataclass(slots=True)
class Choice:
    """Payments to be made, and payments that wait.

    Attributes:
        lines: to be made.
        held: something stands in the way of these, and a person can mend it.
        waiting: these are below their threshold, or before their time.
    """

    lines: list[Line] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    waiting: list[Held] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Dues:
    """What is owed, by account of the books, stroops of KALE.

    Attributes:
        owed: balances of claims, what payments under way have promised left out.
        last: network time when something was last paid of each.
    """

    owed: Mapping[str, int]
    last: Mapping[str, float]

    def of(self, claim: Claim, farmer: int) -> int:
        """Give what is owed."""
        return self.owed.get(owed(claim, farmer), 0)


def choose(
    agreed: Iterable[tuple[Farmer, Terms]], dues: Dues, *, operator: str, pool_from: int, now: float
) -> Choice:
    """Choose what is due.

    Args:
        agreed: farmers, each with his terms of today, checked: they say where he is paid.
        dues: what is owed.
        operator: G address; receives the pool's part and pays compensation.
        pool_from: stroops; less than this of the pool's part stays in a wallet.
        now: network time.
    """
    choice = Choice()
    for farmer, terms in agreed:
        for line in lines_of(farmer, terms, dues, operator):
            least = pool_from if line.claim is Claim.POOL else terms.payout_from
            since = now - dues.last.get(owed(Claim.FARMER, farmer.number), float("-inf"))
            if line.amount < least:
                why = f"less than {format_amount(least)} KALE"
                choice.waiting.append(Held(line, why))
            elif line.claim is Claim.FARMER and since < terms.payout_every_h * _HOUR_S:
                choice.waiting.append(Held(line, f"paid every {terms.payout_every_h} h"))
            else:
                choice.lines.append(line)
    return choice


def lines_of(farmer: Farmer, terms: Terms, dues: Dues, operator: str) -> list[Line]:
    """Give a payment for each claim on account of a farmer, his own first: it takes first of what there is."""
    lines = []
    for claim in (Claim.FARMER, Claim.POOL, Claim.COMPENSATION):
        amount = dues.of(claim, farmer.number)
        if amount <= 0:
            continue
        source = operator if claim is Claim.COMPENSATION else farmer.address
        destination, memo = operator, ""
        if claim is not Claim.POOL:
            # A compensation is his stake: without an address it goes where the stake came from.
            at_home = farmer.address if claim is Claim.COMPENSATION else ""
            destination, memo = terms.payout or at_home, terms.memo if terms.payout else ""
        lines.append(Line(claim, farmer.number, farmer.name, source, destination, amount, memo))
    return lines


def sift(
    lines: Sequence[Line],
    states: Mapping[str, AccountState],
    reserved: Mapping[tuple[str, str], int],
    issuer: str,
) -> tuple[list[Line], list[Held]]:
    """Part payments that can be made from those that cannot.

    Args:
        lines: wanted, in the order in which they take what there is.
        states: of every account concerned that exists.
        reserved: what open intents may still spend, by (account, asset).
        issuer: of KALE: what is sent there is gone.
    """
    good: list[Line] = []
    held: list[Held] = []
    spent: Counter[str] = Counter()
    received: Counter[str] = Counter()
    for line in lines:
        why = _unpayable(line, states, reserved, issuer, spent, received)
        if why:
            held.append(Held(line, why))
            continue
        spent[line.source] += line.amount
        received[line.destination] += line.amount
        good.append(line)
    return good, held


def _unpayable(
    line: Line,
    states: Mapping[str, AccountState],
    reserved: Mapping[tuple[str, str], int],
    issuer: str,
    spent: Mapping[str, int],
    received: Mapping[str, int],
) -> str:
    """Tell what stands in the way of a payment; empty where nothing does."""
    if not line.destination:
        return "has no payout address"
    if line.destination == issuer:
        return "the payout address is the issuer of KALE: what is sent there is destroyed"
    if line.destination == line.source:
        return "the payout address is his own wallet"
    taker, giver = states.get(line.destination), states.get(line.source)
    if taker is None:
        return "the payout address does not exist on the network"
    if taker.kale is None or taker.kale_limit is None:
        return "the payout address has no KALE trustline"
    if taker.kale_limit - taker.kale - received.get(line.destination, 0) < line.amount:
        return "the KALE trustline of the payout address is at its limit"
    whose = "the operator's account" if line.claim is Claim.COMPENSATION else "his wallet"
    if giver is None or giver.kale is None:
        return f"{whose} holds no KALE"
    free = giver.kale - reserved.get((account(line.source), KALE), 0) - spent.get(line.source, 0)
    if free < line.amount:
        return f"{whose} has only {format_amount(max(free, 0))} KALE free; more comes with the next harvest"
    return ""


def batches(lines: Iterable[Line]) -> list[tuple[Line, ...]]:
    """Put payments together into as few transactions as signatures and operations allow.

    All payments of a transaction have the same memo. Those of one payer stay together.
    """
    by_memo: dict[str, dict[str, list[Line]]] = {}
    for line in lines:
        by_memo.setdefault(line.memo, {}).setdefault(line.source, []).append(line)
    found: list[tuple[Line, ...]] = []
    for by_payer in by_memo.values():
        batch: list[Line] = []
        payers: set[str] = set()
        for payer, own in by_payer.items():
            for start in range(0, len(own), MAX_PAYMENTS):
                part = own[start : start + MAX_PAYMENTS]
                full = len(payers | {payer}) > MAX_PAYERS or len(batch) + len(part) > MAX_PAYMENTS
                if batch and full:
                    found.append(tuple(batch))
                    batch, payers = [], set()
                batch += part
                payers.add(payer)
        if batch:
            found.append(tuple(batch))
    return found


def halves(batch: Sequence[Line]) -> list[tuple[Line, ...]]:
    """Part a batch that failed, until the bad line stands alone."""
    middle = len(batch) // 2
    return [part for part in (tuple(batch[:middle]), tuple(batch[middle:])) if part]
