"""``kalepool harvest`` as cron meets it: its words, its numbers, its exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kalepool.cli.app import main
from kalepool.cli.commands.harvest import parse_range
from kalepool.devnet.server import listen
from kalepool.errors import UsageError
from kalepool.xdr.keys import trustline_key
from support.farmstead import Farmstead
from support.field import STAKE, sow
from support.sweeps import contents
from support.vault import OPERATIONS

if TYPE_CHECKING:
    from pathlib import Path


class Cron:
    """A farmstead, and the command run in its folder against the devnet in this process."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.stead = Farmstead(folder)
        self.capsys = capsys
        with self.stead.pool() as pool:
            self.stead.add_channels(pool)
            self.farmers = self.stead.add_farmers(pool, 2)
        monkeypatch.setattr(
            "kalepool.cli.commands.harvest.open_pool",
            lambda *_: self.stead.pool("harvest", passphrase=OPERATIONS),
        )
        monkeypatch.setattr("kalepool.cli.commands.harvest.run_async", self.stead.play)

    def run(self, *words: str) -> tuple[int, str, str]:
        code = main(["harvest", *words])
        captured = self.capsys.readouterr()
        return code, captured.out, captured.err

    def json(self, *words: str) -> tuple[int, Any]:
        code, out, _ = self.run("--json", *words)
        document = json.loads(out)
        assert document["command"] == "harvest"
        assert document["ok"] == (code == 0)
        return code, document


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cron:
    return Cron(tmp_path, monkeypatch, capsys)


def test_it_tells_what_was_harvested_in_a_table_and_a_line(cron: Cron) -> None:
    sow(cron.stead.bench, [farmer.address for farmer in cron.farmers], range(7, 10))
    code, out, err = cron.run()
    assert code == 0
    table, summary = out.splitlines()[:-1], out.splitlines()[-1]
    assert [line.split()[:3] for line in table] == [
        ["farmer", "blocks", "pails"],
        ["farmer-1", "7..9", "3"],
        ["farmer-2", "7..9", "3"],
    ]
    assert summary.startswith("6 pails of 2 farmers harvested: ")
    assert summary.endswith(" KALE of reward and 60 KALE of stake, in 2 transactions")
    assert "harvests sent: 2, of pails: 6" in err


def test_its_json_has_the_promised_fields(cron: Cron) -> None:
    sow(cron.stead.bench, [cron.farmers[0].address], [7])
    code, document = cron.json()
    assert code == 0
    (one,) = document["data"]["harvested"]
    assert (one["farmer"], one["block"], one["stake_stroops"]) == ("farmer-1", 7, str(STAKE))
    paid = cron.stead.bench.kale_of(cron.farmers[0].address) - 100 * 10_000_000
    assert int(one["reward_stroops"]) + STAKE == paid
    assert len(bytes.fromhex(one["transaction"])) == 32
    assert (document["data"]["pending"], document["data"]["expired"]) == ([], [])


def test_nothing_to_do_is_well_done(cron: Cron) -> None:
    assert cron.run()[:2] == (0, "nothing was harvested\n")
    assert cron.json()[1]["data"] == {"harvested": [], "pending": [], "expired": [], "extended": []}


def test_another_one_running_is_well_done_too_and_said(cron: Cron) -> None:
    with cron.stead.pool("harvest") as other:
        other.harvest_lock.take()
        code, out, err = cron.run()
    assert (code, out) == (0, "")
    assert "kalepool harvest is running already" in err


def test_a_dry_run_says_what_would_be_and_leaves_everything_as_it_is(cron: Cron) -> None:
    sow(cron.stead.bench, [farmer.address for farmer in cron.farmers], range(7, 9))
    before = contents(cron.stead)
    code, out, _ = cron.run("--dry-run")
    assert code == 0
    assert out.splitlines()[-1].startswith("4 pails of 2 farmers would be harvested: ")
    _, document = cron.json("--dry-run", "--farmer", "farmer-2")
    assert [(one["farmer"], one["block"]) for one in document["data"]["would_harvest"]] == [
        ("farmer-2", 7),
        ("farmer-2", 8),
    ]
    assert contents(cron.stead) == before
    assert len(cron.json()[1]["data"]["harvested"]) == 4


