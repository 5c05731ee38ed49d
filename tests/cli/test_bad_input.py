"""Every command with everything that may be wrong: one line and a hint, the right exit code, nothing changed.

What can be wrong with a command is generated: from what it needs, and from the options it is registered with.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sqlite3
import sys
from contextlib import ExitStack, closing
from dataclasses import dataclass
from enum import Flag, auto
from functools import partialmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.core import TyperArgument, TyperOption

from kalepool import errors
from kalepool.adapters.store.opening import Home, create_store
from kalepool.bootstrap import Pool
from kalepool.cli.app import main, tree
from kalepool.cli.output import EXIT_CODES
from kalepool.config import load
from kalepool.core.farmers import FarmerState
from kalepool.core.roster import Applicant
from kalepool.networks import NETWORKS
from support.steading import enter
from support.vault import MAIN, PHRASE, SEED_ADDRESS, make, secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

pytestmark = pytest.mark.timeout(60)


class Needs(Flag):
    """What a command stands on, and what therefore may be missing or wrong."""

    NOTHING = 0
    SETTINGS = auto()
    STORE = auto()
    VAULT = auto()
    PASSPHRASE = auto()
    NETWORK = auto()
    LOCK = auto()


STORE = Needs.SETTINGS | Needs.STORE
KEYS = STORE | Needs.VAULT | Needs.PASSPHRASE
CHAIN = STORE | Needs.NETWORK
ALL = KEYS | Needs.NETWORK
FOUNDING = Needs.SETTINGS | Needs.PASSPHRASE

SOLE = "anna"
"""The one farmer there is: active."""

# A line of each command, which would do if nothing were wrong, and what it needs.
LINES: dict[str, tuple[str, Needs]] = {
    "init": ("init --recovery-phrase-file new.txt", FOUNDING),
    "doctor": ("doctor --agree-contract " + "ab" * 32, ALL),
    "farmer add": ("farmer add bert", KEYS),
    "farmer list": ("farmer list", STORE),
    "farmer show": ("farmer show anna --verify", KEYS),
    "farmer set": ("farmer set anna --stake 5%", KEYS),
    "farmer pause": ("farmer pause anna", KEYS),
    "farmer resume": ("farmer resume anna", KEYS),
    "wallet fund": ("wallet fund anna --yes", ALL),
    "wallet balance": ("wallet balance", CHAIN),
    "wallet sweep": (f"wallet sweep 50 --to {SEED_ADDRESS} --yes", ALL),
    "wallet export": ("wallet export anna --to seed.txt", KEYS),
    "wallet passphrase": ("wallet passphrase --operations --remove", KEYS),
    "wallet recover": ("wallet recover --recovery-phrase-file phrase.txt", FOUNDING | Needs.NETWORK),
    "mine": ("mine --once", ALL | Needs.LOCK),
    "plant": ("plant anna", ALL | Needs.LOCK),
    "work": ("work anna", ALL | Needs.LOCK),
    "harvest": ("harvest", ALL),
    "status": ("status --refresh", CHAIN),
    "report": ("report", STORE),
    "db backup": ("db backup copy.db", STORE),
    "db verify": ("db verify --audit --chain", ALL),
    "db compact": ("db compact --keep-days 60", STORE),
    "farmer exit": ("farmer exit anna --quote", ALL),
    "wallet withdraw": (f"wallet withdraw 5 --to {SEED_ADDRESS} --yes", ALL),
    "settle": ("settle --explain anna", KEYS),
    "payout": ("payout anna --now --yes", ALL),
    "plan": ("plan --refresh", CHAIN),
    "audit": ("audit", KEYS),
    "db export": ("db export out --csv", STORE),
    "backtest": ("backtest", Needs.NOTHING),
    "bench": ("bench --seconds 0.1", Needs.NOTHING),
    "devnet": ("devnet", Needs.NOTHING),
    "demo": ("demo", Needs.NOTHING),
}


INSTEAD = {
    "farmer add --csv": "farmer add",
    "report --passphrase-file": "report statement anna",
    "wallet passphrase --new-passphrase-file": "wallet passphrase --operations",
}
"""Lines for options that do not go with the usual one."""


def test_every_command_of_the_program_has_its_line() -> None:
    assert {name for name, _ in leaves(tree())} == set(LINES)


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Give every command that does something, by its name and those of its groups."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
        return
    for name, one in inner.items():
        yield from leaves(one, (*path, name))


def pool_in(folder: Path) -> Pool:
    """Open the pool as somebody else."""
    return Pool(load(None, {}, folder), "mine", lambda: secret(MAIN))


# What may be wrong around a command


@dataclass(frozen=True)
class Scene:
    """A pool's folder with one active farmer, and no network."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    others: ExitStack

    def mine(self) -> None:
        """Let another one mine: it holds the lock."""
        pool = self.others.enter_context(pool_in(self.folder))
        self.others.enter_context(pool.lock.hold())

    def sql(self, statement: str) -> None:
        """Change the store behind everybody's back."""
        with closing(sqlite3.connect(self.folder / "kalepool.db", isolation_level=None)) as store:
            store.execute(statement)

    def configure(self, text: str) -> None:
        """Have a configuration file."""
        (self.folder / "kalepool.toml").write_text(text)

    def set(self, name: str, value: str | None) -> None:
        """Have a variable in the environment, or not."""
        if value is None:
            self.monkeypatch.delenv(name)
        else:
            self.monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class Fault:
    """Something wrong.

    Attributes:
        error: what it is to be.
        met: a command meets it when it needs all of these.
        arrange: makes it so.
        words: what the line has besides.
    """

    error: type[errors.KalepoolError]
    met: Needs = Needs.NOTHING
    arrange: Callable[[Scene], object] = lambda _: None
    words: str = ""


