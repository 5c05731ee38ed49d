"""A season of a pool by its command line, on a devnet: twenty farmers of different terms, thirty blocks, and what goes wrong.

    python benchmarks/season.py [--blocks 30] [--speed 60] [--keep FOLDER]

Farmers are added and funded, terms agreed with each, and mined for in three parts. Between the parts one farmer's terms
change, one leaves, a payout is killed with SIGKILL after its envelopes have left and run again, and one payout address does
not exist. At the end books and chain are compared. Every command is printed with its exit code and last line;
the script fails where one is not as it must be. With --keep, one farmer's statement is left in a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stellar_sdk import (
    Account,
    AccountMerge,
    Asset,
    ChangeTrust,
    Keypair,
    Operation,
    SorobanServer,
    TransactionBuilder,
)
from stellar_sdk.exceptions import AccountNotFoundException
from stellar_sdk.soroban_rpc import GetTransactionStatus

from kalepool.networks import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Iterator

CHILD = Path(__file__).parents[1] / "tests" / "faults" / "kill_child.py"
CODE, ISSUER = NETWORKS["local"].asset.split(":")
KALE = Asset(CODE, ISSUER)
FARMERS = 20
STAKES = ("0", "10%", "50%", "100%", "2.5")
SHARES = ("100", "90", "75.5", "50", "0")
FEES = ("0", "1", "2.5", "10")
THRESHOLDS = ("0", "0.5", "5")
DEAD, LEAVING, CHANGED = "farmer-4", "farmer-7", "farmer-2"
HELD, UNHURT = 6, 0


class Season:
    """The pool, its operator's shell, and the network beside it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url.rstrip("/")
        self.server = SorobanServer(url)
        (folder / "passphrase").write_text("for a season", encoding="utf-8")
        (folder / "passphrase").chmod(0o600)

    def run(
        self, *words: str, wants: tuple[int, ...] = (UNHURT,), killed_at: str = "", shows: bool = True
    ) -> str:
        """Run a command; give what it printed.

        Args:
            words: of the command line.
            wants: exit codes that it may have.
            killed_at: the point at which it is killed, else none.
            shows: whether its last line is printed.

        Raises:
            SystemExit: when it ends otherwise.
        """
        line = [*words, "--config", str(self.folder / "kalepool.toml")]
        if words[0] not in {"status", "db"} and words[:2] != ("report", "--since"):
            line += ["--passphrase-file", str(self.folder / "passphrase")]
        program = [str(CHILD), killed_at, "1"] if killed_at else ["-m", "kalepool"]
        if killed_at:
            wants = (-signal.SIGKILL,)
        began = time.monotonic()
        ended = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, *program, *line],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"KALEPOOL_NETWORK_RPC": self.url},
        )
        said = [one for one in (ended.stdout + ended.stderr).splitlines() if one.strip()]
        what = "killed" if killed_at else f"exit {ended.returncode}"
        say(f"$ kalepool {' '.join(words)}   # {what}, {time.monotonic() - began:.1f} s")
        if shows and said:
            say(f"  {said[-1].strip()}")
        if ended.returncode not in wants:
            raise SystemExit(f"it should have ended with {wants}:\n{ended.stdout}{ended.stderr}")
        return ended.stdout

    def data(self, *words: str, wants: tuple[int, ...] = (UNHURT,)) -> Any:
        """Run a command and give what its JSON says."""
        return json.loads(self.run(*words, "--json", wants=wants, shows=False))["data"]

    def fund(self, address: str) -> None:
        """Have the network's friendbot create an account."""
        with urllib.request.urlopen(f"{self.url}/friendbot?addr={address}", timeout=30):  # noqa: S310 - our own network
            pass

    def payee(self) -> Keypair:
        """Make an account on the network that can receive KALE."""
        keys = Keypair.random()
        self.fund(keys.public_key)
        self.send(keys, ChangeTrust(KALE))
        return keys

    def bury(self, keys: Keypair) -> None:
        """Take an account off the network."""
        self.send(keys, ChangeTrust(KALE, "0"), AccountMerge(ISSUER))

    def send(self, keys: Keypair, *operations: Operation) -> None:
        """Send a transaction of an account's own, and see it through."""
        builder = TransactionBuilder(
            self.account(keys.public_key), NETWORKS["local"].passphrase, base_fee=1_000
        )
        for operation in operations:
            builder.append_operation(operation)
        built = builder.set_timeout(0).build()
        built.sign(keys)
        self.server.send_transaction(built)
        found = self.server.poll_transaction(built.hash_hex(), 30)
        if found.status is not GetTransactionStatus.SUCCESS:
            raise SystemExit(f"the network refused {operations}: {found.status}")

    def account(self, address: str) -> Account:
        """Give an account, once the network has it."""
        while True:
            try:
                return self.server.load_account(address)
            except AccountNotFoundException:
                time.sleep(0.05)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def network(speed: float) -> Iterator[str]:
    """Run a devnet in a process of its own; give its URL."""
    command = [sys.executable, "-m", "kalepool", "devnet", "--port", "0", "--speed", str(speed)]
    with subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--neighbours", "12", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as devnet:
        assert devnet.stdout is not None
        try:
            yield json.loads(devnet.stdout.readline())["data"]["rpc_url"]
        finally:
            devnet.terminate()