def test_a_farmer_and_blocks_can_be_named(cron: Cron) -> None:
    sow(cron.stead.bench, [farmer.address for farmer in cron.farmers], range(7, 12))
    _, document = cron.json("--farmer", "farmer-1", "--block", "8..9")
    assert [(one["farmer"], one["block"]) for one in document["data"]["harvested"]] == [
        ("farmer-1", 8),
        ("farmer-1", 9),
    ]


def test_what_expired_makes_it_end_with_6_once(cron: Cron) -> None:
    sow(cron.stead.bench, [cron.farmers[0].address], [7], ends_in=3)
    with cron.stead.pool() as pool:

        async def note() -> None:
            async with pool.online():
                await pool.survey().read([(1, 7)], {1: cron.farmers[0]})

        cron.stead.play(note())
    cron.stead.bench.close(4)
    code, document = cron.json()
    assert (code, document["error"]["code"]) == (6, "partial")
    assert document["error"]["message"] == "1 pail expired: stake and reward are lost"
    assert document["data"]["expired"] == [
        {"farmer": "farmer-1", "block": 7, "stake_stroops": str(STAKE), "reason": "not harvested by ledger 4"}
    ]
    assert cron.run()[0] == 0


def test_what_failed_is_listed_with_its_reason_beside_what_was_done(cron: Cron) -> None:
    sow(cron.stead.bench, [farmer.address for farmer in cron.farmers], [7])
    line = trustline_key(cron.farmers[0].address, cron.stead.bench.identity.kale)
    cron.stead.bench.ledger.delete_now(line)
    code, out, err = cron.run()
    assert code == 6
    assert "farmer-1, block 7: farmer-1 has no KALE trustline" in out
    assert "1 pail of 1 farmer harvested" in out
    assert "error: 1 pail could not be harvested\nhint: " in err


def test_without_a_network_it_ends_with_4_and_changes_nothing(cron: Cron) -> None:
    sow(cron.stead.bench, [cron.farmers[0].address], [7])
    cron.stead.bench.devnet.change_node("main", {"server_error": 1.0})
    code, document = cron.json()
    assert (code, document["error"]["code"]) == (4, "network")
    cron.stead.bench.devnet.change_node("main", {"server_error": 0.0})
    assert len(cron.json()[1]["data"]["harvested"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--farmer", "nobody"], "nobody"),
        (["--block", "9..7"], "'9..7' ends before it begins"),
        (["--block", "seven"], "'seven' is no range of blocks"),
    ],
)
def test_bad_words_are_refused_before_anything_happens(cron: Cron, words: list[str], said: str) -> None:
    before = contents(cron.stead)
    code, out, err = cron.run(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert contents(cron.stead) == before


@pytest.mark.parametrize(
    ("text", "blocks"),
    [("7", (7, 7)), ("0..0", (0, 0)), ("7..12", (7, 12)), ("4294967295", (2**32 - 1,) * 2)],
)
def test_ranges_are_read(text: str, blocks: tuple[int, int]) -> None:
    assert parse_range(text) == blocks


@pytest.mark.parametrize(
    "text", ["", "..", "1..", "..1", "1...2", "-1..2", "1..2..3", "٣", "1 .. 2", "9" * 30]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no range of blocks"):
        parse_range(text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.timeout(60)
def test_a_signal_ends_it_at_once_though_a_node_does_not_answer(
    tmp_path: Path, number: signal.Signals
) -> None:
    stead = Farmstead(tmp_path)
    with stead.pool() as pool:
        stead.add_farmers(pool, 1)
    with listen(0) as silent:
        port = silent.getsockname()[1]
        (tmp_path / "kalepool.toml").write_text(f'[network]\nrpc = ["http://127.0.0.1:{port}"]\n')
        with subprocess.Popen(
            [sys.executable, "-m", "kalepool", "harvest"],
            cwd=tmp_path,
            env={**os.environ, "KALEPOOL_PASSPHRASE": OPERATIONS},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                silent.settimeout(30)
                with silent.accept()[0]:  # it asks, and waits
                    process.send_signal(number)
                    # How soon is no matter of a test on a busy machine; had it gone on waiting, it would end with 4.
                    out, err = process.communicate(timeout=30)
            finally:
                process.kill()
    assert (process.returncode, out, err) == (130, "", "stopped\n")
    # It has left in order: the next one need not wait for anybody.
    with stead.pool("harvest") as pool:
        assert pool.harvest_lock.take() == ""
