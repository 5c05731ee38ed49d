"""What the pool tells of itself: where it stands, and what it earned and spent. Read only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kalepool.core.amounts import format_amount
from kalepool.core.facts import RESTORED
from kalepool.core.records import BlockRecord, PailState, View
from kalepool.core.reports import DAY_S, Line, Notice, parse_since, some

if TYPE_CHECKING:
    from kalepool.core.prices import Price
    from kalepool.core.reports import By, HashedDay, Overview
    from kalepool.ports import Blocks, Chain, Facts, Reports, Views
    from kalepool.services.pricing import Pricer

OLD_VIEW_S: Final = 600.0
"""A view older than this is pointed out, where nobody mines; a miner sees every ledger or two."""

OLD_MINING_VIEW_S: Final = 60.0
NEAR_LEDGERS: Final = 4_320
"""A pail that dies within so many ledgers, a quarter of its life, should long have been harvested."""

_NEARLY: Final = 0.95
"""Part of the day's ceiling from which on its fees are pointed out: what is left may be less than a pail costs."""

LEAST_DAYS: Final = 3
"""XLM that lasts less long than this is low."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where the pool stands.

    Attributes:
        view: what was last seen of the network; None where it was never seen.
        view_age_s: seconds since, on the machine's clock.
        block: the current block as last seen; None where it is not known.
        overview: counts of farmers, pails and money actions.
        day_fees: XLM spent on fees in a day, stroops; None where nothing was spent yet.
        notices: what the operator should know.
    """

    view: View | None
    view_age_s: float
    block: BlockRecord | None
    overview: Overview
    day_fees: int | None
    notices: tuple[Notice, ...]

    @property
    def mining(self) -> bool:
        """Whether a living process holds the mining lock."""
        return self.overview.holder is not None and self.overview.holder.alive

    @property
    def hashrate(self) -> int:
        """Hashes a second, as last seen; 0 where nobody mines."""
        return self.view.hashrate if self.view is not None and self.mining else 0

    @property
    def block_age_s(self) -> int | None:
        """Network seconds from the block's opening to the last ledger seen."""
        if self.view is None or self.block is None:
            return None
        return self.view.close_time - self.block.block.timestamp

    @property
    def days_left(self) -> float | None:
        """Days that the operator's XLM pays for, at a day's present cost; None where that is not known."""
        if self.view is None or not self.day_fees:
            return None
        return self.view.operator_xlm / self.day_fees


@dataclass(frozen=True, slots=True)
class Report:
    """What was earned and spent.

    Attributes:
        by: what a line stands for.
        since: network time of the start; None for all.
        until: network time of the last ledger seen.
        lines: in their order.
        total: their sum.
        other_fees: XLM fees that belong to no pail: funding, sweeps. Stroops, from ``since`` on.
        price: what KALE is worth now; profits are told at it.
        folded_until: network time before which days may be there as sums alone, each counted whole; None where
            the report holds none.
    """

    by: By
    since: float | None
    until: float
    lines: tuple[Line, ...]
    total: Line
    other_fees: int
    price: Price
    folded_until: float | None = None

    @property
    def profit(self) -> int | None:
        """Profit of all lines less the fees that belong to none, stroops of XLM; None without a price."""
        found = self.total.profit(self.price)
        return None if found is None else found - self.other_fees


