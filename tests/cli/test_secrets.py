"""Nothing that a full run leaves behind or shows has a seed, a phrase or a passphrase in it, in no spelling."""

from __future__ import annotations

import base64
import hmac
import io
import json
import logging
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stellar_sdk import Keypair, StrKey
from stellar_sdk.sep.mnemonic import StellarMnemonic

from kalepool.cli.app import main
from support.live import LiveNetwork
from support.vault import MAIN, OPERATIONS, SEED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

pytestmark = pytest.mark.timeout(180)

SECOND = "a passphrase that came later"
WRONG = "a passphrase typed in the wrong place"
WRONG_SEED = SEED[:20] + "A" + SEED[21:]
FARMERS = 2
CHANNELS = 64
FIRST_FARMER = 1_000


# Secrets and how they may be spelled


def spellings(raw: bytes) -> Iterator[bytes]:
    """Give bytes as they may turn up: as they are, in hex, in base64 at any place within, as Python shows them."""
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            # Without the first and last characters, which hold bits of the neighbours.
            yield encode(bytes(shift) + raw)[4 if shift else 0 : -4]
    yield repr(raw)[2:-1].encode()
    yield str(list(raw))[1:-1].encode()


def of_seed(seed: str) -> set[bytes]:
    """Give every spelling of a seed, S...; a broken one has no bytes."""
    raw = b"" if seed == WRONG_SEED else StrKey.decode_ed25519_secret_seed(seed)
    return {seed.encode(), *(spellings(raw) if raw else ())}


def of_text(text: str) -> set[bytes]:
    """Give every spelling of a passphrase."""
    return {text.encode(), json.dumps(text)[1:-1].encode(), *spellings(text.encode())}


def of_phrase(phrase: str) -> set[bytes]:
    """Give any three words in a row, and every spelling of what the phrase stands for."""
    words = phrase.split()
    threes = [words[place : place + 3] for place in range(len(words) - 2)]
    between = (" ", "\n", ",", ", ", "', '", '", "')
    found = {separator.join(three).encode() for three in threes for separator in between}
    english = StellarMnemonic("english")
    root = english.to_bip39_seed(phrase, "")
    keys = [hmac.digest(root, purpose, sha256) for purpose in (b"kalepool terms v1", b"kalepool audit v1")]
    for raw in (bytes(english.to_entropy(phrase)), root, *keys):
        found |= set(spellings(raw))
    return found


def derived(phrase: str, index: int) -> str:
    """Give the seed of an account, as the SDK derives it."""
    return Keypair.from_mnemonic_phrase(phrase, index=index).secret


def secrets_of(phrase: str) -> dict[str, set[bytes]]:
    """Give all secrets of the run by name."""
    indices = {"operator": 0, **{f"channel {number}": 1 + number for number in range(CHANNELS)}}
    indices |= {f"farmer {number}": FIRST_FARMER + number for number in range(FARMERS + 1)}
    return {
        "phrase": of_phrase(phrase),
        "imported": of_seed(SEED),
        "mistyped": of_seed(WRONG_SEED),
        **{name: of_seed(derived(phrase, index)) for name, index in indices.items()},
        **{f"passphrase {text[:9]}": of_text(text) for text in (MAIN, OPERATIONS, SECOND, WRONG)},
    }


def find(secrets: Mapping[str, set[bytes]], where: Mapping[str, bytes]) -> set[tuple[str, str]]:
    """Give (place, secret) for every secret that stands somewhere."""
    return {
        (place, name)
        for place, data in where.items()
        for name, spelled in secrets.items()
        if any(one in data for one in spelled)
    }


# The run


