"""A pool's folder as `init` leaves it, with the cheap vault of the known phrase, for tests of commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kalepool.adapters.store.opening import Home, create_store
from kalepool.bootstrap import Pool
from kalepool.cli.app import main
from kalepool.config import load
from kalepool.networks import NETWORKS
from support.vault import MAIN, make, secret

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOBODY = "http://127.0.0.1:9"


class Steading:
    """Runs commands in the folder, in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.vault = make(folder / "kalepool.vault")
        local = NETWORKS["local"]
        create_store(folder / "kalepool.db", Home(local.passphrase, local.kale))

    def run(self, *words: str) -> tuple[int, str, str]:
        """Give exit code, stdout and stderr of a command."""
        self._capsys.readouterr()
        code = main(list(words))
        shown = self._capsys.readouterr()
        return code, shown.out, shown.err

    def data(self, *words: str) -> Any:
        """Give the data of a command that must succeed."""
        code, out, err = self.run(*words, "--json")
        assert code == 0, (out, err)
        return json.loads(out)["data"]

    def document(self, *words: str) -> tuple[int, Any]:
        """Give exit code and JSON document of a command."""
        code, out, _ = self.run(*words, "--json")
        return code, json.loads(out)

    def pool(self) -> Pool:
        """Look inside."""
        return Pool(load(None, {}, self.folder), "test", lambda: secret(MAIN))

    def contents(self) -> tuple[bytes, list[object]]:
        """Give the vault's bytes and every row of the store that a command may have left."""
        with self.pool() as pool:
            rows: list[object] = [
                row
                for table in (
                    "farmers",
                    "terms",
                    "farmer_moves",
                    "facts",
                    "audit",
                    "intents",
                    "entries",
                    "channels",
                )
                for row in pool.store.all(f"SELECT * FROM {table}")
            ]
        return (self.folder / "kalepool.vault").read_bytes(), rows


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch, *, rpc: str = NOBODY) -> None:
    """Work in a folder, with the passphrase and a node's URL in the environment."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("KALEPOOL_PASSPHRASE", MAIN)
    monkeypatch.setenv("KALEPOOL_NETWORK_RPC", rpc)
