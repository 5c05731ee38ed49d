"""What must hold when a run has come to its end."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from typing import TYPE_CHECKING, Final

from faults.money import check_money
from faults.scenario import BLOCK, LANDS_WITHIN
from faults.unseen import check_booked
from kalepool.adapters.store.intent_rows import load_intents
from kalepool.core.facts import READ_BACK
from kalepool.core.intents import SHOWN_BY_PAILS, State
from kalepool.core.records import PailState
from kalepool.services.comparing import compare
from support.vault import MAIN, OPERATIONS, PHRASE

if TYPE_CHECKING:
    from faults.process import Process
    from faults.truth import PailTruth
    from faults.world import World
    from kalepool.bootstrap import Pool
    from kalepool.core.intents import Intent
    from kalepool.core.records import PailRecord

_FAIR_LEDGERS: Final = 20
"""So many ledgers in a row without trouble are enough to work a pail, or to harvest it."""
_SENT_AGAIN_WITHIN: Final = 8
"""What is sent again so many ledgers after its signing at the latest can still land, by a queue that loses now and then."""
_HEIR_WITHIN: Final = 2
"""Ledgers after which ``mine`` has looked at what a command left that died beside it."""
_SURE_LOOKS: Final = 4
"""In so many ledgers ``mine`` has looked, and noted what it saw, whatever befell it."""
_WINDOW_S: Final = 15
"""Whoever plants at the last safe moment gives the plant less time than this to land in."""
_SHORT_HISTORY: Final = 1_000
_WHOLE_BLOCK: Final = 50
"""A block of fewer ledgers was cut short by a late one, or a machine that slept."""


async def check(world: World) -> None:
    """Hold the pool's memory and books against what really happened."""

    async def body(process: Process) -> None:
        pool = process.pool
        async with pool.online():
            await _check_books(world, pool)
        _check_intents(world, pool)
        _check_known(world, pool)
        _check_pails(world, pool)
        check_money(world, pool)

    await world.live("db", body)
    world.check_store("at the end")
    _check_starving(world)
    _check_sweeps(world)
    _check_secrets(world)


async def _check_books(world: World, pool: Pool) -> None:
    await pool.reconciler.reconcile()
    if pool.books.total() != 0:
        world.violate("the postings do not sum to zero")
    check_booked(world, pool)
    if world.unseen.spans and not world.unseen.is_adopted:
        return
    found = await compare(pool.books, pool.farmers, pool.facts, pool.chain, world.operator)
    for one in found.differences:
        world.violate(f"{one.who} has {one.chain} {one.asset} on the chain, and {one.books} in the books")


def _intents(pool: Pool) -> list[tuple[Intent, list[str]]]:
    numbers = [number for (number,) in pool.store.all("SELECT number FROM intents")]
    return [
        (intent, [hash_hex for attempt in intent.attempts for hash_hex in attempt.outer_hashes])
        for intent in load_intents(pool.store, numbers)
    ]


def _check_intents(world: World, pool: Pool) -> None:
    applied = world.truth.applied
    for intent, hashes in _intents(pool):
        landed = [hash_hex for hash_hex in hashes if hash_hex in applied]
        effective = [hash_hex for hash_hex in landed if applied[hash_hex].result.is_success]
        if len(landed) > 1:
            world.violate(f"{len(landed)} attempts of {intent.purpose} landed")
        if intent.state is State.SETTLED and not effective:
            world.violate(f"{intent.purpose} is settled, and nothing of it took effect")
        # What landed where no node remembers is let go, and told as missed: the pails show what it did.
        is_let_go = bool(effective) and intent.state is State.FAILED and intent.kind in SHOWN_BY_PAILS
        if is_let_go and not all(applied[hash_hex].ledger in world.unseen for hash_hex in effective):
            world.violate(f"{intent.purpose} is let go, though what it did could be read")
        if intent.state in {State.EXPIRED, State.FAILED} and effective and not is_let_go:
            world.violate(f"{intent.purpose} is {intent.state}, and it took effect")
        if intent.state is State.EXPIRED and _died_of_age(world, intent):
            world.violate(f"{intent.purpose} died of age, though nothing stood in its way")
        if intent.state is State.EXPIRED and landed:
            world.violate(f"{intent.purpose} is given up, and it landed")
        if intent.state not in {State.SETTLED, State.EXPIRED, State.FAILED}:
            # Where the network can never tell, nothing is resolved by itself.
            is_old = intent.state is State.UNRESOLVED and world.scenario.history < _SHORT_HISTORY
            if not is_old:
                world.violate(f"{intent.purpose} is still {intent.state}")