FAULTS: dict[str, Fault] = {
    "an unknown option": Fault(errors.UsageError, words="--sow"),
    "an unknown network": Fault(errors.UsageError, words="--network moon"),
    "one word too many": Fault(errors.UsageError, words="spare spare spare"),
    "a configuration that is not there": Fault(errors.ConfigError, Needs.STORE, words="--config none.toml"),
    "an unknown key in the configuration": Fault(
        errors.ConfigError, Needs.SETTINGS, lambda scene: scene.configure("[mining]\nthread = 1\n")
    ),
    "a configuration that is no TOML": Fault(
        errors.ConfigError, Needs.SETTINGS, lambda scene: scene.configure("threads 1")
    ),
    "an unknown key in the environment": Fault(
        errors.ConfigError, Needs.SETTINGS, lambda scene: scene.set("KALEPOOL_MINING_THREAD", "1")
    ),
    "no store": Fault(errors.ConfigError, Needs.STORE, lambda scene: (scene.folder / "kalepool.db").unlink()),
    "a store that is none": Fault(
        errors.ConfigError,
        Needs.STORE,
        lambda scene: (scene.folder / "kalepool.db").write_bytes(b"no store at all " * 512),
    ),
    "a newer store": Fault(
        errors.ConfigError, Needs.STORE, lambda scene: scene.sql("PRAGMA user_version = 99")
    ),
    "a store of another network": Fault(errors.ConfigError, Needs.STORE, words="--network testnet"),
    "no vault": Fault(
        errors.ConfigError, Needs.VAULT, lambda scene: (scene.folder / "kalepool.vault").unlink()
    ),
    "a vault cut short": Fault(
        errors.ConfigError,
        Needs.VAULT,
        lambda scene: (scene.folder / "kalepool.vault").write_bytes(
            (scene.folder / "kalepool.vault").read_bytes()[:-100]
        ),
    ),
    "a vault that others may read": Fault(
        errors.ConfigError, Needs.VAULT, lambda scene: (scene.folder / "kalepool.vault").chmod(0o644)
    ),
    "a wrong passphrase": Fault(
        errors.ConfigError, Needs.VAULT, lambda scene: scene.set("KALEPOOL_PASSPHRASE", "wrong")
    ),
    "no passphrase and no terminal": Fault(
        errors.ConfigError, Needs.PASSPHRASE, lambda scene: scene.set("KALEPOOL_PASSPHRASE", None)
    ),
    "the mining lock held": Fault(errors.LockedError, Needs.LOCK, Scene.mine),
    "an empty passphrase": Fault(
        errors.ConfigError, Needs.PASSPHRASE, lambda scene: scene.set("KALEPOOL_PASSPHRASE", "")
    ),
    "no network": Fault(errors.RetryableError, Needs.NETWORK),
}


def around() -> list[Any]:
    """Give every command with everything that it may meet."""
    return [
        pytest.param(name, f"{line} {fault.words}".split(), fault, id=f"{name}: {what}")
        for name, (line, needs) in LINES.items()
        for what, fault in FAULTS.items()
        if needs & fault.met == fault.met
    ]


# What may be wrong in a line

NONSENSE = "\x1bno\nsense"
"""Nothing that takes a value takes this one."""
NUMBERS = ("-1", "9" * 30, "nan")
FILES = ("none/none", ".")
TAKES_ANY = {"backtest --seed", "devnet --seed"}


