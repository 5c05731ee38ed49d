"""The program as its operator types it, over a farmstead: words in; exit code, stdout and stderr out."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

from kalepool import bootstrap
from kalepool.cli.app import main
from support.farmstead import Farmstead
from support.vault import MAIN

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from kalepool.devnet.ledger import LedgerSettings

_OURS = ("kalepool.db", "kalepool.vault", "kalepool.toml")


class Desk:
    """A folder with a pool in it, and the program run there.

    Attributes:
        farm: the pool's folder and network.
    """

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        settings: LedgerSettings | None = None,
    ) -> None:
        self.farm = Farmstead(folder, settings)
        self.folder = folder
        self._capsys = capsys
        self._seconds = 1_000.0
        monkeypatch.chdir(folder)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "nobody"))
        monkeypatch.setenv("KALEPOOL_PASSPHRASE", MAIN)
        pool = partial(
            bootstrap.Pool, transport=self.farm.transport, monotonic=self._monotonic, sleep=self._sleep
        )
        monkeypatch.setattr(bootstrap, "Pool", pool)

    def _monotonic(self) -> float:
        return self._seconds

    async def _sleep(self, seconds: float) -> None:
        # Rests of nodes take no time: what waits for one finds it over.
        self._seconds += seconds

    def run(self, *words: str) -> tuple[int, str, str]:
        """Run the program; give exit code, stdout and stderr."""
        self._capsys.readouterr()
        code = main(list(words))
        return code, *self._capsys.readouterr()

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Run the program with ``--json``; give exit code and document."""
        code, out, err = self.run(*words, "--json")
        assert err == ""
        document: dict[str, Any] = json.loads(out)
        return code, document

    def refuses(self, *words: str) -> tuple[int, str, str]:
        """Run it, insist on nothing on stdout, an error, a hint, and nothing changed; give code, error and hint."""
        before = self.fingerprint()
        code, out, err = self.run(*words)
        assert out == ""
        error, hint = err.splitlines()
        assert error.startswith("error: ")
        assert hint.startswith("hint: ")
        assert self.fingerprint() == before
        return code, error, hint

    def fingerprint(self) -> dict[str, str]:
        """Give what every file of the pool holds, the log of the store folded in, and which others there are."""
        names = {path.name for path in self.folder.iterdir() if not path.name.endswith(("-shm", "-wal"))}
        found = dict.fromkeys(names, "")
        for name in _OURS:
            path = self.folder / name
            if path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found
