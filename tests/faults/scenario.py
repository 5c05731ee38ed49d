"""What happens in one run: drawn from a seed, before anything runs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from kalepool.devnet.faults import FaultPlan, NetworkFaults, NodeFaults
from support.devnet import KALE

if TYPE_CHECKING:
    from collections.abc import Sequence

LEDGER_S: Final = 5.0
_MILD: Final = 0.1
"""More faults than in one request of ten are no healthy network."""
BLOCK: Final = 60
"""Ledgers of a block."""
LANDS_WITHIN: Final = 14
"""So many ledgers after its signing an attempt has landed, or is too old: it was sent again and again until then."""
_SHORT_TTL: Final = 1_000


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that is done to the pool or the network once a ledger has closed.

    Attributes:
        ledger: its sequence.
        what: a method of ``Events``.
        lasts: ledgers, where it has an end.
        number: which farmer, how much, as the event takes it.
    """

    ledger: int
    what: str
    lasts: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Terms that the operator agrees with a farmer.

    Attributes:
        share_bps: his part. ``fee_bps``: the platform's.
        payout: where his share goes: ``home``, ``other``, ``dead`` (there is no such account), ``poor`` (it has no
            trustline), or empty to leave it where it is.
        payout_from: stroops. ``payout_every_h``: hours. ``exit_delay_h`` likewise.
        memo: on his payments.
    """

    share_bps: int
    fee_bps: int
    payout: str
    payout_from: int
    payout_every_h: int
    exit_delay_h: int
    memo: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run.

    Attributes:
        seed: it was drawn from.
        farmers: at the start.
        neighbours: other farmers.
        nonces: hashed for each farmer in each ledger.
        ledgers: until when things go wrong; then all is well, and the run comes to its end.
        plan: faults of nodes and network.
        temporary_ttl: ledgers that a pail lives.
        history: ledgers that nodes remember.
        opener_reads_previous: which version of the contract.
        twice: probability that a send arrives twice.
        fuses: crash points that each life of ``mine`` passes; when they are used up, it dies no more.
        naps: ledgers until it is started again, after each of its deaths.
        cron: ledgers between harvests; 0 for none.
        cron_fuses: like ``fuses``, for the harvests.
        agreements: terms that are agreed, the first of them with the first farmer and so on; none where the run
            is not about money.
        auto: ledgers between payouts that happen by themselves; 0 for none.
        auto_fuses: like ``fuses``, for these.
        is_container: whether the harvests run where nobody sees their pids.
        happenings: by ledger.
    """

    seed: int
    farmers: int
    neighbours: int
    nonces: int
    ledgers: int
    plan: FaultPlan
    temporary_ttl: int
    history: int
    opener_reads_previous: bool
    twice: float
    fuses: tuple[int, ...]
    naps: tuple[int, ...]
    cron: int
    cron_fuses: tuple[int | None, ...]
    agreements: tuple[Agreement, ...]
    auto: int
    auto_fuses: tuple[int | None, ...]
    is_container: bool
    happenings: tuple[Happening, ...] = field(default=())

    @property
    def is_rough(self) -> bool:
        """Whether a node refuses or drops so many requests that a block may be missed through no fault of the pool's.

        Slow answers, nodes that lag by some ledgers and late ledgers are no excuse.
        """
        return any(
            max(one.server_error, one.too_many_requests, one.try_again_later) > _MILD
            or one.reset_before + one.reset_after > _MILD
            for one in self.plan.nodes.values()
        )


def draw(seed: int) -> Scenario:
    """Draw a run."""
    dice = random.Random(f"kalepool {seed}")
    blocks = dice.randint(2, 4)
    ledgers = blocks * BLOCK
    crashes = dice.choice((0, 1, 1, 2, 4, 8))
    cron = dice.choice((0, 0, 20, 45, 90))
    temporary_ttl = dice.choice((17_280, 17_280, 300, 180))
    has_money = dice.random() < 0.6
    auto = dice.choice((0, 0, 25, 60)) if has_money else 0
    return Scenario(
        seed=seed,
        farmers=dice.randint(1, 3),
        neighbours=dice.choice((0, 4, 12)),
        nonces=dice.choice((8, 64)),
        ledgers=ledgers,
        plan=_plan(dice, seed),
        temporary_ttl=temporary_ttl,
        history=dice.choice((2_880, 2_880, 2_880, 120)),
        opener_reads_previous=dice.random() < 0.3,
        twice=dice.choice((0.0, 0.05, 0.5)),
        fuses=tuple(_fuse(dice) for _ in range(crashes)),
        naps=tuple(dice.choice((0, 1, 2, 5, 20, 70)) for _ in range(crashes)),
        cron=cron,
        cron_fuses=tuple(_fuse(dice, 60) if dice.random() < 0.4 else None for _ in range(40)) if cron else (),
        agreements=tuple(_agreement(dice) for _ in range(5)) if has_money else (),
        auto=auto,
        auto_fuses=tuple(_fuse(dice, 150) if dice.random() < 0.4 else None for _ in range(20))
        if auto
        else (),
        is_container=dice.random() < 0.2,
        happenings=_happenings(dice, ledgers, has_money=has_money, is_short=temporary_ttl < _SHORT_TTL),
    )


