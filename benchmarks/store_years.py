"""How the store bears years: a month of 1,000 farmers reported and settled, and what a pail takes up as it ages.

    python benchmarks/store_years.py [--farmers 1000] [--days 30] [--small 10] [--small-days 60]

First a store of few farmers is filled with everything that mining writes (pails, intents, attempts, entries,
postings), checked, and rolled up in two stages; the size of its file, vacuumed, after each of them says what a
pail takes up at full length, in brief and folded. Then a store with the pails of a thousand farmers for a month,
8.6 million, is summed by days, and the commands are run over it. What 300 days of 1,000 farmers come to is
worked out from the sizes.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

from status_speed import run

from kalepool.adapters.store.books import StoreBooks
from kalepool.adapters.store.farmers import StoreFarmers
from kalepool.adapters.store.fold_tables import BRIEF_DAYS
from kalepool.adapters.store.opening import Home, create_store, open_store
from kalepool.adapters.store.owners import Owner
from kalepool.adapters.store.pails import StoreBlocks, StorePails
from kalepool.adapters.store.roll_up import StoreRollUp
from kalepool.adapters.store.verify import verify
from kalepool.adapters.store.views import StoreViews
from kalepool.core.farm import Block
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.postings import BURNED, FEES, KALE, MINTED, XLM, account
from kalepool.core.records import BlockRecord, PailRecord, PailState, View
from kalepool.core.reports import DAY_S
from kalepool.core.sealing import terms_message
from kalepool.core.shares import Claim, owed, paid, share_key, share_postings
from kalepool.networks import NETWORKS
from kalepool.services.settling import Rules, Settling, TermsBook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kalepool.adapters.store.db import Store
    from kalepool.ports import Vault

START = 20_000 * DAY_S
BLOCKS_A_DAY = 288
EVERY_S = DAY_S // BLOCKS_A_DAY
HARVEST_EVERY = 5
FEE, STAKE, REWARD = 31_416, 5_000_000, 9_123_456
TERMS = Terms(share_bps=7_000, fee_bps=500, payout="G" + "P" * 55)
OPERATOR = account("G" + "O" * 55)
KEEP_DAYS, YEARS_DAYS, YEARS_FARMERS = 90, 300, 1_000
UNSETTLED_BLOCKS = 20


class Seals:
    """Seals terms with a keyed hash, as the vault does once it is open."""

    def seal(self, message: bytes) -> bytes:
        """Seal."""
        return hashlib.blake2b(message, key=b"benchmark", digest_size=32).digest()

    def seal_holds(self, message: bytes, seal: bytes) -> bool:
        """Check."""
        return self.seal(message) == seal


def people(store: Store, count: int) -> list[Farmer]:
    """Add farmers."""
    seals = Seals()
    made = [
        Farmer(0, f"farmer-{n:04}", f"G{n:055}", Custody.CUSTODIAL, FarmerState.ACTIVE, n, TERMS)
        for n in range(1, count + 1)
    ]
    return StoreFarmers(store, time.time).add(
        made, who="benchmark", seal=lambda farmer: seals.seal(terms_message(farmer, farmer.terms, 0))
    )


@contextmanager
def without_triggers(store: Store) -> Iterator[None]:
    """Write what the triggers would have written by oneself: many times faster, and `verify` checks it."""
    triggers = store.all("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
    for name, _ in triggers:
        store.execute(f"DROP TRIGGER {name}")
    yield
    for _, sql in triggers:
        store.execute(sql)


def add_blocks(store: Store, days: int) -> None:
    """Let blocks open."""
    blocks = []
    for block in range(days * BLOCKS_A_DAY):
        content = Block(START + block * EVERY_S, 10, 40, 0, 50_000_000, 5, 9, bytes(32), 7, 10**18)
        blocks.append(BlockRecord(block, content, 90_000, 60 * block))
    StoreBlocks(store).record(blocks)
    last = days * BLOCKS_A_DAY
    close = START + last * EVERY_S
    StoreViews(store).save(View(60 * last, close, last - 1, False, 10**11, 12_000_000, time.time()))


def add_pails(store: Store, farmers: int, block: int) -> None:
    """Let everybody harvest a pail of a block, for fees."""
    zeros, gap = 5 + block % 5, 10 + block % 30
    store.execute_many(
        "INSERT INTO pails (block, farmer, state, stake, planted_ledger, gap, zeros, reward, live_until, why, "
        "planned_gap, planned_millizeros, planned_reward) "
        "VALUES (?, ?, 'harvested', ?, ?, ?, ?, ?, ?, '', ?, 6500, 9000000)",
        [
            (block, one, STAKE + one, 60 * block, gap, zeros, REWARD + one, 60 * block + 17_280, gap)
            for one in range(1, farmers + 1)
        ],
    )
    fee = 2 * FEE + FEE // HARVEST_EVERY
    store.execute_many(
        "INSERT INTO pail_fees VALUES (?, ?, ?)", [(block, one, fee) for one in range(1, farmers + 1)]
    )


def count_up(store: Store) -> None:
    """Write the totals of pails."""
    store.execute(
        "INSERT INTO pail_totals SELECT farmer, state, count(*), sum(stake), sum(coalesce(reward, 0)) "
        "FROM pails GROUP BY farmer, state"
    )


class Everything:
    """Writes what mining writes: for every block and farmer a plant and a work, every fifth a harvest, shares."""

    def __init__(self, store: Store, farmers: list[Farmer]) -> None:
        self._store = store
        self._farmers = farmers
        self._intent = 0
        self._entry = 0
        self._owner = Owner(store, "benchmark", time.time).number

    def block(self, block: int) -> None:
        """Write a block."""
        at = START + block * EVERY_S
        add_pails(self._store, len(self._farmers), block)
        for farmer in self._farmers:
            number, wallet = farmer.number, account(farmer.address)
            stake = STAKE + number
            burn = ((wallet, KALE, -stake), (BURNED, KALE, stake))
            self._lands("plant", f"plant:{number}:{block}", [(number, block)], burn, at + 10)
            self._lands("work", f"work:{number}:{block}:1", [(number, block)], (), at + 200)
            if block % HARVEST_EVERY == HARVEST_EVERY - 1:
                span = range(block - HARVEST_EVERY + 1, block + 1)
                back = (stake + REWARD + number) * HARVEST_EVERY
                mint = ((MINTED, KALE, -back), (wallet, KALE, back))
                items = [(number, one) for one in span]
                self._lands("harvest", f"harvest:{number}:{span[0]}..{block}", items, mint, at + 290)
            record = PailRecord(number, block, PailState.HARVESTED, stake, 1, 1, 1, REWARD + number)
            shares = share_postings(record, TERMS, Custody.CUSTODIAL)
            self._books(share_key(number, block), None, shares, at)
            if block % BLOCKS_A_DAY == BLOCKS_A_DAY - 1:
                self._pays(number, [one for one in shares if one[0].startswith("owed:")], at)

    def _pays(self, number: int, shares: list[tuple[str, str, int]], at: int) -> None:
        lines = []
        for claim in (Claim.FARMER, Claim.POOL):
            amount = sum(stroops for name, _, stroops in shares if name == owed(claim, number)) * BLOCKS_A_DAY
            lines += [(owed(claim, number), KALE, -amount), (paid(claim, number), KALE, amount)]
        self._books(f"payout:{number}:{at}", None, tuple(lines), at + 1)

    def _lands(
        self,
        kind: str,
        purpose: str,
        items: list[tuple[int, int]],
        moves: tuple[tuple[str, str, int], ...],
        at: int,
    ) -> None:
        self._intent += 1
        number, store = self._intent, self._store
        inner, outer = (hashlib.sha256(f"{half}{number}".encode()).hexdigest() for half in "io")
        store.connection.execute(
            "INSERT INTO intents VALUES (?, ?, ?, 'settled', ?, '', ?)",
            (number, kind, purpose, self._owner, at),
        )
        store.connection.executemany(
            "INSERT INTO intent_items VALUES (?, ?, 0)",
            [(number, f"pail:{farmer}:{block}") for farmer, block in items],
        )
        source = f"G{items[0][0]:055}"
        store.connection.execute(
            "INSERT INTO attempts VALUES (?, 1, ?, ?, ?, ?, x'', ?, ?, 'landed')",
            (number, inner, f'["{outer}"]', source, 10**15 + number, at + 30, at // 5),
        )
        fee = ((OPERATOR, XLM, -FEE), (FEES, XLM, FEE))
        self._books(f"intent:{number}", number, (*fee, *moves), at)

    def _books(
        self, key: str, intent: int | None, postings: tuple[tuple[str, str, int], ...], at: float
    ) -> None:
        self._entry += 1
        self._store.connection.executemany(
            "INSERT INTO postings VALUES (?, ?, ?, ?, ?)",
            [(self._entry, *posting, float(at)) for posting in postings],
        )
        self._store.connection.execute(
            "INSERT INTO entries VALUES (?, ?, ?, '', ?)", (self._entry, key, intent, float(at))
        )

    def end(self) -> None:
        """Write the sums that triggers keep."""
        store = self._store
        store.execute(
            "INSERT INTO balances SELECT account, asset, sum(stroops) FROM postings GROUP BY account, asset"
        )
        store.execute(
            "INSERT INTO day_fees SELECT CAST(at / 86400 AS INTEGER), sum(stroops) FROM postings "
            "WHERE account = 'xlm:fees' GROUP BY 1"
        )
        store.execute("DELETE FROM pail_fees")
        store.execute(
            "INSERT INTO pail_fees SELECT block, farmer, sum(stroops) FROM fee_shares GROUP BY block, farmer"
        )
        count_up(store)


def size_of(store: Store, folder: Path) -> int:
    """Give the bytes of a store without what has become free."""
    copy = folder / "vacuumed.db"
    store.execute("VACUUM INTO ?", (str(copy),))
    size = copy.stat().st_size
    copy.unlink()
    return size


def timed_steps(roll_up: StoreRollUp) -> list[float]:
    """Take every step; give how long each took, milliseconds."""
    took = []
    while True:
        begun = time.perf_counter()
        more = roll_up.step()
        took.append(1_000 * (time.perf_counter() - begun))
        if not more:
            return sorted(took)


def say_steps(what: str, took: list[float]) -> None:
    """Print how long pieces took."""
    print(
        f"  {what}: {len(took):,} pieces in {sum(took) / 1000:.0f} s, "
        f"median {took[len(took) // 2]:.1f} ms, 99 % under {took[int(len(took) * 0.99)]:.1f} ms, longest {took[-1]:.0f} ms"
    )


def sizes(folder: Path, farmers: int, days: int) -> tuple[float, float, float]:
    """Give what takes up how many bytes: a pail at full length, a pail in brief, a folded day of a farmer."""
    path = folder / "small.db"
    create_store(path, Home("benchmark", "contract"))
    with open_store(path, Home("benchmark", "contract")) as store:
        everything = Everything(store, people(store, farmers))
        add_blocks(store, days)
        empty = size_of(store, folder)
        begun = time.perf_counter()
        with store.atomic(synced=True), without_triggers(store):
            for block in range(days * BLOCKS_A_DAY):
                everything.block(block)
            everything.end()
        pails = farmers * days * BLOCKS_A_DAY
        print(
            f"{farmers} farmers, {days} days, {pails:,} pails with all their history, in {time.perf_counter() - begun:.0f} s"
        )
        assert verify(store) == []
        books = StoreBooks(store)
        before = books.balances()
        at_length = (size_of(store, folder) - empty) / pails
        say_steps("summing and shortening", timed_steps(StoreRollUp(store, 36_500)))
        briefly = size_of(store, folder) - empty
        assert verify(store) == []
        long_pails = farmers * sum(
            1
            for _ in store.all(
                "SELECT 1 FROM blocks WHERE timestamp / 86400 >= ?", (START // DAY_S + days - 1 - BRIEF_DAYS,)
            )
        )
        in_brief = (briefly - long_pails * at_length) / (pails - long_pails)
        say_steps("folding", timed_steps(StoreRollUp(store, 30)))
        assert verify(store) == []
        assert books.balances() == before
        gone = store.value("SELECT count(*) FROM pail_days WHERE folded = 1")
        folded = (
            size_of(store, folder)
            - empty
            - long_pails * at_length
            - (pails - long_pails - gone * BLOCKS_A_DAY) * in_brief
        ) / gone
        print("  verify: sound before, between and after; every balance the same")
    path.unlink()
    return at_length, in_brief, folded


def month(folder: Path, farmers: int, days: int) -> None:
    """Report and settle over a store of many pails."""
    local = NETWORKS["local"]
    home = Home(local.passphrase, local.kale)
    path = folder / "kalepool.db"
    create_store(path, home)
    with open_store(path, home) as store:
        store.execute("PRAGMA cache_size = -500000")
        begun = time.perf_counter()
        with store.atomic(synced=True):
            people(store, farmers)
            add_blocks(store, days)
            with without_triggers(store):
                for block in range(days * BLOCKS_A_DAY):
                    add_pails(store, farmers, block)
                count_up(store)
            last = days * BLOCKS_A_DAY - UNSETTLED_BLOCKS
            store.execute("INSERT INTO unsettled SELECT block, farmer FROM pails WHERE block >= ?", (last,))
        print(
            f"{farmers} farmers, {days} days, {farmers * days * BLOCKS_A_DAY:,} pails, in {time.perf_counter() - begun:.0f} s"
        )
        say_steps("summing by farmer and day", timed_steps(StoreRollUp(store, KEEP_DAYS)))
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for target, words in (
        (2.0, ["report", "--by", "farmer", "--since", "30d"]),
        (2.0, ["report", "--by", "farmer", "--since", f"{days}d"]),
        (2.0, ["report", "--by", "day", "--since", "30d"]),
        (0.5, ["status"]),
    ):
        took, cpu, _ = run(words, folder, 3)
        verdict = "ok" if took <= target else "TOO SLOW"
        print(
            f"  kalepool {' '.join(words):<36} {took:6.2f} s ({cpu:.2f} s CPU)   target {target} s   {verdict}"
        )
    with open_store(path, home) as store:
        people_there = StoreFarmers(store, time.time)
        settling = Settling(
            people_there,
            StorePails(store),
            StoreBlocks(store),
            StoreBooks(store),
            store,
            TermsBook(people_there, cast("Vault", Seals())),
            Rules(),
        )
        begun = time.perf_counter()
        done = settling.settle()
        took = time.perf_counter() - begun
        verdict = "ok" if took <= 2.0 else "TOO SLOW"
        print(
            f"  settle: {done.pails:,} pails of {len(done.farmers)} farmers {took:6.2f} s   target 2.0 s   {verdict}"
        )


def main() -> None:
    """Measure, and print a line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--farmers", type=int, default=1_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--small", type=int, default=10)
    parser.add_argument("--small-days", type=int, default=60)
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        at_length, in_brief, folded = sizes(Path(name), args.small, args.small_days)
    day = YEARS_FARMERS * BLOCKS_A_DAY
    kept = BRIEF_DAYS * at_length + (KEEP_DAYS - BRIEF_DAYS) * in_brief
    whole = day * kept + (YEARS_DAYS - KEEP_DAYS) * YEARS_FARMERS * folded
    print(f"  a million pails: {at_length / 1e3:.2f} GB at full length, {in_brief / 1e3:.2f} GB in brief")
    print(
        f"  a day of a farmer: {at_length * BLOCKS_A_DAY / 1e3:.0f} kB at full length, {folded / 1e3:.2f} kB folded"
    )
    print(
        f"  {YEARS_FARMERS} farmers for {YEARS_DAYS} days: {whole / 1e9:.0f} GB "
        f"({YEARS_DAYS * day * at_length / 1e9:.0f} GB if nothing were rolled up)"
    )
    with TemporaryDirectory() as name:
        month(Path(name), args.farmers, args.days)


if __name__ == "__main__":
    main()