class Run:
    """A pool's life in a folder of its own, all of whose words are kept.

    Attributes:
        shown: what was shown, logged and given as arguments, by command.
    """

    def __init__(self, folder: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder / "pool"
        self.keys = folder / "keys"
        self.url = url
        self.shown: dict[str, bytes] = {}
        self._capsys = capsys
        for one in (self.folder, self.keys):
            one.mkdir()
        for name, text in (
            ("main", MAIN),
            ("operations", OPERATIONS),
            ("second", SECOND),
            ("wrong", WRONG),
        ):
            self._keep(name, text)

    def _keep(self, name: str, text: str) -> None:
        (self.keys / name).write_text(text)
        (self.keys / name).chmod(0o600)

    def do(self, line: str, passphrase: str = "main", *, code: int = 0) -> None:
        """Run a command in this process, verbose or not; it must end as foreseen."""
        words = (
            [*line.split(), "--passphrase-file", str(self.keys / passphrase)] if passphrase else line.split()
        )
        self._capsys.readouterr()
        ended = main(words)
        out, err = self._capsys.readouterr()
        assert ended == code, (line, out, err)
        self.shown[line] = self.shown.get(line, b"") + out.encode() + err.encode()

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Run a command as a process of its own."""
        command = [sys.executable, "-m", "kalepool", *words, "--passphrase-file", str(self.keys / "second")]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        self.shown[f"arguments of {words[0]}"] = Path(f"/proc/{child.pid}/cmdline").read_bytes()
        return child

    def everything(self, *besides: str) -> dict[str, bytes]:
        """Give all that was shown, and every file but those that are there to hold a secret."""
        files = {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.name not in besides
        }
        return {**self.shown, **files}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with LiveNetwork() as network:
        made = Run(tmp_path, network.url, capsys)
        monkeypatch.chdir(made.folder)
        for name, value in (
            ("HOME", str(tmp_path)),
            ("TMPDIR", str(made.folder)),
            ("PYTHONPATH", os.pathsep.join(sys.path)),
            ("KALEPOOL_NETWORK_RPC", network.url),
            ("KALEPOOL_HARVEST_CHANNELS", "2"),
            ("KALEPOOL_MINING_THREADS", "1"),
        ):
            monkeypatch.setenv(name, value)
        yield made


def kill_in_the_middle(run: Run) -> None:
    """Let a process mine, and kill it once it has planted."""
    with run.start("mine", "--json", "--verbose") as child:
        assert child.stdout is not None
        told = b""
        for line in child.stdout:
            told += line
            if b'"planted"' in line:
                break
        child.send_signal(signal.SIGKILL)
        out, err = child.communicate()
        assert b'"planted"' in told, err.decode()
    run.shown["mine, killed"] = told + out + err


def test_a_full_run_leaves_and_shows_no_secret(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def feed(seed: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(seed.encode() + b"\n")))

    run.do(
        f"init --recovery-phrase-file phrase.txt --operations-passphrase-file {run.keys / 'operations'} -v"
    )
    run.do(f"farmer add f --count {FARMERS} -v")
    feed(SEED)
    run.do("farmer add imported --import-seed -v")
    feed(WRONG_SEED)
    run.do("farmer add mistyped --import-seed -v", code=2)
    run.do("farmer add nobody -v", "wrong", code=3)
    run.do("farmer add nobody -v", "operations", code=3)
    run.do("wallet fund --all --yes -v")
    run.do("mine --blocks 1 --json")
    run.do(f"wallet passphrase --new-passphrase-file {run.keys / 'second'} -v")
    run.do("wallet export f-1 --to seed.txt -v", "second")
    run.do("wallet export f-1 --to seed.txt -v", "second", code=3)
    (run.folder / "elsewhere").mkdir()
    phrase = (run.folder / "phrase.txt").read_text().strip()
    wrong = run.folder / "wrong.txt"
    wrong.write_text(phrase.replace(phrase.split()[5], "notaword"))
    wrong.chmod(0o600)
    run.do(
        f"wallet recover --recovery-phrase-file {wrong} -v --config elsewhere/kalepool.toml", "second", code=2
    )
    kill_in_the_middle(run)
    secrets = secrets_of(phrase)
    holders = ("phrase.txt", "wrong.txt", "seed.txt")
    assert (run.folder / "kalepool.db-wal").stat().st_size > 0
    assert find(secrets, run.everything(*holders)) == set()
    run.do("mine --once --plain -v", "second")
    run.do("harvest -v", "operations")
    home = Keypair.from_secret(SEED).public_key
    for line in (
        f"farmer set f-1 --share 50 --payout {home} -v",
        "settle -v",
        "payout --yes -v",
        f"wallet withdraw 1 --asset XLM --to {home} --yes -v",
        "farmer exit f-2 --yes -v",
        "db verify --chain -v",
        "report statement f-1",
        "report statement f-1 --json",
        "settle --explain f-1 --json",
        "audit",
    ):
        run.do(line, "second")
    run.do("db backup copy.db", "")
    for line in (
        "farmer list --wide",
        "farmer show f-1",
        "status",
        "report",
        "wallet balance",
        "plan",
        "db verify",
        "db compact",
        "db export export",
    ):
        run.do(line, "")
    open_to_others = {path.name for path in run.folder.rglob("*.*") if path.stat().st_mode & 0o077}
    assert open_to_others == {"kalepool.toml"}  # it has no secret, and an editor's mode
    run.shown["log"] = caplog.text.encode()
    assert len(caplog.text) > 1_000
    assert {"kalepool.db", "copy.db", "kalepool.vault", "kalepool.toml"} <= run.everything().keys()
    assert find(secrets, run.everything(*holders)) == set()
    # Where they must be, they are: so the search is one that finds.
    expected = {("phrase.txt", "phrase"), ("wrong.txt", "phrase"), ("seed.txt", "farmer 0")}
    assert find(secrets, run.everything()) == expected


PHRASE = StellarMnemonic("english").to_mnemonic(bytes(range(32)))


@pytest.mark.parametrize("name", ["phrase", "imported", "mistyped", "operator", "channel 63", "farmer 1"])
def test_a_secret_that_slips_out_is_found_in_any_spelling(name: str, tmp_path: Path) -> None:
    secrets = secrets_of(PHRASE)
    for spelled in secrets[name]:
        (tmp_path / "leak").write_bytes(b"\0 before" + spelled + b"after \xff")
        assert ("leak", name) in find(secrets, {"leak": (tmp_path / "leak").read_bytes()})


@pytest.mark.parametrize("place", range(3))
def test_a_seed_within_a_larger_value_is_found_in_its_base64(place: int) -> None:
    raw = StrKey.decode_ed25519_secret_seed(SEED)
    leak = base64.b64encode(b"x" * place + raw + b"more")
    assert find(secrets_of(PHRASE), {"leak": leak}) == {("leak", "imported")}