def play(season: Season, blocks: int) -> None:
    """Do all of it."""
    part = str(blocks // 3)
    season.run("init", "--network", "local", "--recovery-phrase-file", str(season.folder / "phrase"))
    season.run("farmer", "add", "farmer", "--count", str(FARMERS))
    season.run("wallet", "fund", "--all", "--yes")
    for number in range(1, FARMERS + 1):
        agree(season, number)
    season.run("mine", "--blocks", part, "--plain")
    season.run("farmer", "set", CHANGED, "--share", "60", "--fee", "5")
    season.run("mine", "--blocks", part, "--plain")
    season.run("settle")
    season.run("payout", "--now", "--yes", killed_at="after-send")
    season.run("payout", "--now", "--yes", wants=(HELD,))
    season.run("payout", "--now", "--yes", wants=(HELD,))
    season.run("farmer", "exit", LEAVING, "--yes")
    season.run("mine", "--blocks", str(blocks - 2 * int(part)), "--plain")
    season.run("harvest")
    season.run("farmer", "exit", LEAVING, "--yes")
    season.run("payout", "--now", "--yes", wants=(HELD,))
    season.run("settle", "--explain", CHANGED, shows=False)
    season.run("db", "verify", "--chain")
    season.run("audit", shows=False)
    total = season.data("report", "--since", "all")["total"]
    say(
        ", ".join(
            f"{total[name]} {name}" for name in ("planted", "worked", "harvested", "forfeited", "expired")
        )
    )


def agree(season: Season, number: int) -> None:
    """Agree terms with a farmer, each another mixture."""
    name = f"farmer-{number}"
    terms = ["--stake", STAKES[number % 5], "--share", SHARES[number // 2 % 5], "--fee", FEES[number % 4]]
    terms += ["--harvest-every", str(1 + number % 3), "--payout-from", THRESHOLDS[number % 3]]
    payee = season.payee() if number % 6 else None
    if payee:
        terms += ["--payout", payee.public_key, "--exit-delay", "0"]
    season.run("farmer", "set", name, *terms, shows=False)
    if payee and name == DEAD:
        season.bury(payee)


def main() -> None:
    """Play the season and say what came of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--keep", type=Path, help="where the statement is left")
    given = parser.parse_args()
    with network(given.speed) as url, tempfile.TemporaryDirectory() as folder:
        season = Season(Path(folder), url)
        play(season, given.blocks)
        if given.keep:
            given.keep.mkdir(exist_ok=True)
            (given.keep / "statement.md").write_text(
                season.run("report", "statement", CHANGED, "--since", "all", shows=False)
            )


if __name__ == "__main__":
    main()
