"""``kalepool mine``, ``plant`` and ``work`` over a socket, as an operator types them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kalepool.adapters.store.opening import Home, create_store
from kalepool.bootstrap import Pool
from kalepool.cli.app import main
from kalepool.config import load
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.core.records import PailState
from kalepool.networks import NETWORKS
from support.devnet import KALE, XLM
from support.live import LiveNetwork
from support.vault import MAIN, make, secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)
SPEED = 100.0
SLOWLY = 10.0
"""Where a process must be started within a block."""


class Farm:
    """A folder with everything that ``mine`` needs, and the network it belongs to."""

    def __init__(self, folder: Path, network: LiveNetwork, farmers: int) -> None:
        self.folder = folder
        local = NETWORKS["local"]
        vault = make(folder / "kalepool.vault", operations=True)
        create_store(folder / "kalepool.db", Home(local.passphrase, local.kale))
        (folder / "passphrase").write_text(MAIN)
        (folder / "passphrase").chmod(0o600)
        (folder / "kalepool.toml").write_text(f'[network]\nrpc = ["{network.url}"]\n[mining]\nthreads = 1\n')
        ledger = network._server.devnet.ledger
        ledger.create_account(vault.operator, 1_000 * XLM)
        for number in range(4):
            ledger.create_account(vault.channel(number), 2 * XLM)
        with self.pool() as pool:
            pool.channels.add([(number, pool.vault.channel(number)) for number in range(4)])
            added = []
            for index in range(farmers):
                address = vault.wallet(index)
                ledger.create_account(address, 2 * XLM)
                ledger.give_kale(address, 100 * KALE)
                name = f"farmer-{index + 1}"
                added.append(Farmer(0, name, address, Custody.CUSTODIAL, FarmerState.ACTIVE, index, Terms()))
            if added:
                pool.farmers.add(added, who="test", seal=pool.seal_terms)

    def pool(self) -> Pool:
        """Open its store."""
        return Pool(load(None, {}, self.folder), "test", lambda: secret(MAIN))

    def words(self, *words: str) -> list[str]:
        """Give a command line for it."""
        folder = self.folder
        return [
            *words,
            "--config",
            str(folder / "kalepool.toml"),
            "--passphrase-file",
            str(folder / "passphrase"),
        ]

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run the program as a process of its own."""
        command = [sys.executable, "-m", "kalepool", *self.words(*words)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def farm(folder: Path, farmers: int = 3, speed: float = SPEED) -> Iterator[Farm]:
    """Give a farm on a network that runs."""
    network = LiveNetwork(speed=speed)
    made = Farm(folder, network, farmers)
    with network:
        yield made


def wait_for(process: subprocess.Popen[str], name: str) -> dict[str, Any]:
    """Read events until one of a kind."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == name:
            return event
    pytest.fail(f"it ended and never told {name}: {process.stderr.read() if process.stderr else ''}")


def test_a_block_is_mined_and_told_in_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with farm(tmp_path) as made:
        assert main(made.words("mine", "--blocks", "1")) == 0
        told = capsys.readouterr()
        assert told.out == ""
        assert "planted 3 of 3 farmers in block" in told.err
        assert "harvested" in told.err
        with made.pool() as pool:
            assert pool.pails.counts()[PailState.HARVESTED] == 3
            assert pool.books.total() == 0


def test_events_are_objects_one_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with farm(tmp_path, 2) as made:
        assert main(made.words("mine", "--once", "--json")) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "started"
    assert events[-1]["event"] == "stopped"
    planted = [event for event in events if event["event"] == "planted"]
    assert {event["farmer"] for event in planted} == {"farmer-1", "farmer-2"}
    assert all({"at", "block", "transaction", "stake_stroops"} <= event.keys() for event in planted)


def test_a_signal_ends_it_in_order(tmp_path: Path) -> None:
    with farm(tmp_path, speed=SLOWLY) as made, made.started("mine", "--json") as process:
        wait_for(process, "planted")
        process.send_signal(signal.SIGTERM)
        event = wait_for(process, "stopped")
        assert process.wait(30) == 0
        assert event["reason"].startswith("stopped as asked")
        with made.pool() as pool:
            assert pool.pails.counts()[PailState.FORFEITED] == 0


def test_a_killed_mine_is_followed_by_one_that_finishes_the_block(tmp_path: Path) -> None:
    with farm(tmp_path, speed=SLOWLY) as made:
        with made.started("mine", "--json") as process:
            block = wait_for(process, "planted")["block"]
            process.kill()
            process.wait(30)
        with made.started("mine", "--json") as process:
            assert wait_for(process, "worked")["block"] == block
            process.send_signal(signal.SIGTERM)
            wait_for(process, "stopped")
            assert process.wait(30) == 0
        with made.pool() as pool:
            records = pool.pails.in_blocks(block, block)
            assert [record.state for record in records] == [PailState.WORKED] * 3


def test_plant_and_work_take_one_step_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with farm(tmp_path, 2, SLOWLY) as made:
        assert main(made.words("plant", "farmer-1", "--json")) == 0
        planted = json.loads(capsys.readouterr().out)["data"]
        assert planted["planted"] == ["farmer-1"]
        assert main(made.words("work", "farmer-1", "--json", "--seconds", "1")) == 0
        worked = json.loads(capsys.readouterr().out)["data"]
        assert (worked["block"], worked["worked"]) == (planted["block"], ["farmer-1"])


def test_a_dry_run_tells_what_would_be_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with farm(tmp_path, 2) as made:
        assert main(made.words("mine", "--dry-run", "--json")) == 0
        data = json.loads(capsys.readouterr().out)["data"]
        assert [one["farmer"] for one in data["actions"] if one["action"] == "plant"] == [
            "farmer-1",
            "farmer-2",
        ]
        with made.pool() as pool:
            assert sum(pool.pails.counts().values()) == 0
            assert pool.journal.open_intents(mine=False) == []


def test_no_active_farmer_is_a_matter_of_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with farm(tmp_path, 0) as made:
        assert main(made.words("mine")) == 3
    assert "farmer add" in capsys.readouterr().err


def test_a_second_mine_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with farm(tmp_path, 1) as made, made.pool() as pool, pool.lock.hold():
        assert main(made.words("mine")) == 7
    assert "holds the mining lock" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("mine", "--blocks", "0"),
        ("mine", "--blocks", "2", "--once"),
        ("mine", "--blocks", "many"),
        ("work", "--seconds", "1000"),
    ],
)
def test_wrong_words_are_usage(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(words)) == 2
    assert "error:" in capsys.readouterr().err
