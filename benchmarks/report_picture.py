"""A pool's first days on a devnet in virtual time: the plot that docs/ show.

    python benchmarks/report_picture.py [--days 14] [--blocks 6] [--out docs]

Writes report.svg (`kalepool report --since all --plot`) as the program draws it, and says what the books have to say. Farmers join, terms differ, one morning the machine halts with stakes in
the ground, and each evening what is owed is paid. So many blocks a day are mined; the rest of a day passes in
one late ledger. The engine gets a little real time for each ledger, which is five seconds on the network:
the hash rate shown is that of a machine some thousand times slower than the one that runs this.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.verify import verify
from kalepool.core.farmers import Stake, Terms
from kalepool.core.postings import KALE, account
from support.mining import Shift
from support.vault import MAIN

if TYPE_CHECKING:
    from collections.abc import Sequence

_DAY_S: Final = 86_400
_FAMILIES: Final = (
    Terms(stake=Stake(bps=10_000), share_bps=9_000, fee_bps=200, harvest_every=2),
    Terms(stake=Stake(bps=1_000), share_bps=8_000, fee_bps=500),
    Terms(stake=Stake(bps=0), share_bps=10_000, fee_bps=1_000, payout_from=400_0000000, harvest_every=4),
)
_JOINING: Final = {0: 6, 4: 4, 8: 2}
_HALTED_ON: Final = 6
_TWO_BLOCKS: Final = 2 * 61


class Season:
    """A pool that lives through days."""

    def __init__(self, folder: Path) -> None:
        self.shift = Shift(
            folder,
            farmers=0,
            neighbours=12,
            options={"mining.kale_price_from_pool": True, "payout.pool_from_kale": "0"},
        )
        self.shift.stead.bench.devnet.fill_pool(xlm=40_000_0000000, kale=1_000_000_0000000)

    def join(self, count: int) -> None:
        """Let farmers join, each with a payout address of his own."""
        shift = self.shift
        for _ in range(count):
            number = len(shift.farmers)
            address = shift.stead.bench.account(f"home {number}", kale=0).public_key
            terms = replace(_FAMILIES[number % len(_FAMILIES)], payout=address)
            shift.farmers += shift.stead.add_farmers(shift.pool, 1, kale=60 + 35 * number, terms=terms)

    def day(self, blocks: int, *, halts: bool) -> None:
        """Mine, settle and pay; then let the rest of the day pass."""
        shift = self.shift
        morning = shift.ledger.latest.close_time
        if halts:
            shift.at[shift.ledger.latest.sequence + 2 * 60 + 20] = self._halt
        shift.mine(blocks)
        if halts:
            # Others go on, and open the next block: what is not worked by then is lost.
            shift.stead.bench.close(_TWO_BLOCKS)
        shift.again()
        shift.play(self._pay())
        shift.again()
        passed = shift.ledger.latest.close_time - morning
        shift.stead.bench.devnet.close_ledger(late_by=float(_DAY_S - passed))

    def _halt(self) -> None:
        self.shift.stop()
        self.shift.stop()

    async def _pay(self) -> None:
        pool = self.shift.pool
        async with pool.online():
            pool.settling.settle()
            await pool.paying.pay(await pool.paying.plan())

    def verdict(self) -> str:
        """Say whether the books are sound, and how they compare with the network."""
        pool, shift = self.shift.pool, self.shift
        differing = [
            farmer.name
            for farmer in shift.farmers
            if pool.books.balance(account(farmer.address), KALE)
            != shift.balances(farmer.address)[0] - 10_000_000 * (60 + 35 * (farmer.number - 1))
        ]
        found = verify(pool.store)
        return f"books: {found or 'sound'}; wallets that differ from the network: {differing or 'none'}"


def write(folder: Path, out: Path) -> None:
    """Let the program draw it."""
    environment = os.environ | {"KALEPOOL_PASSPHRASE": MAIN, "KALEPOOL_MINING_KALE_PRICE_FROM_POOL": "true"}

    def program(*words: str) -> str:
        command: Sequence[str] = (sys.executable, "-m", "kalepool", *words)
        return subprocess.run(  # noqa: S603 - our own program
            command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    out.mkdir(exist_ok=True)
    print(program("report", "--since", "all", "--plot", str((out / "report.svg").resolve())))
    print(program("report", "--since", "all", "--by", "day"))


def main() -> None:
    """Live through the days and draw them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        season = Season(Path(folder))
        for day in range(chosen.days):
            season.join(_JOINING.get(day, 0))
            season.day(chosen.blocks, halts=day == _HALTED_ON)
            print(f"day {day + 1} of {chosen.days} has passed", file=sys.stderr)
        print(season.verdict())
        season.shift.pool.close()
        write(Path(folder), chosen.out)


if __name__ == "__main__":
    main()
