"""What really happened on the network, written down as it happened, without asking the pool."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from faults.scenario import BLOCK, LEDGER_S
from kalepool.adapters.store.owners import SILENT_AFTER_S
from kalepool.core.farm import Pail
from kalepool.core.postings import KALE, XLM
from kalepool.xdr.keys import pail_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kalepool.devnet.entries import Entry
    from kalepool.devnet.events import AssetEvent
    from kalepool.devnet.execution import Applied
    from kalepool.devnet.ledger import ClosedLedger, Ledger, Told

NATIVE = "native"
_HEIRLESS = int(SILENT_AFTER_S / LEDGER_S) + BLOCK // 4
"""Ledgers after a death that nobody saw: ten minutes, and until ``mine`` looks."""
_SIGNS = {"mint": (1,), "burn": (-1,), "transfer": (-1, 1)}
"""What an event does to the balances of its parties; fees are in the results."""


@dataclass(slots=True)
class PailTruth:
    """One pail of one of our farmers.

    Attributes:
        planted: ledger.
        stake: stroops.
        live_until: last ledger in which it exists.
        worked: ledger of the first work, or None. ``zeros``: of the last.
        ended: ledger in which it went, or None while it stands.
        is_harvested: whether it was paid out.
        is_by_stranger: whether somebody else harvested it.
    """

    planted: int
    stake: int
    live_until: int
    worked: int | None = None
    zeros: int | None = None
    ended: int | None = None
    is_harvested: bool = False
    is_by_stranger: bool = False


@dataclass(slots=True)
class Truth:
    """The chain's story.

    Attributes:
        addresses: whose pails are followed.
        stranger: who harvests and works for others.
        pails: by (address, block).
        opened: ledger in which a block was opened, by index.
        applied: every transaction that landed, by outer hash, hex.
        minted: KALE by address, stroops.
        transfers: KALE by (who paid, who was paid), stroops.
        effects: (outer hash, ledger, address, KALE or XLM, stroops) of every balance of ``payers`` that a
            transaction changed.
        payers: whose payments to ``receivers`` are the pool's. ``payments``: how many there were.
        paid_at: ledger of the last of them.
        troubles: why a ledger is no fair test of the pool, by sequence.
        removed: blocks that the farm's owner has removed.
        own_sends: (address, ledger) of each transaction that a farmer sent from his wallet without the pool.
        unseen_deaths: ledgers in which a process was killed whose pid nobody else sees.
        lone_deaths: ledgers in which a command was killed beside ``mine``, which takes over what is left.
        mine_looks: ledgers in which ``mine`` asked the network something.
        close_times: of ledgers, Unix seconds, by sequence.
        touched: (address, block) of farmers who were changed by people while it was open.
    """

    ledger: Ledger
    addresses: Sequence[str]
    stranger: str
    pails: dict[tuple[str, int], PailTruth] = field(default_factory=dict)
    opened: dict[int, int] = field(default_factory=dict)
    applied: dict[str, Applied] = field(default_factory=dict)
    minted: Counter[str] = field(default_factory=Counter)
    transfers: Counter[tuple[str, str]] = field(default_factory=Counter)
    effects: list[tuple[str, int, str, str, int]] = field(default_factory=list)
    payers: set[str] = field(default_factory=set)
    receivers: set[str] = field(default_factory=set)
    payments: int = 0
    paid_at: int = 0
    troubles: dict[int, str] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    own_sends: set[tuple[str, int]] = field(default_factory=set)
    unseen_deaths: set[int] = field(default_factory=set)
    lone_deaths: set[int] = field(default_factory=set)
    mine_looks: set[int] = field(default_factory=set)
    close_times: dict[int, int] = field(default_factory=dict)
    touched: set[tuple[str, int]] = field(default_factory=set)
    _keys: dict[bytes, tuple[str, int]] = field(default_factory=dict)
    _known_to: int = -1

    def watch(self, closed: ClosedLedger) -> None:
        """Write down what a ledger did."""
        self.close_times[closed.sequence] = closed.close_time
        index = self.ledger.farm.index
        self._know_keys(index)
        if index not in self.opened:
            self.opened[index] = closed.sequence
        for applied in closed.transactions:
            self.applied[applied.transaction.outer_hash.hex()] = applied
            self._note_fee(applied, closed.sequence)
        for told in closed.events:
            self._count(told.event, closed.sequence)
            self._note_effect(told, closed.sequence)
        for key, before in closed.undo.items():
            if key in self._keys:
                self._follow(self._keys[key], before, self.ledger.state.get(key), closed.sequence)

    def _count(self, event: AssetEvent, ledger: int) -> None:
        if event.asset == NATIVE:
            return
        if event.kind == "mint" and event.parties[0] in self.addresses:
            self.minted[event.parties[0]] += event.amount
        elif event.kind == "transfer":
            payer, receiver = event.parties
            self.transfers[payer, receiver] += event.amount
            if payer in self.payers and receiver in self.receivers:
                self.payments += 1
                self.paid_at = ledger

    def _note_fee(self, applied: Applied, ledger: int) -> None:
        tx = applied.transaction
        if tx.fee_source in self.payers:
            fee = applied.result.fee_charged
            self.effects.append((tx.outer_hash.hex(), ledger, tx.fee_source, XLM, -fee))
        elif tx.source in self.addresses:
            self.own_sends.add((tx.source, ledger))

    def _note_effect(self, told: Told, ledger: int) -> None:
        event, signs = told.event, _SIGNS.get(told.event.kind)
        asset = XLM if event.asset == NATIVE else KALE
        if signs is None:
            return
        for party, sign in zip(event.parties, signs, strict=True):
            if party in self.payers:
                tx_hash = told.transaction_hash.hex()
                self.effects.append((tx_hash, ledger, party, asset, sign * event.amount))

    def _follow(self, pail: tuple[str, int], before: Entry | None, after: Entry | None, ledger: int) -> None:
        now = after.value if after is not None else None
        if isinstance(now, Pail) and after is not None:
            known = self.pails.get(pail)
            if known is None or known.ended is not None:
                known = self.pails[pail] = PailTruth(ledger, now.stake, after.live_until or 0)
            known.live_until = after.live_until or 0
            if now.zeros is not None:
                known.worked = known.worked or ledger
                known.zeros = now.zeros
        elif pail in self.pails:
            self.pails[pail].ended = ledger
            self.pails[pail].is_harvested = before is not None and before.is_live(ledger)
            self.pails[pail].is_by_stranger = any(
                applied.transaction.source == self.stranger for applied in self.ledger.latest.transactions
            )

    def _know_keys(self, index: int) -> None:
        for block in range(self._known_to + 1, index + 2):
            for address in self.addresses:
                key = pail_key(self.ledger.identity.kale_contract, address, block)
                self._keys[key] = (address, block)
        self._known_to = max(self._known_to, index + 1)

    def is_healthy(self, opened: int, closed: int) -> bool:
        """Tell whether a block was healthy, so that every farmer must be planted and worked in it.

        It was when in no ledger, from two before the one that opened it to two before the one that opened the next,
        something stood in the pool's way (``troubles``): nobody mined, or had begun to only some ledgers before; the
        machine slept; the farm was paused, had other code or its Block removed; no node answered, or the only one
        that did stood still; the queue was lost; the store was being restored.

        Args:
            opened: ledger that opened it.
            closed: ledger that opened the next.
        """
        return not any(ledger in self.troubles for ledger in range(opened - 2, closed - 1))

    def fair_run(self, first: int, last: int, *, needs_heirs: bool = False) -> int:
        """Give the longest run of ledgers without trouble between two, both included.

        Args:
            first: ledger.
            last: ledger.
            needs_heirs: whether who died where nobody sees his pid may have left open what is asked about: for ten
                minutes he may be alive, and nobody takes it over.
        """
        longest = run = 0
        for ledger in range(first, last + 1):
            is_left = needs_heirs and any(death < ledger <= death + _HEIRLESS for death in self.unseen_deaths)
            run = 0 if ledger in self.troubles or is_left else run + 1
            longest = max(longest, run)
        return longest
