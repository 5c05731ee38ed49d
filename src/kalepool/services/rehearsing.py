"""A dry run: decides what would be done now, lets a node try it, sends and writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kalepool.core.facts import CONTRACT_CODE
from kalepool.core.records import PailState
from kalepool.core.rounds import Grind, Harvest, Plant, SubmitWork, Wait, decide
from kalepool.core.shares import OWED, spoken_for
from kalepool.errors import RejectedError
from kalepool.services.lanes import Accounts, UnderWay, make_lanes
from kalepool.services.observing import kept, pace_of

if TYPE_CHECKING:
    from kalepool.core.chain import Snapshot
    from kalepool.core.farmers import Farmer
    from kalepool.core.rounds import Action, Lane
    from kalepool.services.means import Means


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One action that would be taken.

    Attributes:
        what: plant, grind, work, harvest or wait.
        farmer: his name, or None.
        blocks: indexes.
        stake: stroops of a plant, or None.
        until: network time of a wait, or None.
        reason: why.
        refused: why a node says that it would fail; empty where it would not, or was not tried.
    """

    what: str
    farmer: str | None
    blocks: tuple[int, ...]
    stake: int | None
    until: float | None
    reason: str
    refused: str = ""


async def rehearse(means: Means) -> list[Rehearsed]:
    """Decide what a round would do now, and simulate one call of each shape.

    Raises:
        RetryableError: when the network does not answer.
    """
    farmers = {farmer.number: farmer for farmer in means.farmers.all()}
    index = (await means.chain.snapshot([])).farm.index
    alive = means.pails.alive(PailState.PLANTED, PailState.WORKED, PailState.HARVESTABLE)
    wanted = {(farmers[record.farmer].address, record.block) for record in alive}
    wanted |= {(farmer.address, block) for farmer in kept(farmers.values()) for block in (index, index + 1)}
    snapshot = await means.chain.snapshot(sorted(wanted))
    assert snapshot.tip is not None
    means.clock.observe(snapshot.tip.ledger, snapshot.tip.close_time)
    lanes = await _lanes(means, farmers, snapshot)
    agreed = means.facts.get(CONTRACT_CODE)
    if agreed not in {None, snapshot.wasm_hash.hex()}:
        lanes = [replace(lane, plants=False) for lane in lanes]
    pace = pace_of(snapshot, means.clock.now(), means.clock.ledger_seconds)
    actions = decide(snapshot, lanes, means.policy, pace, means.learner.outlook(0.0))
    return [await _tried(means, action, farmers, snapshot) for action in actions]


async def _lanes(means: Means, farmers: dict[int, Farmer], snapshot: Snapshot) -> list[Lane]:
    accounts = Accounts(means, remembers=False)
    await accounts.ready_for(snapshot.farm.index, list(farmers.values()), snapshot.ledger)
    current = snapshot.blocks.get(snapshot.farm.index)
    proofs = {}
    if current is not None:
        grinds = means.grinds.load(snapshot.farm.index, current.block.entropy)
        proofs = {grind.farmer: grind.best for grind in grinds if grind.best is not None}
    return make_lanes(
        list(farmers.values()),
        accounts,
        spoken_for(
            means.journal.reserved(),
            means.books.balances(OWED),
            {number: farmer.address for number, farmer in farmers.items()},
        ),
        UnderWay.of(means.journal.open_intents(mine=False)),
        proofs,
        index=snapshot.farm.index,
        every=None,
        for_pool=means.policy.for_pool,
    )


async def _tried(means: Means, action: Action, farmers: dict[int, Farmer], snapshot: Snapshot) -> Rehearsed:
    if isinstance(action, Wait):
        return Rehearsed("wait", None, (), None, action.until, action.reason)
    farmer = farmers[action.farmer]
    if isinstance(action, Harvest):
        return Rehearsed("harvest", farmer.name, action.blocks, None, None, action.reason)
    if isinstance(action, Grind):
        return Rehearsed("grind", farmer.name, (action.block,), None, None, action.reason)
    what = "plant" if isinstance(action, Plant) else "work"
    stake = action.stake if isinstance(action, Plant) else None
    refused = await _refusal(means, action, farmer, snapshot)
    return Rehearsed(what, farmer.name, (action.block,), stake, None, action.reason, refused)


async def _refusal(means: Means, action: Plant | SubmitWork, farmer: Farmer, snapshot: Snapshot) -> str:
    """Prepare a call, which lets a node try one of each shape."""
    try:
        if isinstance(action, Plant):
            await means.composer.plant(
                farmer.address,
                block=action.block,
                stake=action.stake,
                opens=action.opens,
                max_time=action.max_time,
            )
        else:
            await means.composer.work(
                farmer.address,
                source=means.operator,
                block=action.block,
                proof=action.proof,
                improves=action.improves,
                first_ledger=snapshot.pails[farmer.address, action.block].pail.sequence + 1,
                max_time=action.max_time,
            )
    except RejectedError as error:
        return error.message
    return ""
