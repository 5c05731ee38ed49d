"""``kalepool devnet`` as somebody meets it who types it: what is printed, how it ends, what it refuses."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from kalepool.cli.app import main
from kalepool.devnet.server import listen
from support.devnet import keypair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PATIENCE_S = 30
# A line that never comes must not hold up the suite.
pytestmark = pytest.mark.timeout(60)
_PROMISED = {
    "network",
    "passphrase",
    "protocol_version",
    "rpc_url",
    "friendbot_url",
    "speed",
    "kale_asset",
    "sac_contract",
    "kale_contract",
    "tractor_contract",
}


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program as a process of its own, on any free port."""
    command = [sys.executable, "-m", "kalepool", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(stream: Any, holding: str) -> str:
    """Read lines until one holds this text."""
    for text in stream:
        if holding in text:
            return str(text)
    pytest.fail(f"it ended and never said {holding!r}")


def ended(process: subprocess.Popen[str], signal_number: int) -> str:
    """Send a signal, insist on a good end, give what was left on stderr."""
    process.send_signal(signal_number)
    _, left = process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 0, left
    return left


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_it_prints_its_ids_and_a_signal_ends_it_well(number: signal.Signals) -> None:
    with started("devnet", "--port", "0", "--speed", "20", "--neighbours", "12") as process:
        printed = {}
        while "admin token" not in printed:
            label, value = re.split(r"\s{2,}", next(process.stdout or iter(())).rstrip())[:2]
            printed[label] = value
        assert printed["RPC"].startswith("http://127.0.0.1:")
        assert printed["KALE asset"].startswith("KALE:G")
        assert all(printed[name].startswith("C") for name in ("KALE contract", "asset contract", "tractor"))
        line(process.stderr, "A local network at 20x with 12 neighbours. Ctrl-C ends it")
        assert ended(process, number).endswith("stopped\n")


def test_a_client_that_waits_does_not_keep_it_from_ending() -> None:
    with started("devnet", "--port", "0", "--json", "--speed", "0.01") as process:
        url = json.loads(line(process.stdout, "schema"))["data"]["rpc_url"]
        port = int(url.rpartition(":")[2].rstrip("/"))
        with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S) as waiting:
            # The next ledger, in which friendbot would pay, is minutes away.
            asked = f"GET /friendbot?addr={keypair('waiting').public_key} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            waiting.sendall(asked.encode())
            with urlopen(url, timeout=_PATIENCE_S):  # answered after the other was taken in
                pass
            ended(process, signal.SIGINT)


@pytest.mark.parametrize("words", [("--json", "devnet"), ("devnet", "--json")], ids=["before", "after"])
def test_json_tells_what_the_network_itself_tells(words: tuple[str, str]) -> None:
    with started(*words, "--port", "0", "--neighbours", "3") as process:
        document = json.loads(line(process.stdout, "schema"))
        assert document["ok"] is True
        assert document["command"] == "devnet"
        data = document["data"]
        with urlopen(data["rpc_url"], timeout=_PATIENCE_S) as answer:
            described = json.load(answer)
        assert described.keys() >= _PROMISED
        assert {name: data[name] for name in described} == described
        assert data["neighbours"] == 3
        ended(process, signal.SIGINT)


def test_closed_ledgers_are_told_on_stderr() -> None:
    with started("devnet", "--port", "0", "--speed", "1000") as process:
        told = line(process.stderr, "ledger 12,")
        assert re.fullmatch(r"\d\d:\d\d:\d\d  ledger 12, block 0: nothing\n", told)
        ended(process, signal.SIGINT)


def test_blocks_that_open_are_told_with_their_ranges() -> None:
    with started("devnet", "--port", "0", "--speed", "1000", "--neighbours", "5") as process:
        told = line(process.stderr, "block 1 opens")
        assert re.search(r"block 1 opens: gap \d+ to \d+, zeros \d+ to \d+, stake up to \d", told)
        ended(process, signal.SIGINT)


def test_quiet_says_nothing_but_the_data() -> None:
    """The signal comes as early as it can: before the network has begun to serve."""
    with started("--quiet", "devnet", "--port", "0", "--speed", "1000") as process:
        line(process.stdout, "admin token")
        assert ended(process, signal.SIGTERM) == ""


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--speed", "0"], "--speed 0 is out of range", "--speed is 0.01 to 1,000"),
        (["--speed", "nan"], "--speed nan is out of range", "--speed is 0.01 to 1,000"),
        (["--ledger-seconds", "61"], "--ledger-seconds 61 is out of range", "--ledger-seconds is 1 to 60"),
        (["--neighbours", "-1"], "--neighbours -1 is out of range", "--neighbours is 0 to 500"),
        (["--temp-ttl", "1"], "--temp-ttl 1 is out of range", "--temp-ttl is 16 to 3,110,400"),
        (["--history", "0"], "--history 0 is out of range", "--history is 1 to 1,000,000"),
        (["--port", "65536"], "--port 65536 is out of range", "--port is 0 to 65,535"),
        (["--first-index", "-1"], "--first-index -1 is out of range", "--first-index is 0 to 2,147,483,648"),
        (["--network", "mainnet"], "the devnet is the local network, not mainnet", "leave out --network"),
        (["--nonsense"], "No such option: --nonsense", "see `kalepool devnet --help`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_named_with_what_would_be_right(
    words: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["devnet", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith(f"error: {message}")
    assert err.splitlines()[1:] == [f"hint: {hint}"]


def test_a_port_that_is_taken_is_a_matter_of_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with listen(0) as taken:
        port = str(taken.getsockname()[1])
        assert main(["devnet", "--port", port]) == 3
        assert capsys.readouterr().err.startswith(f"error: port {port} cannot be used")
        for words in (["--json", "devnet", "--port", port], ["devnet", "--port", port, "--json"]):
            assert main(words) == 3
            document = json.loads(capsys.readouterr().out)
            assert (document["ok"], document["error"]["code"]) == (False, "config")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"node = ", "is not TOML"),
        (b"\xff\xfe", "is not TOML"),
        (b"node = 3", "node must be a table"),
        (b"[node]\nlatency = 3", "there is no fault 'latency'; there are latency_ms"),
        (b"[node]\nlatency_ms = 'slow'", "latency_ms must be a number"),
    ],
    ids=["missing", "not toml", "not text", "no table", "unknown fault", "no number"],
)
def test_a_fault_file_that_cannot_be_used_is_refused_before_anything_starts(
    content: bytes | None, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faults.toml"
    if content is not None:
        path.write_bytes(content)
    assert main(["devnet", "--port", "0", "--faults", str(path)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err.splitlines()[0]
    assert err.splitlines()[1].startswith("hint: ")