def _agreement(dice: random.Random) -> Agreement:
    return Agreement(
        share_bps=dice.choice((10_000, 7_000, 3_333, 0)),
        fee_bps=dice.choice((0, 500, 1_234)),
        payout=dice.choice(("home", "home", "home", "other", "dead", "poor", "")),
        payout_from=dice.choice((0, 0, 100 * KALE, 5_000 * KALE)),
        payout_every_h=dice.choice((0, 0, 1)),
        exit_delay_h=dice.choice((0, 0, 0, 0, 1)),
        memo=dice.choice(("", "", "for the barn")),
    )


def _fuse(dice: random.Random, most: int = 2_500) -> int:
    """Draw how many crash points are passed: as often the first few as many."""
    return int(most ** dice.random())


def _plan(dice: random.Random, seed: int) -> FaultPlan:
    kind = dice.choice(("none", "none", "mild", "mild", "rough"))
    return FaultPlan(
        seed,
        {"main": _node(dice, kind), "second": _node(dice, kind, is_second=True)},
        NetworkFaults(0.1, 8.0) if dice.random() < 0.2 else NetworkFaults(),
    )


def _node(dice: random.Random, kind: str, *, is_second: bool = False) -> NodeFaults:
    if kind == "none":
        return NodeFaults()
    most = 0.08 if kind == "mild" else 0.3

    def some(share: float = 1.0) -> float:
        return dice.choice((0.0, 0.0, dice.random() * most * share))

    return NodeFaults(
        latency_ms=dice.choice((0, 0, 150)),
        jitter_ms=dice.choice((0, 0, 900)),
        reset_before=some(),
        reset_after=some(),
        no_answer=some(0.2),
        too_many_requests=some(),
        retry_after_s=dice.randint(1, 4),
        server_error=some(),
        try_again_later=some(),
        lag_ledgers=dice.choice((0, 1, 3, 8)) if is_second else dice.choice((0, 0, 0, 1, 2)),
    )


# What may happen, how often it is drawn, and for how many ledgers it lasts at most.
_EVENTS: Final[Sequence[tuple[str, int, int]]] = (
    ("outage", 2, 40),
    ("stall", 2, 30),
    ("stall_second", 2, 60),
    ("pause_farm", 2, 40),
    ("change_wasm", 1, 30),
    ("lose_queue", 3, 0),
    ("remove_block", 1, 0),
    ("suspend", 1, 80),
    ("skew", 2, 0),
    ("power_loss", 3, 10),
    ("second_mine", 2, 0),
    ("stop_mine", 2, 15),
    ("add_farmer", 3, 0),
    ("pause_farmer", 3, 70),
    ("sweep", 2, 0),
    ("back_up", 3, 0),
    ("restore", 2, 3),
    ("forget", 2, 25),
    ("stranger_harvests", 3, 0),
    ("stranger_works", 2, 0),
    ("deposit", 4, 0),
    ("withdrawal", 3, 0),
)

_OF_MONEY: Final[Sequence[tuple[str, int, int]]] = (
    ("payout", 10, 0),
    ("pay_twice", 4, 0),
    ("exit_farmer", 8, 0),
    ("agree_terms", 6, 0),
    ("withdraw", 3, 0),
    ("forget", 2, 25),
    ("forgotten_payout", 4, 20),
)

_OLD_BACKUPS: Final = 0.5
"""How many of those restored are so old that whole blocks are unknown to them."""

# What keeps pails from their harvest for longer than a short life.
_OUTLASTING: Final[Sequence[tuple[str, int, int]]] = (("pause_farm", 2, 320), ("stop_mine", 1, 320))


def _drawn(
    dice: random.Random, events: Sequence[tuple[str, int, int]], count: int, ledgers: int
) -> list[Happening]:
    names = [name for name, weight, _ in events for _ in range(weight)]
    longest = {name: lasts for name, _, lasts in events}
    drawn = []
    for _ in range(count):
        name = dice.choice(names)
        lasts = dice.randint(max(1, longest[name] // 2), longest[name]) if longest[name] else 0
        drawn.append(Happening(dice.randint(3, ledgers), name, lasts, dice.randint(0, 10**6)))
    return drawn


def _happenings(
    dice: random.Random, ledgers: int, *, has_money: bool, is_short: bool
) -> tuple[Happening, ...]:
    drawn = _drawn(dice, _EVENTS, dice.choice((0, 1, 2, 4, 7)), ledgers)
    if has_money:
        drawn += _drawn(dice, _OF_MONEY, dice.choice((1, 2, 4)), ledgers)
    if is_short and dice.random() < 0.6:
        drawn += _drawn(dice, _OUTLASTING, 1, ledgers // 2)
    for position, one in enumerate(tuple(drawn)):
        if one.what == "restore":
            # Who restores a backup has made one, and has harvested and paid since what that does not know.
            is_old = dice.random() < _OLD_BACKUPS
            restored = dice.randint(ledgers * 5 // 6, ledgers) if is_old else one.ledger
            made = dice.randint(2, 30 if is_old else restored - 1)
            drawn[position] = replace(one, ledger=restored)
            drawn += [
                Happening(made, "back_up"),
                Happening(dice.randint((made + restored) // 2, restored), "harvest_and_pay"),
            ]
    # Where nobody mines for longer than a pail may live, what a stranger harvests is told of by events alone.
    for one in [one for one in drawn if is_short and one.what == "stop_mine" and one.lasts > 2 * BLOCK]:
        drawn.append(Happening(one.ledger + 1, "stranger_tends", one.lasts - BLOCK // 3))
    return tuple(sorted(drawn, key=lambda one: (one.ledger, one.what, one.number)))
