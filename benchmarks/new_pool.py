"""A pool made from nothing over a devnet on a socket, as its operator makes one: for what is measured over real sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from kalepool.bootstrap import Pool
from kalepool.config import load
from kalepool.core.roster import Applicant, numbered
from kalepool.founding import Place, complete, make_vault, new_phrase
from kalepool.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from kalepool.config import Value


@asynccontextmanager
async def new_pool(
    url: str, folder: Path, farmers: int, options: Mapping[str, Value] | None = None
) -> AsyncIterator[Pool]:
    """Make a pool with so many farmers, their accounts funded; give it while it is online."""
    config = load(None, {"HOME": str(folder)}, folder, {"network.rpc": (url,), **(options or {})})
    passphrase = Secret.from_text("for a benchmark")
    place = Place(config, folder / "kalepool.toml")
    make_vault(place, passphrase=passphrase, phrase=new_phrase(place, passphrase, None, None))
    complete(place)
    with Pool(config, "mine", lambda: passphrase) as pool:
        async with pool.online():
            await pool.rpc.ask_friendbot(pool.vault.operator)
            added = pool.onboarding.add([Applicant(name) for name in numbered("farmer", farmers)])
            await pool.funding.fund(await pool.funding.survey(added))
            yield pool
