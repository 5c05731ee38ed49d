"""What must hold of the money at the end of a run: nothing paid twice, nothing lost, nobody paid what is not his."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.scenario import LANDS_WITHIN
from kalepool.core.facts import READ_BACK
from kalepool.core.farmers import FarmerState
from kalepool.core.intents import Kind, State
from kalepool.core.postings import KALE, account
from kalepool.core.shares import OWED, Claim, claim_of, owed, paid
from kalepool.services.paying import PayoutPlan
from support.devnet import KALE as ONE

if TYPE_CHECKING:
    from faults.world import World
    from kalepool.bootstrap import Pool
    from kalepool.core.farmers import Farmer


def check_money(world: World, pool: Pool) -> None:
    """Hold the books of claims against what moved on the network."""
    # Read back by the program itself, or confirmed by a person: from then on it answers for every payment.
    is_known = not world.restored or int(pool.facts.get(READ_BACK) or 0) >= world.restored_at
    if not is_known:
        _check_stopped(world)
    for farmer in pool.farmers.all():
        if is_known:
            _check_paid(world, pool, farmer)
        _check_left(world, pool, farmer)
        _check_compensated(world, pool, farmer)
    if is_known and (world.unseen.is_adopted or not world.unseen.spans):
        held = world.bench.line(world.operator)
        booked = pool.books.balance(account(world.operator), KALE)
        if booked != (0 if held is None else held.balance):
            world.violate(f"the operator has {held} KALE, and {booked} in the books")
    if is_known:
        world.counts["restored, and every payment known"] += world.restored
        _check_owed(world, pool)


def _check_stopped(world: World) -> None:
    if world.truth.paid_at > world.restored_at + LANDS_WITHIN:
        world.violate(
            f"paid in ledger {world.truth.paid_at}, restored after {world.restored_at}, and neither read back "
            "nor confirmed"
        )


def _check_paid(world: World, pool: Pool, farmer: Farmer) -> None:
    """Insist that each claim was paid as often as the books say: once."""
    moved, homes = world.truth.transfers, world.homes.get(farmer.address, set())
    on_chain = {
        Claim.POOL: moved[farmer.address, world.operator],
        # Without a payout address a lost stake goes where it came from.
        Claim.COMPENSATION: sum(moved[world.operator, home] for home in {*homes, farmer.address}),
        Claim.FARMER: sum(moved[farmer.address, home] for home in homes),
    }
    for claim, amount in on_chain.items():
        booked = pool.books.balance(paid(claim, farmer.number), KALE)
        # Who leaves gets what was his anyway in the same payment.
        is_right = amount >= booked if _has_left(pool, farmer) and claim is Claim.FARMER else amount == booked
        if not is_right:
            world.violate(f"{farmer.name}: {amount} stroops paid as {claim}, and {booked} in the books")


def _check_compensated(world: World, pool: Pool, farmer: Farmer) -> None:
    """Insist that nothing is owed, nor was paid, for a stake that came home, whoever brought it.

    Not even after a restore: what is read back says which pails were harvested. Where no node could tell of a harvest
    any more, it looks like a loss.
    """
    known = pool.pails.of_farmer(farmer.number, 0, world.ledger.farm.index)
    lost = sum(record.lost for record in known)
    for (address, _), truth in world.truth.pails.items():
        if address == farmer.address and (
            not truth.is_harvested or (truth.ended is not None and truth.ended in world.unseen)
        ):
            lost += truth.stake
    claim = Claim.COMPENSATION, farmer.number
    given = pool.books.balance(owed(*claim), KALE) + pool.books.balance(paid(*claim), KALE)
    world.counts["compensated"] += int(given > 0)
    if given > lost:
        world.violate(f"{farmer.name} is compensated with {given} stroops, and has lost {lost}")


def _has_left(pool: Pool, farmer: Farmer) -> bool:
    landed = pool.store.value(
        "SELECT count(*) FROM intents WHERE kind = ? AND state = ? AND (purpose = ? OR purpose GLOB ?)",
        (Kind.EXIT, State.SETTLED, f"exit:{farmer.number}", f"exit:{farmer.number}:*"),
    )
    return bool(landed)


def _check_left(world: World, pool: Pool, farmer: Farmer) -> None:
    """Insist that who has left has nothing here any more, and that it went where it is his."""
    if not _has_left(pool, farmer):
        return
    world.counts["farmers who have left"] += 1
    if world.bench.entry(farmer.address) is not None:
        world.violate(f"{farmer.name} has left, and his account stands")
    if farmer.state is not FarmerState.EXITED and not world.restored:
        world.violate(f"{farmer.name} has left, and is {farmer.state}")
    balance = pool.books.balance(account(farmer.address), KALE)
    if balance and (world.unseen.is_adopted or not world.unseen.spans) and not world.restored:
        world.violate(f"{farmer.name} has left, and {balance} stroops of his wallet are in the books")
    strange = {
        receiver
        for (payer, receiver), _ in world.truth.transfers.items()
        if payer == farmer.address
        and receiver not in world.homes.get(farmer.address, set())
        and receiver not in (world.operator, world.cold.public_key, world.stranger.public_key)
    }
    if strange:
        world.violate(f"{farmer.name}'s KALE went to {sorted(strange)}")


def _check_owed(world: World, pool: Pool) -> None:
    """Insist that what is still owed at the end is held, with a reason, or waits for an exit that is told why."""
    if not isinstance(world.plan, PayoutPlan) or not isinstance(world.waits, dict):
        world.violate(f"payouts come to no end: {world.plan!r}, exits: {world.waits!r}")
        return
    if world.plan.lines:
        world.violate(f"still to be paid at the end: {world.plan.lines[0]}")
    explained = {one.line.account: one.line.amount for one in world.plan.held if one.why}
    stuck = {item for intent in world.plan.unresolved for item in intent.items}
    leaving = {number for number, waits in world.waits.items() if waits}
    for (name, _), stroops in pool.books.balances(OWED).items():
        claim = claim_of(name)
        if not stroops or claim is None or claim[1] in leaving:
            continue
        if f"due:{claim[0]}:{claim[1]}" in stuck or explained.get(name) == stroops:
            world.counts["owed and held"] += 1
            continue
        world.violate(f"{stroops / ONE} KALE of {name} are neither paid nor held")
    world.counts["owed at the end, checked"] += 1
