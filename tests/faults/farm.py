"""A pool in a folder, and the network that it belongs to, for processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.opening import Home, create_store
from kalepool.bootstrap import Pool
from kalepool.config import load
from kalepool.core.farmers import Custody, Farmer, FarmerState, Terms
from kalepool.networks import NETWORKS
from support.devnet import KALE, XLM
from support.vault import MAIN, make, secret

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.devnet.ledger import Ledger

_LOCAL: Final = NETWORKS["local"]
HOME: Final = Home(_LOCAL.passphrase, _LOCAL.kale)
FARMERS: Final = 2
NOWHERE: Final = "http://127.0.0.1:9"
"""Where no node is."""


class Farm:
    """A pool with two farmers.

    Args:
        folder: an empty one.
        url: of a node.
        ledger: of the network, to create accounts in; None where none is needed.
    """

    def __init__(self, folder: Path, url: str = NOWHERE, ledger: Ledger | None = None) -> None:
        self.folder = folder
        self.store = folder / "kalepool.db"
        vault = make(folder / "kalepool.vault")
        create_store(self.store, HOME)
        (folder / "passphrase").write_text(MAIN)
        (folder / "passphrase").chmod(0o600)
        (folder / "kalepool.toml").write_text(f'[network]\nrpc = ["{url}"]\n[mining]\nthreads = 1\n')
        farmers = [vault.wallet(index) for index in range(FARMERS)]
        channels = [vault.channel(number) for number in range(2)]
        if ledger is not None:
            ledger.create_account(vault.operator, 1_000 * XLM)
            for address in (*channels, *farmers):
                ledger.create_account(address, 2 * XLM)
            for address in farmers:
                ledger.give_kale(address, 100 * KALE)
        with self.pool() as pool:
            pool.channels.add(list(enumerate(channels)))
            pool.farmers.add(
                [
                    Farmer(
                        0, f"farmer-{index}", address, Custody.CUSTODIAL, FarmerState.ACTIVE, index, Terms()
                    )
                    for index, address in enumerate(farmers)
                ],
                who="test",
                seal=pool.seal_terms,
            )

    def pool(self) -> Pool:
        """Open the store."""
        return Pool(load(None, {}, self.folder), "test", lambda: secret(MAIN))

    def words(self, *words: str, unlocks: bool = True) -> list[str]:
        """Give a command line; with the passphrase where it unlocks the vault."""
        line = [*words, "--config", str(self.folder / "kalepool.toml")]
        return [*line, "--passphrase-file", str(self.folder / "passphrase")] if unlocks else line
