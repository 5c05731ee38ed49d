"""``kalepool status`` as an operator and a script meet it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from kalepool.networks import NETWORKS
from support.desk import Desk
from support.field_day import live_through

if TYPE_CHECKING:
    from pathlib import Path

SCREEN = """\
network   local, ledger 1,000, seen {age} ago
block     103, open for 2 min 30 s
          gap 10 to 40, zeros 5 to 9, stake 0 to 5 KALE
farmers   2 active
at work   0.5 KALE staked
operator  100 XLM, for over 999 days at 0.000003 XLM a day
mining    not running

       planted  worked  harvestable  harvested  forfeited  expired
pails        1       0            0          4          1        1

warning: what is shown of the network is old
         look now: kalepool status --refresh
warning: nobody mines, and work is missing for 1 pail
         save their stakes: kalepool mine
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    desk = Desk(tmp_path, monkeypatch, capsys)
    with desk.farm.pool() as pool:
        desk.farm.add_farmers(pool, 2)
        live_through(pool)
    return desk


def test_one_screen_says_it_all(desk: Desk) -> None:
    code, out, err = desk.run("status")
    assert (code, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    shown = re.sub(r"seen .* ago", "seen {age} ago", "\n".join(lines) + "\n")
    assert shown == SCREEN
    assert max(map(len, lines)) <= 80


def test_a_script_reads_what_was_promised(desk: Desk) -> None:
    code, document = desk.json("status")
    data = document["data"]
    assert (code, document["ok"], document["command"]) == (0, True, "status")
    assert data["network"] == "local"
    assert data["ledger"] == 1_000
    assert data["block"] == {
        "index": 103,
        "age_s": 150,
        "min_gap": 10,
        "max_gap": 40,
        "min_zeros": 5,
        "max_zeros": 9,
        "min_stake_stroops": "0",
        "max_stake_stroops": "50000000",
    }
    assert data["farmers"]["active"] == 2
    assert data["pails"]["harvested"] == 4
    assert data["operator"]["xlm_stroops"] == "1000000000"
    assert data["mining"]["running"] is False
    assert data["mining"]["hashrate_mhs"] == 0
    assert data["stakes"] == {"at_work_stroops": "5000000"}
    assert data["closed_at"] == "2025-10-10T00:07:30Z"
    assert [warning["hint"] for warning in data["warnings"]] == [
        "look now: kalepool status --refresh",
        "save their stakes: kalepool mine",
    ]


def test_a_farm_that_mines_shows_who_and_how_fast(desk: Desk) -> None:
    with desk.farm.pool("mine") as mine, mine.lock.hold():
        _, out, _ = desk.run("status")
        _, document = desk.json("status")
    assert re.search(
        rf"mining    `mine` running for 0 s \(pid {os.getpid()} on .+\) *\n +12.5 Mh/s, last", out
    )
    assert document["data"]["mining"]["running"] is True
    assert document["data"]["mining"]["hashrate_mhs"] == 12.5
    assert document["data"]["mining"]["pid"] == os.getpid()


def test_a_pool_that_never_saw_the_network_has_a_status_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path, monkeypatch, capsys)
    code, out, _ = desk.run("status")
    assert code == 0
    assert "local, not looked at yet" in out
    assert "none; add one with: kalepool farmer add" in out
    _, document = desk.json("status")
    assert document["data"]["block"] is document["data"]["ledger"] is None


