"""The round loop: observe, decide, apply, rest; until a goal is reached or somebody stops it."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core import strategy
from kalepool.core.farmers import FarmerState
from kalepool.core.intents import Kind, State
from kalepool.core.records import PailState
from kalepool.errors import ConfigError, RetryableError
from kalepool.services.chores import Chores
from kalepool.services.events import Event, Name, Teller
from kalepool.services.hashcount import HashCount
from kalepool.services.observing import kept
from kalepool.services.picture import Picture, Seat
from kalepool.services.stopping import AtRisk, Goal, Phase, Progress, Stop
from kalepool.services.tending import Tender

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalepool.core.farm import Proof
    from kalepool.core.records import PailRecord
    from kalepool.ports import Farmers
    from kalepool.services.events import Listener
    from kalepool.services.look import Look
    from kalepool.services.means import Means

_SEEN_AFTER: Final = 0.1
"""A node tells of a ledger this part of a ledger's time after it closed, or later."""

_LATE_AGAIN: Final = 0.25
"""Where a ledger is late, it is asked for again after this part of a ledger's time."""

_FIRST_LOOKS_S: Final = (0.5, 1.0, 2.0, 4.0)
"""At the start nobody knows yet how fast the network's time runs: a local one may hurry. So look soon, and again."""

_FREE: Final = 0.3
"""Chores begin only when the next look is further off than this part of a ledger's time."""

