"""A store with a past: farmers, blocks, pails with their transactions, shares, payouts and what got stuck."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.histories import StoreHistories
from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.pails import StoreBlocks, StorePails
from kalepool.adapters.store.reports import StoreReports
from kalepool.adapters.store.verify import verify
from kalepool.core.farm import Block
from kalepool.core.farmers import Custody, Terms
from kalepool.core.forecasts import Forecast
from kalepool.core.intents import (
    Attempt,
    Kind,
    Plan,
    Settlement,
    State,
    Verdict,
    pail_item,
    plant_purpose,
)
from kalepool.core.pails import paid as paid_back
from kalepool.core.postings import BURNED, FEES, KALE, MINTED, XLM, account
from kalepool.core.records import BlockRecord, PailRecord, PailState
from kalepool.core.reports import DAY_S, By
from kalepool.core.shares import (
    COMPENSATION,
    Claim,
    loss_key,
    loss_postings,
    owed,
    paid,
    share_key,
    share_postings,
    shared,
)
from support.store import SEAL, HandClock, Town
from support.store import farmer as made_up

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store
    from kalepool.core.farmers import Farmer

START = 20_000 * DAY_S
TERMS = Terms(share_bps=7_000, fee_bps=500, payout="G-payout")
ENDS = (PailState.MISSED, PailState.HARVESTED, PailState.FORFEITED, PailState.EXPIRED)
OPERATOR = account("operator")


@dataclass
class Chances:
    """How often things go otherwise than well, of a hundred."""

    nothing: int = 0
    lost: int = 0
    stuck: int = 0
    fails: int = 0
    unsettled: int = 0
    unpaid: int = 0
    short: int = 0


class Past:
    """Fills a store.

    Args:
        store: open, and new or with such a past already.
        farmers: how many.
        blocks_a_day: evenly spread.
        seed: of everything that chance decides.
    """

    def __init__(self, store: Store, farmers: int = 2, blocks_a_day: int = 2, seed: int = 0) -> None:
        self.store = store
        known = StoreFarmers(store, HandClock())
        self.farmers = known.all() or known.add(
            [made_up(f"farmer-{place}", wallet_index=place, terms=TERMS) for place in range(farmers)],
            who="test",
            seal=lambda _: SEAL,
        )
        self.journal = StoreJournal(store, Town(store).owner(1))
        self.books, self.pails, self.blocks = StoreBooks(store), StorePails(store), StoreBlocks(store)
        self.reports = StoreReports(store, lambda: 0.0)
        self.histories = StoreHistories(store)
        self.every_s = DAY_S // blocks_a_day
        latest = self.blocks.latest()
        self.block = 0 if latest is None else latest.index + 1
        self.chance = random.Random(seed)
        self._signed: int = store.value("SELECT coalesce(max(sequence), 0) FROM attempts")

    def at(self, block: int) -> int:
        """Give when a block opened, network time."""
        return START + block * self.every_s

    def live(self, blocks: int, chances: Chances | None = None) -> None:
        """Let blocks pass, each with a pail of everybody."""
        with self.store.atomic(synced=True):
            for _ in range(blocks):
                self._pass(chances or Chances())

    def _pass(self, chances: Chances) -> None:
        block, at = self.block, self.at(self.block)
        self.block += 1
        content = Block(at, 10, 40, 0, 50_000_000, 5, 9, bytes(32), 7, 10**18)
        self.blocks.record([BlockRecord(block, content, 90_000, 60 * block)])
        for farmer in self.farmers:
            if not self._comes(chances.nothing):
                self.pail(farmer, block, self._end(chances), chances)
        if not self._comes(chances.unpaid):
            self.pay_all(at)

    def _comes(self, percent: int) -> bool:
        return self.chance.randrange(100) < percent

    def _end(self, chances: Chances) -> PailState:
        if self._comes(chances.stuck):
            return self.chance.choice([PailState.PLANNED, PailState.PLANTED, PailState.HARVESTABLE])
        if self._comes(chances.lost):
            return self.chance.choice([PailState.MISSED, PailState.FORFEITED, PailState.EXPIRED])
        return PailState.HARVESTED

    def pail(self, farmer: Farmer, block: int, end: PailState, chances: Chances | None = None) -> PailRecord:
        """Take a pail from its plan to its end, with the transactions of it, and settle it."""
        chances = chances or Chances()
        at, number, stake = self.at(block), farmer.number, self.chance.randrange(10**8)
        wallet = account(farmer.address)
        planted_with = [(wallet, KALE, -stake), (BURNED, KALE, stake)] if stake else []
        record = PailRecord(number, block, PailState.PLANNED, stake)
        self.pails.record([record])
        if self._comes(50):
            self.pails.foretell([Forecast(number, block, 20, 6_500, 10**8)])
        if self._comes(chances.fails):
            self.send(Kind.PLANT, f"failed {number} {block}", [(number, block)], [], at, fails=True)
        if end is PailState.PLANNED:
            return record
        if end is PailState.MISSED:
            missed = replace(record, state=end, why="never landed")
            self.pails.record([missed])
            return missed
        self.send(Kind.PLANT, plant_purpose(number, block), [(number, block)], planted_with, at + 20)
        record = replace(record, state=PailState.PLANTED, planted_ledger=60 * block)
        self.pails.record([record])
        if end not in (PailState.PLANTED, PailState.FORFEITED):
            self.send(Kind.WORK, f"work:{number}:{block}", [(number, block)], [], at + 200)
            gap, zeros = self.chance.randrange(1, 60), self.chance.randrange(10)
            record = replace(record, state=PailState.WORKED, gap=gap, zeros=zeros)
            self.pails.record([record])
        if end is PailState.HARVESTED:
            reward = self.chance.randrange(10**9)
            came = stake + reward
            if chances.short and self._comes(chances.short):
                came = self.chance.randrange(stake + 1)
            minted = [(MINTED, KALE, -came), (wallet, KALE, came)] if came else []
            purpose = f"harvest:{number}:{block}"
            self.send(Kind.HARVEST, purpose, [(number, block)], minted, at + 400)
            record = paid_back(record, came)
        else:
            record = replace(record, state=end, why="" if end is PailState.PLANTED else "a slow node")
        self.pails.record([record])
        if end in ENDS and not self._comes(chances.unsettled):
            self.settle(record)
        return record

    def send(
        self,
        kind: Kind,
        purpose: str,
        pails: list[tuple[int, int]],
        moves: list[tuple[str, str, int]],
        at: int,
        *,
        fails: bool = False,
    ) -> int:
        """Let a transaction of ours land, or fail in its ledger, and book it; give its intent."""
        self._signed += 1
        fee = self.chance.randrange(1, 40_000)
        charged = [(OPERATOR, XLM, -fee), (FEES, XLM, fee)]
        (intent,) = self.journal.plan_all([Plan(kind, purpose, tuple(pail_item(*one) for one in pails))])
        assert intent is not None
        number, name = intent.number, f"{self._signed:064x}"
        source = f"G-{pails[0][0]}" if pails else "operator"
        self.journal.sign(
            number, Attempt(1, name, (f"{name}/outer",), source, self._signed, b"envelope", at + 30, at // 5)
        )
        if fails:
            self.journal.judge([(number, 1, Verdict.LANDED)])
            self.journal.mark([number], State.FAILED)
            self.books.post(f"failed:{name}", charged, at=at)
        else:
            self.journal.settle_all([Settlement(number, (*charged, *moves), float(at))])
        return number

    def settle(self, record: PailRecord) -> None:
        """Book what a pail that is over is worth to whom, as ``services.settling`` does."""
        at = float(self.at(record.block))
        if record.state is PailState.HARVESTED:
            terms = next(one.terms for one in self.farmers if one.number == record.farmer)
            postings = share_postings(record, terms, Custody.CUSTODIAL)
            self.books.post(share_key(record.farmer, record.block), postings, at=at)
        elif record.state is not PailState.MISSED:
            postings = loss_postings(record, record.stake)
            self.books.post(loss_key(record.farmer, record.block), postings, at=at, why=record.why)
        self.pails.mark_settled([(record.farmer, record.block)])

    def pay_all(self, at: float) -> None:
        """Pay every claim there is."""
        for farmer in self.farmers:
            self.pay(farmer, at)

    def pay(self, farmer: Farmer, at: float) -> None:
        """Pay what is owed on account of a farmer."""
        for claim in Claim:
            name = owed(claim, farmer.number)
            balance = self.books.balance(name, KALE)
            if balance:
                lines = [(name, KALE, -balance), (paid(claim, farmer.number), KALE, balance)]
                self.send(Kind.PAY, f"pay:{name}:{at}:{self._signed}", [], lines, int(at))

    def shared(self, number: int) -> tuple[int, ...]:
        """Add up what a farmer's statement says of all pails: reward, fee, pool, share, compensated, stakes, lost."""
        pails = self.pails.of_farmer(number, 0, self.block)
        keys = [key(number, one.block) for one in pails for key in (share_key, loss_key)]
        lines = [line for one in self.books.find(keys).values() for line in one.postings]
        parts = [shared(part, number) for part in ("fee", "pool", "farmer")]
        sums = [sum(-amount for name, _, amount in lines if name == part) for part in (*parts, COMPENSATION)]
        planted = [one for one in pails if one.state not in (PailState.PLANNED, PailState.MISSED)]
        lost = [one for one in pails if one.state in (PailState.FORFEITED, PailState.EXPIRED)]
        kept = (
            *(sum(one.reward or 0 for one in pails), *sums),
            sum(one.stake for one in planted),
            sum(one.stake_lost for one in pails),
            len(planted),
            len(lost),
        )
        names = ("reward", "fee", "pool", "share", "compensated", "stake", "stake_lost", "planted", "lost")
        days = [[getattr(day, name) for name in names] for day in self.histories.days(number)]
        return tuple(map(sum, zip(kept, *days, strict=True)))

    def told(self) -> dict[str, Any]:
        """Give everything that must be the same after anything was rolled up."""
        span = range(START, self.at(self.block) + DAY_S, DAY_S)
        return {
            "by farmer": self.reports.lines(By.FARMER, None),
            "by day": self.reports.lines(By.DAY, None),
            "since": [self.reports.lines(By.FARMER, since) for since in span[::7]],
            "other fees": self.reports.other_fees(None),
            "day fees": self.reports.day_fees(10_000),
            "counts": self.pails.counts(),
            "totals": self.pails.totals(),
            "alive": self.pails.alive(),
            "unsettled": self.pails.unsettled(10_000),
            "balances": {key: held for key, held in self.books.balances().items() if held},
            "total": self.books.total(),
            "movements": [sorted(self.books.movements(day, day + DAY_S)) for day in span],
            "sequences": [self.journal.last_sequence(f"G-{one.number}") for one in self.farmers],
            "payments": [self.histories.payments(farmer.number) for farmer in self.farmers],
            "statements": [self.shared(farmer.number) for farmer in self.farmers],
            "verify": verify(self.store),
        }