def _died_of_age(world: World, intent: Intent) -> bool:
    """Tell whether what was signed never landed, though nothing stood in its way from then on."""
    if not intent.attempts or world.scenario.is_rough:
        return False
    truth, last = world.truth, intent.attempts[-1]
    if last.max_time - truth.close_times.get(last.signed_ledger, 0) < _WINDOW_S:
        return False
    ledgers = range(last.signed_ledger - 2, last.signed_ledger + LANDS_WITHIN)
    # Whose owner sends for himself takes the sequence number: they are read once for each block that is planted.
    if any((last.source, ledger) in truth.own_sends for ledger in range(ledgers[0] - BLOCK, ledgers[-1] + 1)):
        return False
    # Who dies where nobody sees his pid has no heir for ten minutes, and nobody sends again for him.
    if any(ledger in truth.troubles or ledger in truth.unseen_deaths for ledger in ledgers):
        return False
    # A command that dies beside `mine` has an heir within a ledger: too late for what was signed long before.
    last_call = last.signed_ledger + _SENT_AGAIN_WITHIN - _HEIR_WITHIN
    return not any(ledger in truth.lone_deaths for ledger in ledgers if ledger > last_call)


def _check_known(world: World, pool: Pool) -> None:
    """Insist that whatever left at our cost was in the journal before, unless a backup took its place."""
    known = {hash_hex for _, hashes in _intents(pool) for hash_hex in hashes}
    for hash_hex, applied in world.truth.applied.items():
        is_ours = applied.transaction.fee_source == world.operator
        if is_ours and hash_hex not in known and not world.is_lost(applied.ledger):
            world.violate(
                f"{hash_hex[:8]} landed in ledger {applied.ledger}, and the journal does not know it"
            )


def _check_pails(world: World, pool: Pool) -> None:
    numbers = {farmer.address: farmer for farmer in pool.farmers.all()}
    records = {
        (record.farmer, record.block): record for record in pool.pails.in_blocks(0, world.ledger.farm.index)
    }
    paid: Counter[str] = Counter()
    unseen: set[str] = set()
    for (address, block), truth in sorted(world.truth.pails.items()):
        farmer = numbers.get(address)
        if farmer is None:
            continue
        record = records.get((farmer.number, block))
        if record is not None and record.state is PailState.HARVESTED:
            paid[address] += (record.reward or 0) + record.stake - record.lost
            if record.zeros is None:
                # Worked and harvested between two looks: what it earned is in the books alone, and stays so.
                world.counts["harvested by others unseen"] += 1
                unseen.add(address)
            world.counts["not paid back"] += record.lost > 0
        if record is not None and record.state is PailState.EXPIRED and _is_unwatched(world, truth):
            # Nothing that is left tells it from one that died: its Block is gone too.
            world.counts["harvested by others, and looked at too late"] += 1
            unseen.add(address)
            continue
        if world.is_lost(truth.ended) and (record is None or record.state is not PailState.HARVESTED):
            unseen.add(address)
        where = f"{farmer.name}'s pail in block {block}"
        _check_pail(world, where, block, truth, None if record is None else record.state)
        _check_read_back(world, pool, where, truth, record)
    for address, minted in world.truth.minted.items():
        is_told = minted >= paid[address] if address in unseen else minted == paid[address]
        if address in numbers and not is_told:
            world.violate(f"{numbers[address].name} was paid {minted}, and {paid[address]} is remembered")


def _check_read_back(
    world: World, pool: Pool, where: str, truth: PailTruth, record: PailRecord | None
) -> None:
    """Insist that who has read back what was paid since a backup knows every pail that was harvested."""
    is_known = world.restored and int(pool.facts.get(READ_BACK) or 0) >= world.restored_at
    if not is_known or not truth.is_harvested or truth.is_by_stranger:
        return
    if truth.ended is not None and truth.ended not in world.unseen:
        world.counts["harvested, and known after a restore"] += 1
        if record is None or record.state is not PailState.HARVESTED:
            world.violate(f"{where} was harvested before a restore, and was not read back")


def _is_unwatched(world: World, truth: PailTruth) -> bool:
    """Tell whether a stranger harvested a pail where no node could tell of it, and nobody of ours looked in time."""
    if not truth.is_by_stranger or truth.ended is None or truth.ended not in world.unseen:
        return False
    # Who dies in the middle of a look has seen nothing: of `mine` several count, of a harvest one that ran through.
    seen = [ledger for ledger in range(truth.ended, truth.live_until + 1) if ledger in world.truth.mine_looks]
    is_swept = any(truth.ended <= first and last <= truth.live_until for first, last in world.sweeps)
    return len(seen) < _SURE_LOOKS and not is_swept