_FIRST_PAUSE: Final = 0.125
_SAMPLES: Final = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        blocks: planted in this run.
        at_risk: stakes that are lost unless somebody works their pails in time.
        pending: pails that cannot be harvested yet, because nobody has opened the next block.
        expired: pails that were found expired.
        why: for people.
    """

    blocks: tuple[int, ...]
    at_risk: tuple[AtRisk, ...]
    pending: int
    expired: int
    why: str


def require_farmers(farmers: Farmers) -> None:
    """Insist that there is somebody to mine for.

    Raises:
        ConfigError: when no farmer is active.
    """
    if not farmers.all(FarmerState.ACTIVE):
        raise ConfigError(
            "there is no active farmer to mine for",
            hint="add one and fund him: kalepool farmer add NAME, then kalepool wallet fund --all",
        )


class Mining:
    """Mines for all farmers of a pool.

    Args:
        means: of the pool.
        goal: how long.
        listeners: are told what happens, a batch for each look.
    """

    def __init__(self, means: Means, goal: Goal | None = None, listeners: Sequence[Listener] = ()) -> None:
        self._means = means
        self._teller = Teller(listeners)
        self._stop = Stop()
        self._progress = Progress(goal or Goal())
        self._tender = Tender(means, self._teller, self._stop, self._progress)
        self._count = HashCount(means)
        self._chores = Chores(means.upkeep, means.monotonic, self._tell_of_store)
        self._failures = 0
        self._looks = 0
        self._samples: deque[tuple[float, float, int]] = deque(maxlen=_SAMPLES)
        self._told: Mapping[int, Proof] = {}
        self._told_zeros: dict[tuple[int, int], int] = {}
        self._why = ""
        self._pictured: tuple[Look, Mapping[int, Proof], int] | None = None
        self._seats: dict[int, Seat] = {}

    def request_stop(self) -> None:
        """Ask once: plant nothing more, work what is open, end. Ask again: end at once. For signal handlers."""
        self._stop.request()

    async def run(self) -> Outcome:
        """Mine until the goal is reached or a stop is done.

        Raises:
            ConfigError: when there is no active farmer.
            LockedError: when another process mines, or has taken over.
        """
        require_farmers(self._means.farmers)
        with self._means.lock.hold():
            rounds = asyncio.ensure_future(self._rounds())
            halted = asyncio.ensure_future(self._stop.beyond(Phase.STOPPING))
            try:
                await asyncio.wait({rounds, halted}, return_when=asyncio.FIRST_COMPLETED)
                if rounds.done():
                    rounds.result()
            finally:
                for task in (rounds, halted):
                    task.cancel()
                    with suppress(asyncio.CancelledError, Exception):
                        await task
                self._means.grinder.stop()
                if self._tender.look is not None:
                    self._count.note(self._tender.look.snapshot.farm.index, is_last=True)
            return self._ended()

    async def _rounds(self) -> None:
        started = Event(Name.STARTED, self._means.clock.now(), reason=self._greeting())
        self._teller.tell(started)
        while True:
            phase = self._stop.phase
            until = await self._round()
            self._keep()
            if self._is_done():
                return
            await self._rest(until, phase)

    def _greeting(self) -> str:
        farmers = self._means.farmers.all(FarmerState.ACTIVE)
        return f"{len(farmers)} active farmers"

    async def _round(self) -> float:
        """Make a round, whatever the network does; give when the next is to be."""
        clock = self._means.clock
        self._means.lock.beat()
        before = self._tender.look
        try:
            wait = await self._tender.round(self._rate(), self._speed())
        except RetryableError as error:
            return self._back_off(error)
        self._failures = 0
        self._looks += 1
        look = self._tender.look
        assert look is not None
        now, seconds = clock.now(), clock.ledger_seconds
        until = wait.until
        if until <= look.pace.next_close():
            until = look.pace.next_close() + _SEEN_AFTER * seconds
        if before is not None and before.pace.ledger == look.pace.ledger:
            until = max(until, now + _LATE_AGAIN * seconds)
        if self._looks <= len(_FIRST_LOOKS_S):
            until = min(until, now + _FIRST_LOOKS_S[self._looks - 1])
        return until

    def _back_off(self, error: RetryableError) -> float:
        clock = self._means.clock
        now = clock.now()
        self._teller.tell_once(
            f"network {error.message}", Event(Name.RETRY, now, reason=f"network: {error.message}")
        )
        look = self._tender.look
        if clock.is_stale() and look is not None and not look.is_stale:
            look.is_stale = True
            self._teller.tell(Event(Name.NETWORK_LOST, now, ledger=look.pace.ledger, reason=error.message))
        pause = min(_FIRST_PAUSE * 2.0**self._failures, 1.0)
        self._failures = min(self._failures + 1, 8)
        return now + pause * clock.ledger_seconds

    async def _rest(self, until: float, phase: Phase) -> None:
        """Wait, saving what is found each ledger, unless somebody says stop or has died with something under way."""
        clock = self._means.clock
        while (now := clock.now()) < until and self._stop.phase is phase:
            if phase is Phase.RUNNING:
                free_until = until - _FREE * clock.ledger_seconds
                await self._chores.do_some(lambda: clock.now() < free_until and self._stop.phase is phase)  # noqa: B023
            waits = {
                asyncio.ensure_future(clock.sleep_until(min(until, now + clock.ledger_seconds))),
                asyncio.ensure_future(self._stop.beyond(phase)),
            }
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in waits:
                    task.cancel()
            self._keep()
            if self._inherits():
                return

    def _tell_of_store(self, reason: str) -> None:
        self._teller.tell_once(reason, Event(Name.RETRY, self._means.clock.now(), reason=reason))

    def _keep(self) -> None:
        """Save what was found, tell of better proofs, and show that we live."""
        grinder = self._means.grinder
        grinder.save()
        self._samples.append((self._means.monotonic(), self._means.clock.now(), grinder.hashes))
        look = self._tender.look
        if look is not None:
            self._count.note(look.snapshot.farm.index)
        if look is not None and grinder.saved is not self._told:
            self._told = grinder.saved
            for farmer, proof in grinder.saved.items():
                key = (farmer, proof.index)
                if proof.zeros > self._told_zeros.get(key, -1) and farmer in look.farmers:
                    self._told_zeros[key] = proof.zeros
                    name = look.farmers[farmer].name
                    self._teller.tell(
                        Event(Name.PROOF, self._means.clock.now(), name, proof.index, zeros=proof.zeros)
                    )
            index = look.snapshot.farm.index
            self._told_zeros = {key: zeros for key, zeros in self._told_zeros.items() if key[1] >= index}
        self._teller.flush()

    def _rate(self) -> float:
        """Give hashes a second, as the machine counts seconds: for people."""
        return self._per_second(0)

    def _speed(self) -> float:
        """Give hashes a second of network time, by which plans are made: a local network's may run faster."""
        return self._per_second(1)

    def _per_second(self, clock: int) -> float:
        if len(self._samples) < 2:  # noqa: PLR2004 - a rate lies between two
            return 0.0
        first, last = self._samples[0], self._samples[-1]
        seconds = last[clock] - first[clock]
        return (last[2] - first[2]) / seconds if seconds > 0 else 0.0

    # The end

    def _is_done(self) -> bool:
        look = self._tender.look
        if look is None:
            return False
        if self._stop.phase is not Phase.RUNNING:
            self._why = "stopped as asked: every open pail is worked, or its block is over"
            return not self._unworked(look) and not self._moving() and not self._is_unseen(look)
        if not self._progress.is_full:
            return False
        farm = look.snapshot.farm
        records = [
            record
            for block in self._progress.blocks
            for record in self._means.pails.in_blocks(block, block)
            # What cannot be paid out, for want of a trustline or of room in it, is not waited for.
            if not self._is_unpayable(record)
        ]
        if self._progress.is_reached(records, farm.index):
            self._why = f"{len(self._progress.blocks)} blocks are planted, worked and harvested"
            blocks = set(self._progress.blocks)
            told = not any(
                record.block in blocks and not self._is_unpayable(record)
                for ripe in self._tender.observer.ripe.values()
                for record in ripe
            )
            return told and not self._moving(Kind.HARVEST)
        if farm.block is None or self._unworked(look) or self._moving() or self._is_unseen(look):
            return False
        self._why = "the last block stays open: nobody has opened the next"
        return self._progress.is_pending(farm.index, strategy.due_at(farm.block), look.pace.now)

    def _is_unpayable(self, record: PailRecord) -> bool:
        return record.state is PailState.HARVESTABLE and bool(
            self._means.harvester.refusal(record.farmer, record.block)
        )

    def _unworked(self, look: Look) -> bool:
        return any(
            record.block >= look.snapshot.farm.index for record in self._means.pails.alive(PailState.PLANTED)
        )

    def _inherits(self) -> bool:
        """Tell whether something is under way that is this process's, or was left by one that has died."""
        return bool(self._means.journal.open_intents(mine=False)) and self._moving(*Kind)

    @staticmethod
    def _is_unseen(look: Look) -> bool:
        """Tell whether something has landed, and closed its intent, that the look does not show yet."""
        index = look.snapshot.farm.index
        return any(block >= index for _, block in look.under_way.plants | look.under_way.works)

    def _moving(self, *kinds: Kind) -> bool:
        wanted = kinds or (Kind.PLANT, Kind.WORK)
        return any(
            intent.kind in wanted and intent.state is not State.UNRESOLVED
            for intent in self._means.journal.open_intents()
        )

    def _ended(self) -> Outcome:
        look = self._tender.look
        index = 0 if look is None else look.snapshot.farm.index
        farmers = {farmer.number: farmer.name for farmer in self._means.farmers.all()}
        at_risk = tuple(
            AtRisk(farmers[record.farmer], record.block, record.stake)
            for record in self._means.pails.alive(PailState.PLANNED, PailState.PLANTED)
            if record.block >= index and record.stake
        )
        halted = self._stop.phase is Phase.HALTED
        why = "stopped at once" if halted else self._why
        if halted and at_risk:
            why += f": {len(at_risk)} stakes are at risk"
        pending = sum(
            record.block in self._progress.blocks
            for record in self._means.pails.alive(PailState.WORKED, PailState.HARVESTABLE)
        )
        if not halted:
            at_risk = ()
        self._teller.tell(Event(Name.STOPPED, self._means.clock.now(), reason=why, at_risk=at_risk))
        self._teller.flush()
        return Outcome(self._progress.blocks, at_risk, pending, self._tender.expired, why)

    # What there is to see

    def picture(self) -> Picture:
        """Give the present state, from memory alone but for the farmers' pails in the current block."""
        clock, look = self._means.clock, self._tender.look
        if look is None:
            return Picture(clock.now(), phase=self._stop.phase, events=tuple(self._teller.last))
        farm, pace = look.snapshot.farm, look.pace
        dated = look.snapshot.blocks.get(farm.index)
        operator = self._tender.accounts[self._means.operator]
        return Picture(
            now=clock.now(),
            ledger=pace.ledger,
            close_time=pace.close_time,
            ledger_seconds=pace.ledger_seconds,
            index=farm.index,
            block=None if dated is None else dated.block,
            age=None if farm.block is None else clock.now() - farm.block.timestamp,
            due_at=None if farm.block is None else strategy.due_at(farm.block),
            paused=farm.paused,
            farmers=Counter(farmer.state for farmer in look.farmers.values()),
            seats=self._seated(look),
            hashes_per_second=self._rate(),
            operator_xlm=None if operator is None else operator.xlm,
            held_back=look.held_back,
            waits_for=look.wait.reason,
            waits_until=look.wait.until,
            is_stale=look.is_stale,
            phase=self._stop.phase,
            blocks=self._progress.blocks,
            events=tuple(self._teller.last),
        )

    def _seated(self, look: Look) -> dict[int, Seat]:
        """Give everybody's seat: the same ones until a look, a proof or something sent changes them."""
        index = look.snapshot.farm.index
        proofs = self._means.grinder.saved
        shown = look, proofs, look.under_way.count
        if self._pictured is not None and all(map(_is_same, shown, self._pictured)):
            return self._seats
        seats = {}
        for farmer in kept(look.farmers.values()):
            dated = look.snapshot.pails.get((farmer.address, index))
            proof = proofs.get(farmer.number)
            key = (farmer.number, index)
            # While the engine hashes ahead for the next block, what landed in this one was the best.
            zeros = None if dated is None else dated.pail.zeros
            seats[farmer.number] = Seat(
                farmer.name,
                planted=dated is not None,
                worked=dated is not None and dated.pail.zeros is not None,
                stake=None if dated is None else dated.pail.stake,
                zeros=zeros,
                best=zeros if proof is None or proof.index != index else proof.zeros,
                is_under_way=key in look.under_way.plants or key in look.under_way.works,
            )
        self._pictured, self._seats = shown, seats
        return seats


def _is_same(now: object, before: object) -> bool:
    return now is before or (isinstance(now, int) and now == before)
