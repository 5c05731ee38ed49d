"""The plan of this moment, to be shown: from what the store remembers, or from a look at the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kalepool.core.actions import Lane
from kalepool.core.chain import DatedBlock, DatedPail, Snapshot
from kalepool.core.contract import new_record
from kalepool.core.economics import Marginal, is_valid, marginal, market_of
from kalepool.core.farm import Farm, Pail
from kalepool.core.farmers import Custody, FarmerState
from kalepool.core.postings import KALE, account
from kalepool.core.records import PailState
from kalepool.core.rounds import plan
from kalepool.core.shares import interest_of
from kalepool.core.strategy import Pace
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kalepool.core.economics import Market
    from kalepool.core.farm import Proof
    from kalepool.core.farmers import Farmer
    from kalepool.core.rounds import Plan
    from kalepool.core.strategy import Outlook, Policy
    from kalepool.ports import Blocks, Chain, Clock, Farmers, Grinds, Pails, Views

_LEDGER_S: Final = 5.6
_SHOWN: Final = (PailState.PLANTED, PailState.WORKED)


@dataclass(frozen=True, slots=True)
class Seen:
    """The farm and its time, as plans need them.

    Attributes:
        snapshot: the farm.
        pace: time.
        balances: KALE by address, stroops; who is not there is unknown.
    """

    snapshot: Snapshot
    pace: Pace
    balances: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan with what it was made from.

    Attributes:
        seen: what was seen.
        plan: what would be done, and why.
        farmers: names by number.
        market: what a weight is worth in the current block, or None where there is none.
        worth: of the first unit of each kind within its range, for a farmer with nothing; None likewise.
    """

    seen: Seen
    plan: Plan
    farmers: Mapping[int, str]
    market: Market | None
    worth: Marginal | None


def remembered(views: Views, blocks: Blocks, pails: Pails, farmers: Farmers) -> Seen:
    """Take the farm as the store last saw it, at the time of that look.

    Raises:
        ConfigError: when the network was never seen.
    """
    view, latest = views.last(), blocks.latest()
    if view is None or latest is None:
        raise ConfigError(
            "the store has seen no block yet", hint="look at the network: kalepool plan --refresh"
        )
    addresses = {farmer.number: farmer.address for farmer in farmers.all()}
    known = {
        (addresses[record.farmer], record.block): DatedPail(
            Pail(record.planted_ledger, record.stake, record.gap, record.zeros), record.live_until or 0
        )
        for record in pails.in_blocks(latest.index, latest.index)
        if record.state in _SHOWN and record.planted_ledger is not None
    }
    # The running record is not kept; its beginning is the block's, and the next ranges are not planned with.
    farm = Farm("", "", latest.index, new_record(latest.block.timestamp), view.paused)
    shown = {latest.index: DatedBlock(latest.block, latest.live_until)}
    seconds = _LEDGER_S
    if latest.opened_ledger is not None and view.ledger > latest.opened_ledger:
        seconds = (view.close_time - latest.block.timestamp) / (view.ledger - latest.opened_ledger)
    return Seen(
        Snapshot("the store", view.ledger, farm, b"", shown, known),
        Pace(view.ledger, view.close_time, float(view.close_time), max(seconds, 1.0)),
        {address: state.kale for address, state in views.accounts().items() if state.kale is not None},
    )


async def look(chain: Chain, clock: Clock, farmers: Farmers) -> Seen:
    """Look at the network: the farm, all farmers' pails of this block and the next, and their balances.

    Raises:
        RetryableError: when no node answers.
    """
    addresses = [farmer.address for farmer in farmers.all(FarmerState.ACTIVE)]
    index = (await chain.snapshot([])).farm.index
    snapshot = await chain.snapshot([(address, at) for address in addresses for at in (index, index + 1)])
    accounts = await chain.accounts([address for address in addresses if address.startswith("G")])
    tip = await chain.tip()
    clock.observe(tip.ledger, tip.close_time)
    return Seen(
        snapshot,
        Pace(tip.ledger, tip.close_time, clock.now(), clock.ledger_seconds),
        {address: state.kale for address, state in accounts.items() if state.kale is not None},
    )


def planned(
    seen: Seen,
    farmers: Farmers,
    grinds: Grinds,
    reserved: Mapping[tuple[str, str], int],
    policy: Policy,
    outlook: Outlook,
) -> Shown:
    """Make the plan that ``mine`` would make of this.

    Args:
        seen: the farm.
        farmers: in the store.
        grinds: where proofs found so far are.
        reserved: what open intents may still spend, by (account, asset).
        policy: how to choose.
        outlook: what has been learned.
    """
    active = farmers.all(FarmerState.ACTIVE)
    snapshot = seen.snapshot
    current = snapshot.blocks.get(snapshot.farm.index)
    proofs: dict[int, Proof] = {}
    if current is not None:
        found = grinds.load(snapshot.farm.index, current.block.entropy)
        proofs = {grind.farmer: grind.best for grind in found if grind.best is not None}
    lanes = [_lane(farmer, seen, reserved, proofs, for_pool=policy.for_pool) for farmer in active]
    market = worth = None
    if current is not None and is_valid(current.block):
        market = market_of(snapshot.farm.index, current.block, outlook.others_parts, _ours(lanes))
        block = current.block
        worth = marginal(market, block.min_gap + 1, block.min_stake, block.min_zeros + 1)
    return Shown(
        seen,
        plan(snapshot, lanes, policy, seen.pace, outlook),
        {farmer.number: farmer.name for farmer in active},
        market,
        worth,
    )


def _ours(lanes: Sequence[Lane]) -> float:
    return 1.5 * sum(lane.works for lane in lanes)


def _lane(
    farmer: Farmer,
    seen: Seen,
    reserved: Mapping[tuple[str, str], int],
    proofs: Mapping[int, Proof],
    *,
    for_pool: bool,
) -> Lane:
    balance = seen.balances.get(farmer.address)
    available = (
        None if balance is None else max(balance - reserved.get((account(farmer.address), KALE), 0), 0)
    )
    return Lane(
        farmer.number,
        farmer.address,
        plants=farmer.custody is Custody.CUSTODIAL,
        works=True,
        stake=None if available is None else farmer.terms.stake.of(available),
        available=available,
        proof=proofs.get(farmer.number),
        harvest_every=farmer.terms.harvest_every,
        interest=interest_of(farmer.terms, for_pool=for_pool),
    )