class Reporting:
    """Reads what a store has.

    Args:
        views: what was last seen of the network.
        blocks: blocks as last seen.
        reports: counts and sums.
        facts: what was remembered.
        pricer: says what KALE is worth.
        day_most: fees of a day, stroops, at which planting stops.
    """

    def __init__(
        self, views: Views, blocks: Blocks, reports: Reports, facts: Facts, pricer: Pricer, *, day_most: int
    ) -> None:
        self._day_most = day_most
        self._views = views
        self._blocks = blocks
        self._reports = reports
        self._facts = facts
        self._pricer = pricer

    def status(self, now: float) -> Status:
        """Tell where the pool stands.

        Args:
            now: the machine's time, Unix seconds, for ages.
        """
        view, overview = self._views.last(), self._reports.overview()
        known = [] if view is None else self._blocks.between(view.block, view.block)
        status = Status(
            view=view,
            view_age_s=0.0 if view is None else max(now - view.seen_at, 0.0),
            block=known[0] if known else None,
            overview=overview,
            day_fees=day_cost(self._reports.day_fees(2), self._network_time(view)),
            notices=(),
        )
        return replace(status, notices=tuple(self._notices(status, now)))

    def report(self, by: By, since: str) -> Report:
        """Tell what was earned and spent.

        Args:
            by: what a line stands for.
            since: ``24h``, ``7d``, ``all`` or a day, by the network's time.

        Raises:
            UsageError: when ``since`` is none of these.
        """
        until = self._network_time(self._views.last())
        start = parse_since(since, until)
        lines = self._reports.lines(by, start)
        other = self._reports.other_fees(start)
        latest = self._blocks.latest()
        price = self._pricer.price(0 if latest is None else latest.index)
        folded = self._reports.folded_until()
        if folded is not None and start is not None and start >= folded:
            folded = None
        return Report(by, start, until, tuple(lines), Line.total(lines), other, price, folded)

    def hashed(self, since: str) -> list[HashedDay]:
        """Tell how much was hashed in each day.

        Raises:
            UsageError: when ``since`` is no time to report from.
        """
        return self._reports.hashed(parse_since(since, self._network_time(self._views.last())))

    def _network_time(self, view: View | None) -> float:
        """Give the latest network time that the store knows of; 0 in a new one."""
        latest = self._blocks.latest()
        return max(0 if view is None else view.close_time, 0 if latest is None else latest.block.timestamp)

    def _notices(self, status: Status, now: float) -> list[Notice]:
        return [
            *self._of_view(status),
            *_of_mining(status, now),
            *self._of_pails(status),
            *_of_money(status),
            *self._of_fees(status),
            *self._of_store(),
        ]

    @staticmethod
    def _of_view(status: Status) -> list[Notice]:
        if status.view is None:
            return [Notice("the network has not been looked at yet", "look now: kalepool status --refresh")]
        notices = []
        if status.view_age_s > (OLD_MINING_VIEW_S if status.mining else OLD_VIEW_S):
            do = "see what `mine` says" if status.mining else "look now: kalepool status --refresh"
            notices.append(Notice("what is shown of the network is old", do))
        if status.view.paused:
            notices.append(
                Notice(
                    "the farm is paused on the network: nobody can plant",
                    "wait; harvest what can be harvested: kalepool harvest",
                )
            )
        return notices

    def _of_pails(self, status: Status) -> list[Notice]:
        if status.view is None:
            return []
        count, first = self._reports.expiring(status.view.ledger + NEAR_LEDGERS)
        if not count or first is None:
            return []
        left = first - status.view.ledger
        when = f"the first ends in {some(left, 'ledger')}" if left > 0 else "the first may be gone"
        return [
            Notice(f"{some(count, 'pail')} to harvest soon, {when}", "harvest them now: kalepool harvest")
        ]

    def _of_fees(self, status: Status) -> list[Notice]:
        today = int(self._network_time(status.view) // DAY_S)
        spent = sum(stroops for day, stroops in self._reports.day_fees(2) if day == today)
        if spent < self._day_most * _NEARLY:
            return []
        what = f"fees of this day have come to {format_amount(spent)} of at most {format_amount(self._day_most)} XLM"
        return [Notice(what, "planting stops there: see fees.day_most_xlm")]

    def _of_store(self) -> list[Notice]:
        if self._facts.get(RESTORED) is None:
            return []
        return [Notice("this store is a restored backup", "check it: kalepool db verify --chain")]


def _of_mining(status: Status, now: float) -> list[Notice]:
    holder, active = status.overview.holder, status.overview.pails[PailState.PLANTED]
    if holder is None or not holder.alive:
        if not active:
            return []
        return [
            Notice(
                f"nobody mines, and work is missing for {some(active, 'pail')}",
                "save their stakes: kalepool mine",
            )
        ]
    silent = now - holder.heartbeat
    if silent <= OLD_MINING_VIEW_S:
        return []
    return [Notice(f"`{holder.role}` (pid {holder.pid}) gives no sign of life", "look at it, or restart it")]


def _of_money(status: Status) -> list[Notice]:
    notices = []
    if status.overview.unresolved:
        count = status.overview.unresolved
        notices.append(
            Notice(
                f"the outcome of {some(count, 'transaction')} is unknown", "look: kalepool db verify --chain"
            )
        )
    if status.view is None:
        return notices
    operator = "send XLM to the operator's account"
    if status.view.operator_xlm == 0:
        notices.append(Notice("the operator has no XLM", operator))
    elif status.days_left is not None and status.days_left < LEAST_DAYS:
        notices.append(Notice(f"the operator's XLM lasts for {status.days_left:.1f} days", operator))
    return notices


def day_cost(day_fees: list[tuple[int, int]], now: float) -> int | None:
    """Give what a day costs in fees, stroops: the last whole day with any, else the present one so far.

    Args:
        day_fees: (day since 1970, stroops), the latest first.
        now: network time.
    """
    today = int(now // DAY_S)
    past = [stroops for day, stroops in day_fees if day < today]
    if past:
        return past[0]
    return day_fees[0][1] if day_fees else None


async def refresh(chain: Chain, views: Views, blocks: Blocks, operator: str, now: float) -> None:
    """Look at the network, and remember what was seen.

    Args:
        chain: the network.
        views: where it is remembered; the hash rate there stays as it is.
        blocks: where blocks are remembered.
        operator: G address.
        now: the machine's time, Unix seconds.

    Raises:
        RetryableError: when no node answers.
    """
    snapshot = await chain.snapshot([])
    accounts = await chain.accounts([operator])
    tip = snapshot.tip or await chain.tip()
    last = views.last()
    blocks.record([BlockRecord(index, one.block, one.live_until) for index, one in snapshot.blocks.items()])
    views.save_accounts(list(accounts.values()), snapshot.ledger)
    views.save(
        View(
            ledger=snapshot.ledger,
            close_time=tip.close_time,
            block=snapshot.farm.index,
            paused=snapshot.farm.paused,
            operator_xlm=accounts[operator].xlm if operator in accounts else 0,
            hashrate=0 if last is None else last.hashrate,
            seen_at=now,
        )
    )