def inside() -> list[Any]:
    """Give every command with values that its options and words cannot have."""
    cases: list[Any] = []

    def add(name: str, what: str, words: Sequence[str], error: type[errors.KalepoolError]) -> None:
        cases.append(pytest.param(name, list(words), Fault(error), id=f"{name}: {what}"))

    for name, command in ((name, one) for name, one in leaves(tree()) if name in LINES):
        words = LINES[name][0].split()
        if SOLE in words:
            add(name, "nobody", ["nobody" if word == SOLE else word for word in words], errors.UsageError)
        for option in command.params:
            if isinstance(option, TyperArgument) or option.is_flag:
                continue
            assert isinstance(option, TyperOption)
            flag = option.opts[0]
            line = INSTEAD.get(f"{name} {flag}", LINES[name][0]).split()
            if option.type_descriptor.annotation in {int, float}:
                for value in NUMBERS[-1:] if f"{name} {flag}" in TAKES_ANY else NUMBERS:
                    add(name, f"{flag} {value[:5]}", [*line, f"{flag}={value}"], errors.UsageError)
            elif option.type_descriptor.annotation is Path:
                kind = errors.UsageError if flag in {"--blocks", "--csv", "--plot"} else errors.ConfigError
                for value in FILES:
                    add(name, f"{flag} {value}", [*line, flag, value], kind)
            else:
                add(name, f"{flag} nonsense", [*line, flag, NONSENSE], errors.UsageError)
    return cases


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder once: it is copied for every test."""
    folder = tmp_path_factory.mktemp("steading")
    make(folder / "kalepool.vault")
    local = NETWORKS["local"]
    create_store(folder / "kalepool.db", Home(local.passphrase, local.kale))
    (folder / "phrase.txt").write_text(PHRASE)
    (folder / "phrase.txt").chmod(0o600)
    with pool_in(folder) as pool:
        (anna,) = pool.onboarding.add([Applicant(SOLE)])
        pool.farmers.move(anna.number, FarmerState.FUNDED, who="test", why="")
        pool.farmers.move(anna.number, FarmerState.ACTIVE, who="test", why="")
    return folder


@pytest.fixture
def scene(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    folder = tmp_path / "pool"
    shutil.copytree(template, folder)
    enter(folder, monkeypatch)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    hurry(monkeypatch)
    with ExitStack() as others:
        yield Scene(folder, monkeypatch, others)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a pool that waits for a node wait in a time of its own."""
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(Pool, "__init__", partialmethod(Pool.__init__, monotonic=lambda: now, sleep=sleep))


def contents(folder: Path) -> dict[str, str]:
    """Give a digest of every file, and of the store's rows; who was there a moment is not what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name.startswith("kalepool.db"):
            continue
        data = path.read_bytes() if path.is_file() else b""
        found[f"{path.name} {path.stat().st_mode:o}"] = hashlib.sha256(data).hexdigest()
    store = folder / "kalepool.db"
    if store.exists():
        try:
            with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as connection:
                found["version"] = str(connection.execute("PRAGMA user_version").fetchone())
                rows = [row for row in connection.iterdump() if '"owners"' not in row]
        except sqlite3.DatabaseError:
            rows = [store.read_bytes().hex()]
        found["store"] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


def check(
    scene: Scene,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: list[str],
    error: type[errors.KalepoolError],
) -> None:
    """Run a line, and again with ``--json``; insist on what an error owes."""
    before = contents(scene.folder)
    capsys.readouterr()
    code = main(words)
    shown = capsys.readouterr()
    assert code == EXIT_CODES[error], shown
    assert shown.out == ""
    said, hint = shown.err.splitlines()
    assert said.startswith("error: ")
    assert hint.startswith("hint: ")
    assert "unexpected failure" not in said
    assert (said + hint).isprintable()
    assert contents(scene.folder) == before
    assert main([*words, "--json"]) == code
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    told = document["error"]
    assert (document["command"], document["ok"], document["data"]) == (name, False, {})
    assert (told["code"], told["message"], told["hint"]) == (error.code, said[7:], hint[6:])
    assert shown.err == ""
    assert contents(scene.folder) == before


@pytest.mark.parametrize(("name", "words", "fault"), around() + inside())
def test_what_is_wrong_is_told_in_a_line_and_a_hint_and_changes_nothing(
    scene: Scene, capsys: pytest.CaptureFixture[str], name: str, words: list[str], fault: Fault
) -> None:
    if LINES[name][1] & Needs.PASSPHRASE and not LINES[name][1] & Needs.STORE:
        for path in scene.folder.glob("kalepool.*"):  # it makes them
            path.unlink()
    fault.arrange(scene)
    check(scene, capsys, name, words, fault.error)