def _check_pail(world: World, where: str, block: int, truth: PailTruth, state: PailState | None) -> None:
    """Hold the end of one pail against what is remembered of it; after a restore less is remembered."""
    if state is PailState.HARVESTED and not truth.is_harvested:
        world.violate(f"{where} is remembered as harvested, and was not")
    if truth.is_harvested and state is not PailState.HARVESTED and not world.is_lost(truth.ended):
        world.violate(f"{where} was harvested, and is remembered as {state}")
    if truth.worked is None or truth.is_harvested:
        return
    if truth.ended is not None:
        _check_expired(world, where, block, truth)
        if state is not PailState.EXPIRED and not world.is_lost(truth.planted):
            world.violate(f"{where} expired, and is remembered as {state}")
    elif block < world.ledger.farm.index:
        is_gone = world.ledger.block(block) is None
        if not is_gone:
            world.violate(f"{where} was worked and still waits for its harvest: {state}")
        elif state is not PailState.EXPIRED:
            world.violate(f"{where} can never be harvested, and is remembered as {state}")


def _check_expired(world: World, where: str, block: int, truth: PailTruth) -> None:
    """Insist that a worked pail expired only when it could be neither harvested nor kept alive until then."""
    over = world.truth.opened.get(block + 1)
    if block in world.truth.removed or truth.worked is None:
        return
    if over is not None and world.truth.fair_run(over, truth.live_until, needs_heirs=True) >= _FAIR_LEDGERS:
        world.violate(f"{where} expired, though it could have been harvested")
    elif any(truth.worked < first and last < truth.live_until - 1 for first, last in world.sweeps):
        # A harvest extends what is so near its end, whether the farm is paused or not.
        world.violate(f"{where} expired, though a harvest ran through before: it could have been extended")


def _check_starving(world: World) -> None:
    """Insist that every active farmer is planted and worked in every healthy block; see ``Truth.is_healthy``.

    Of a rough network's blocks, which are healthy but for nodes that fail all the time, some may be missed: they
    are counted, and no farmer misses two of them in a row.
    """
    truth = world.truth
    missed_before: set[str] = set()
    for block, opened in sorted(truth.opened.items()):
        closed = truth.opened.get(block + 1)
        if closed is None or closed - opened < _WHOLE_BLOCK:
            continue
        missed: set[str] = set()
        for address in sorted(world.active):
            if (address, block) in truth.touched or block < world.joined[address]:
                continue
            pail = truth.pails.get((address, block))
            is_done = pail is not None and pail.worked is not None
            world.counts["farmer blocks"] += 1
            world.counts["farmer blocks worked"] += is_done
            is_rough = world.scenario.is_rough and block < world.calm_from
            if truth.is_healthy(opened, closed):
                kind = "rough" if is_rough else "healthy"
                world.counts[f"{kind} farmer blocks"] += 1
                world.counts[f"{kind} farmer blocks worked"] += is_done
                who = f"wallet {world.wallets.index(address)}"
                verb = "planted" if pail is None else "worked"
                if not is_done and not is_rough:
                    world.violate(f"{who} was not {verb} in block {block}, which was healthy")
                elif not is_done:
                    missed.add(address)
                    if address in missed_before:
                        world.violate(f"{who} was not {verb} in block {block}, nor in the one before")
            elif pail is not None and not is_done and not is_rough and _could_be_worked(world, pail, closed):
                world.violate(f"wallet {world.wallets.index(address)} was not worked in block {block}")
        missed_before = missed


def _could_be_worked(world: World, pail: PailTruth, closed: int) -> bool:
    """Tell whether the last ledgers of a pail's block, and many in a row before, were without trouble."""
    truth = world.truth
    return truth.fair_run(pail.planted + 1, closed - 3) >= _FAIR_LEDGERS and all(
        ledger not in truth.troubles for ledger in range(closed - 12, closed - 1)
    )


def _check_sweeps(world: World) -> None:
    """Insist that no farmer paid twice for the same sweep."""
    paid: Counter[tuple[str, str]] = Counter()
    for applied in world.truth.applied.values():
        tx = applied.transaction
        if applied.result.is_success and tx.source in world.wallets and tx.memo is not None:
            paid[tx.source, (tx.memo.text or b"").decode()] += 1
    for (source, memo), count in paid.items():
        if count > 1:
            world.violate(f"wallet {world.wallets.index(source)} paid {count} times for '{memo}'")


def _check_secrets(world: World) -> None:
    """Insist that no file of the run holds a farmer's seed, the phrase or a passphrase."""
    secrets = [PHRASE.encode(), MAIN.encode(), OPERATIONS.encode()]
    for keys in world.keys.values():
        raw = keys.raw_secret_key()
        secrets += [keys.secret.encode(), raw, raw.hex().encode(), b64encode(raw)]
    for path in world.folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if any(secret in data for secret in secrets):
            world.violate(f"a secret stands in {path.name}")
