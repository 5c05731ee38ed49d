"""``mine`` killed at named points over a real devnet, and what is left: ``python -m tests.faults.kills --times 5``."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

_TESTS = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "src")]

from faults.farm import FARMERS, Farm  # noqa: E402 - found by the path above
from kalepool.adapters.store.intent_rows import load_intents  # noqa: E402
from kalepool.adapters.store.opening import read_store  # noqa: E402
from kalepool.adapters.store.verify import verify  # noqa: E402
from kalepool.cli.app import main as kalepool  # noqa: E402
from kalepool.core.records import PailState  # noqa: E402
from support.live import LiveNetwork  # noqa: E402

if TYPE_CHECKING:
    from kalepool.bootstrap import Pool
    from kalepool.core.intents import Intent

CHILD: Final = Path(__file__).with_name("kill_child.py")
SPEED: Final = 100.0
_ALL: Final = 1_000_000
STEPS: Final = ("plan", "sign", "send", "mark", "learn", "settle")
POINTS: Final = [f"{when}-{step}" for step in STEPS for when in ("before", "after")]


def killed(point: str, words: list[str], passes: int = 1) -> int:
    """Run the program until it kills itself; give how it ended."""
    command = [sys.executable, str(CHILD), point, str(passes), *words]
    return subprocess.run(command, capture_output=True, timeout=120, check=False).returncode


class Victim:
    """A pool of two farmers that mines, and is killed.

    Args:
        folder: an empty one.
        network: not yet entered.
    """

    def __init__(self, folder: Path, network: LiveNetwork) -> None:
        self._network = network
        self.farm = Farm(folder, network.url, network.ledger)

    def die(self, point: str, passes: int = 1) -> str:
        """Mine until it is killed the so manieth time that it passes a point; give what is wrong then, or nothing."""
        ended = killed(point, self.farm.words("mine", "--blocks", "1", "--plain"), passes)
        if ended != -signal.SIGKILL:
            return f"it ended with {ended}"
        with read_store(self.farm.store) as store:
            return "; ".join(verify(store))

    def live(self) -> None:
        """Mine a block in peace, and harvest."""
        assert kalepool(self.farm.words("mine", "--blocks", "1", "--plain")) == 0
        assert kalepool(self.farm.words("harvest")) == 0

    def judge(self) -> tuple[list[str], dict[str, int]]:
        """Give what is wrong when the network has ended, and what there was."""
        landed = {one.transaction.outer_hash.hex(): one for one in self._network.ledger.by_hash.values()}
        wrong = []
        with self.farm.pool() as pool:
            pails = pool.pails.counts()
            if pool.books.total():
                wrong.append(f"postings sum to {pool.books.total()}")
            if pails[PailState.HARVESTED] < FARMERS or pool.pails.alive(PailState.HARVESTABLE):
                wrong.append(f"pails: {pails}")
            known: set[str] = set()
            found = _intents(pool)
            for intent in found:
                hashes = [one for attempt in intent.attempts for one in attempt.outer_hashes]
                known.update(hashes)
                if sum(one in landed for one in hashes) != (intent.state in {"settled", "failed"}):
                    wrong.append(f"{intent.purpose} is {intent.state}, and {hashes} are what there is of it")
            paid = {
                one
                for one, applied in landed.items()
                if applied.transaction.fee_source == pool.addresses.operator
            }
            wrong += [f"{one} is not in the journal" for one in sorted(paid - known)]
            wrong += [f"{one.purpose} is still open" for one in pool.journal.open_intents(mine=False)]
            counts = {
                "intents": len(found),
                "transactions": len(paid),
                "harvested": pails[PailState.HARVESTED],
            }
            return wrong, counts


def _intents(pool: Pool) -> list[Intent]:
    return load_intents(pool.store, [number for (number,) in pool.store.all("SELECT number FROM intents")])


def main() -> int:
    """Kill at each point so many times, each time at a later pass; print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kills", description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    times: int = parser.parse_args().times
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        network = LiveNetwork(speed=SPEED, history=_ALL)
        victim = Victim(Path(folder), network)
        with network:
            for point in POINTS:
                found = [victim.die(point, number) for number in range(1, times + 1)]
                wrong += [f"{point}: {one}" for one in found if one]
                sys.stdout.write(f"{point:<14} killed {times} times, sound after {found.count('')}\n")
                sys.stdout.flush()
            victim.live()
        last, counts = victim.judge()
    sys.stdout.write(", ".join(f"{count} {name}" for name, count in counts.items()) + "\n")
    for line in wrong + last:
        sys.stdout.write(f"  {line}\n")
    return 1 if wrong or last else 0


if __name__ == "__main__":
    sys.exit(main())
