"""What a look shows of what has happened: noted where it matters for what comes next, and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.intents import Kind, State, pail_of
from kalepool.core.records import PailState
from kalepool.services.events import Event, Name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.forecasts import Outcome
    from kalepool.core.strategy import Pace
    from kalepool.services.dispatch import Dispatcher
    from kalepool.services.events import Teller
    from kalepool.services.harvesting import Harvested
    from kalepool.services.lanes import Accounts, Landings
    from kalepool.services.look import Look
    from kalepool.services.means import Means
    from kalepool.services.observing import Change, Observer
    from kalepool.services.reconcile import Closed
    from kalepool.services.stopping import Progress
    from kalepool.services.witness import Witnessed

_REMEMBERED_BLOCKS: Final = 30

_TOLD: Final = {
    PailState.PLANTED: Name.PLANTED,
    PailState.WORKED: Name.WORKED,
    PailState.HARVESTED: Name.HARVESTED,
    PailState.FORFEITED: Name.FORFEITED,
    PailState.EXPIRED: Name.EXPIRED,
}
_ENDS: Final = frozenset({Name.HARVESTED, Name.FORFEITED, Name.EXPIRED})
_KIND_OF: Final = {
    Name.PLANTED: Kind.PLANT,
    Name.WORKED: Kind.WORK,
    Name.HARVESTED: Kind.HARVEST,
}


class Chronicle:
    """Notes and tells.

    Args:
        means: of the pool.
        teller: is told.
        observer: knows what is harvestable.
        accounts: as last read.
        dispatcher: counts tries.
        landings: what no snapshot has shown yet.
        progress: which blocks were planted.
    """

    def __init__(
        self,
        means: Means,
        teller: Teller,
        observer: Observer,
        accounts: Accounts,
        dispatcher: Dispatcher,
        landings: Landings,
        progress: Progress,
    ) -> None:
        self._means = means
        self._teller = teller
        self._observer = observer
        self._accounts = accounts
        self._dispatcher = dispatcher
        self._landings = landings
        self._progress = progress
        self._transactions: dict[tuple[Kind, int, int], str] = {}
        self._harvested: set[tuple[int, int]] = set()
        self._ended: set[int] = set()
        self.expired = 0

    def note_closed(self, closed: Sequence[Closed], look: Look) -> None:
        """Take note of what became of intents."""
        self._landings.note(closed)
        for one in closed:
            self._note_accounts(one)
            for pail in filter(None, map(pail_of, one.intent.items)):
                self._note_pail(one, pail, look)

    def _note_accounts(self, one: Closed) -> None:
        if one.landed is not None:
            self._accounts.charge(self._means.operator, one.landed.fee_charged)
        if one.state is State.FAILED:
            self._mistrust(one.intent.kind)
        elif one.is_overtaken:
            self._accounts.note_used(one.intent.attempts[-1].source, one.intent.attempts[-1].sequence)
        elif one.state is State.EXPIRED:
            # It may have carried a number that its owner used meanwhile: the next would be as dead.
            self._accounts.outdate()

    def _note_pail(self, one: Closed, pail: tuple[int, int], look: Look) -> None:
        kind = one.intent.kind
        transaction = one.intent.attempts[-1].outer_hashes[-1] if one.intent.attempts else None
        if one.state is State.SETTLED:
            self._dispatcher.renew(kind, *pail)
            if transaction is not None:
                self._transactions[kind, *pail] = transaction
            return
        if one.is_overtaken:
            self._dispatcher.renew(kind, *pail)
        else:
            self._dispatcher.fail(kind, *pail)
        self._tell_pail(Name.RETRY, look, pail, transaction=transaction, reason=f"{kind}: {one.why}")

    def _mistrust(self, kind: Kind) -> None:
        """Read accounts and learn calls anew: a ledger has shown that something is not as was thought."""
        self._accounts.outdate()
        if kind in {Kind.PLANT, Kind.WORK}:
            self._means.composer.forget(kind)

    def tell_changes(self, changes: Sequence[Change], look: Look, before: Look | None) -> None:
        """Tell what became of pails, and of a block that has opened."""
        farm = look.snapshot.farm
        if before is not None and before.snapshot.farm.index != farm.index:
            self._teller.again()
            self._dispatcher.forget(farm.index)
            self._progress.drop_missed(
                [
                    record
                    for block in self._progress.blocks
                    for record in self._means.pails.in_blocks(block, block)
                ],
                farm.index,
            )
            self._harvested = {key for key in self._harvested if key[1] >= farm.index - _REMEMBERED_BLOCKS}
            self._transactions = {
                key: value
                for key, value in self._transactions.items()
                if key[2] >= farm.index - _REMEMBERED_BLOCKS
            }
            self.tell(Name.BLOCK_OPENED, look.pace, block=farm.index)
        for change in changes:
            self._tell_change(change, look)

    def _tell_change(self, change: Change, look: Look) -> None:
        old, now = change.before, change.now
        name = _TOLD.get(now.state)
        if name is None or (old is not None and old.state is now.state and old.zeros == now.zeros):
            return
        self.expired += name is Name.EXPIRED
        if name is Name.HARVESTED:
            if (now.farmer, now.block) in self._harvested:
                return
            self._harvested.add((now.farmer, now.block))
        transaction = (
            self._transactions.get((_KIND_OF[name], now.farmer, now.block)) if name in _KIND_OF else None
        )
        if name in _ENDS:
            self._ended.add(now.block)
        reason = now.why
        if name is Name.WORKED and old is not None and old.zeros is not None:
            reason = f"improved from {old.zeros} zeros"
        self._teller.tell(
            Event(
                name,
                look.pace.close_time,
                change.farmer.name,
                now.block,
                look.pace.ledger,
                transaction,
                reason,
                now.stake,
                now.zeros,
                now.reward,
            )
        )

    def tell_harvested(self, harvested: Sequence[Harvested], look: Look) -> None:
        """Tell what harvests of ours have paid, each once."""
        for one in harvested:
            self._observer.drop_ripe(one.farmer, one.block)
            if (one.farmer, one.block) in self._harvested:
                continue
            self._harvested.add((one.farmer, one.block))
            self._ended.add(one.block)
            self._teller.tell(
                Event(
                    Name.HARVESTED,
                    look.pace.close_time,
                    look.farmers[one.farmer].name,
                    one.block,
                    look.pace.ledger,
                    one.transaction,
                    one.why,
                    stake=one.stake,
                    reward=one.reward,
                )
            )

    def tell_outcomes(self, outcome: Callable[[int], Outcome | None]) -> None:
        """Tell of blocks that have ended now for all farmers what was planned of them, and what came.

        Args:
            outcome: gives it; None for a block that is not over.
        """
        for block in sorted(self._ended):
            found = outcome(block)
            if found is not None:
                self._teller.attach(found)
        self._ended.clear()

    def note_others(self, witnessed: Witnessed, look: Look) -> None:
        """Take note of what others did to our accounts."""
        if witnessed.booked or witnessed.elsewhere:
            self._accounts.outdate()
        if witnessed.missed is not None:
            first, last = witnessed.missed
            reason = (
                f"what others did in ledgers {first} to {last} cannot be read any more and is in no books"
            )
            self.tell(Name.RETRY, look.pace, reason=reason)

    def tell(self, name: Name, pace: Pace, *, block: int | None = None, reason: str = "") -> None:
        """Tell something that is about no farmer."""
        self._teller.tell(Event(name, pace.close_time, block=block, ledger=pace.ledger, reason=reason))

    def _tell_pail(
        self, name: Name, look: Look, pail: tuple[int, int], *, transaction: str | None, reason: str
    ) -> None:
        farmer = look.farmers.get(pail[0])
        self._teller.tell(
            Event(
                name,
                look.pace.close_time,
                None if farmer is None else farmer.name,
                pail[1],
                look.pace.ledger,
                transaction,
                reason,
            )
        )