def test_a_refresh_asks_the_network_and_needs_no_passphrase(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KALEPOOL_PASSPHRASE")
    code, document = desk.json("status", "--refresh")
    data: dict[str, Any] = document["data"]
    assert code == 0
    assert data["ledger"] == desk.farm.bench.ledger.latest.sequence
    assert data["operator"]["xlm_stroops"] == str(10_000 * 10**7)
    assert data["seen_age_s"] < 10
    assert desk.json("status")[1]["data"]["ledger"] == data["ledger"]


def test_a_refresh_without_a_network_fails_and_leaves_the_view(desk: Desk) -> None:
    def broken(*_: object) -> Any:
        raise httpx.ConnectError("down")

    desk.farm.transport.change = broken
    before = desk.json("status")[1]["data"]["seen_at"]
    code, _, err = desk.run("status", "--refresh")
    assert code == 4
    assert "hint: " in err
    assert desk.json("status")[1]["data"]["seen_at"] == before


def test_watching_ends_well_with_ctrl_c(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("kalepool.cli.commands.status.time.sleep", nap)
    code, out, _ = desk.run("status", "--watch", "2")
    assert (code, naps) == (0, [2.0, 2.0, 2.0])
    assert out.count("network   local") == 3


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "1e9", "often"])
def test_a_strange_interval_is_a_matter_of_usage(desk: Desk, seconds: str) -> None:
    assert desk.refuses("status", "--watch", seconds)[0] == 2


def in_a_terminal(folder: Path, *words: str, width: int, term: str, env: dict[str, str]) -> str:
    """Run the program on a terminal of some columns, end it by Ctrl-C, and give all that it wrote."""
    process_id, terminal = pty.fork()
    if process_id == 0:  # pragma: no cover - another process
        os.chdir(folder)
        settings = {"TERM": term, "COLUMNS": str(width), "XDG_CONFIG_HOME": str(folder / "nobody")}
        inherited = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
        os.execve(sys.executable, [sys.executable, "-m", "kalepool", *words], inherited | settings | env)
    written, deadline = b"", time.monotonic() + 30
    interrupted = False
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.2)
        if ready:
            try:
                written += os.read(terminal, 65_536)
            except OSError:
                break
        if not interrupted and b"kalepool mine" in written:
            os.kill(process_id, signal.SIGINT)
            interrupted = True
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]) == 0
    return written.decode()


@pytest.mark.parametrize(
    ("width", "term", "env", "alternate", "colour"),
    [
        (80, "xterm-256color", {}, True, True),
        (120, "xterm-256color", {"NO_COLOR": "1"}, True, False),
        (80, "dumb", {}, False, False),
    ],
)
def test_a_terminal_is_redrawn_in_place_and_a_dumb_one_is_not(
    desk: Desk, width: int, term: str, env: dict[str, str], alternate: bool, colour: bool
) -> None:
    written = in_a_terminal(desk.folder, "status", "--watch", "60", width=width, term=term, env=env)
    assert ("\x1b[?1049h" in written) == alternate
    assert ("\x1b[33m" in written) == colour
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= width


def test_status_and_report_load_no_sdk(desk: Desk) -> None:
    heavy = "{'stellar_sdk', 'httpx', 'nacl', 'sqlite_utils', 'cffi', 'kalepool._miner'}"
    script = (
        "import sys; from kalepool.cli.app import main\n"
        "for words in (['status'], ['status', '--json'], ['report'], ['report', '--csv']): assert main(words) == 0\n"
        f"assert not {heavy} & set(sys.modules), sorted({heavy} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=desk.folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_bad_circumstances_get_a_line_a_hint_and_a_code(desk: Desk) -> None:
    store = desk.folder / "kalepool.db"
    store.chmod(0o644)
    assert desk.refuses("status")[0] == 3
    store.chmod(0o600)
    code, error, hint = desk.refuses("status", "--network", "testnet")
    assert code == 3
    assert NETWORKS["testnet"].passphrase in error
    assert hint == "hint: choose its network, or another configuration"
    with desk.farm.pool() as pool:
        pool.store.execute("PRAGMA user_version = 99")
    code, error, hint = desk.refuses("status")
    assert (code, hint) == (3, "hint: install the newer kalepool again")
    store.rename(desk.folder / "elsewhere.db")
    (desk.folder / "kalepool.vault").unlink()
    for words in (["status"], ["status", "--refresh"], ["status", "--watch", "1"]):
        assert desk.refuses(*words)[::2] == (3, "hint: make one with: kalepool init")
