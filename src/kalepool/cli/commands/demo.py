"""``kalepool demo``: a network, farmers and the miner in one process, and what each farmer earned."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.checks import check_range
from kalepool.cli.commands.devnet import genesis_time
from kalepool.cli.output import Output, output_of
from kalepool.cli.wording import count, duration, rounded
from kalepool.core.reports import some
from kalepool.errors import UsageError
from kalepool.networks import LOCAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.core.farmers import Farmer
    from kalepool.core.reports import Line
    from kalepool.founding import Place
    from kalepool.secret import Secret

_SPEED = 60.0
_NEIGHBOURS = 6
_SEED = 1
_MOST_FARMERS = 100
_MOST_BLOCKS = 50


def demo(
    ctx: typer.Context,
    farmers: Annotated[int, typer.Option(metavar="N", help="Farmers of ours, up to 100.")] = 10,
    blocks: Annotated[int, typer.Option(metavar="N", help="Blocks to farm, up to 50.")] = 5,
) -> None:
    """Farm some blocks on a local network in this process, and show what each farmer earned.

    It needs no configuration and leaves nothing behind. Time runs sixty times as fast: a block takes five seconds.
    """
    output = output_of(ctx)
    check_range("--farmers", farmers, 1, _MOST_FARMERS)
    check_range("--blocks", blocks, 1, _MOST_BLOCKS)
    if output.network not in (None, LOCAL):
        raise UsageError(
            f"the demo runs on a local network, not on {output.network}", hint="leave out --network"
        )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kalepool-demo-") as folder:
        outcome = asyncio.run(_demo(Path(folder), output, farmers, blocks))
    if outcome is None:
        raise KeyboardInterrupt
    _tell(output, outcome[0], outcome[1], blocks, time.monotonic() - began)


async def _demo(
    folder: Path, output: Output, farmers: int, blocks: int
) -> tuple[list[Farmer], list[Line]] | None:
    """Do all of it, or as much as there is until Ctrl-C or SIGTERM; then give nothing."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        async with _network(output) as url:
            return await _farm(folder, url, output, farmers, blocks)
    except asyncio.CancelledError:
        return None


@contextlib.asynccontextmanager
async def _network(output: Output) -> AsyncIterator[str]:
    """Run a devnet in this process; give its URL."""
    from kalepool.devnet.devnet import Devnet  # noqa: PLC0415 - `--help` does without
    from kalepool.devnet.ledger import LedgerSettings  # noqa: PLC0415
    from kalepool.devnet.neighbours import Neighbours  # noqa: PLC0415
    from kalepool.devnet.server import HOST, Server, listen  # noqa: PLC0415

    listener = listen(0)
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    network = Devnet(LedgerSettings(genesis_time=genesis_time(_SPEED)), None, url)
    Neighbours(network.ledger, _NEIGHBOURS, _SEED)
    server = Server(network, listener, speed=_SPEED)
    serving = asyncio.create_task(server.run())
    output.note(f"a local network at {_SPEED:g} times the clock's speed, with {_NEIGHBOURS} other farmers")
    try:
        yield url
    finally:
        server.stop()
        await serving


async def _farm(
    folder: Path, url: str, output: Output, farmers: int, blocks: int
) -> tuple[list[Farmer], list[Line]]:
    from kalepool.bootstrap import Pool  # noqa: PLC0415
    from kalepool.config import load  # noqa: PLC0415
    from kalepool.core.reports import By  # noqa: PLC0415
    from kalepool.core.roster import Applicant, numbered  # noqa: PLC0415
    from kalepool.founding import Place  # noqa: PLC0415
    from kalepool.secret import Secret  # noqa: PLC0415

    # Nobody's settings: neither a file nor the environment has a say in a demo.
    config = load(None, {"HOME": str(folder)}, folder, {"network.name": LOCAL, "network.rpc": (url,)})
    passphrase = Secret.from_text(secrets.token_urlsafe())
    _found(Place(config, folder / "kalepool.toml"), passphrase)
    with Pool(config, "demo", lambda: passphrase) as pool:
        async with pool.online():
            await pool.rpc.ask_friendbot(pool.vault.operator)
            added = pool.onboarding.add([Applicant(name) for name in numbered("farmer", farmers)])
            funded = await pool.funding.fund(await pool.funding.survey(added))
            output.note(
                f"{some(len(funded.farmers), 'farmer')} added, accounts created in "
                f"{some(funded.transactions, 'transaction')}"
            )
            await _mine(pool, output.note, blocks)
        lines = {line.key: line for line in pool.reports.lines(By.FARMER, None)}
        return added, [lines[farmer.name] for farmer in added]


def _found(place: Place, passphrase: Secret) -> None:
    from kalepool.founding import complete, make_vault, new_phrase  # noqa: PLC0415

    make_vault(place, passphrase=passphrase, phrase=new_phrase(place, passphrase, None, None))
    complete(place)


async def _mine(pool: Pool, note: Callable[[str], None], blocks: int) -> None:
    from kalepool.cli.mining_log import LogLines  # noqa: PLC0415
    from kalepool.services.mining import Mining  # noqa: PLC0415
    from kalepool.services.stopping import Goal  # noqa: PLC0415

    listener = LogLines(note, lambda: len(pool.farmers.all()))
    await Mining(pool.means, Goal(blocks), [listener]).run()


def _tell(
    output: Output, farmers: Sequence[Farmer], lines: Sequence[Line], blocks: int, seconds: float
) -> None:
    data: dict[str, Any] = {
        "blocks": blocks,
        "seconds": round(seconds, 1),
        "farmers": [
            {
                "name": farmer.name,
                "address": farmer.address,
                "planted": line.planted,
                "worked": line.worked,
                "harvested": line.harvested,
                "harvested_stroops": str(line.reward),
                "staked_stroops": str(line.staked),
                "fees_stroops": str(line.fees),
            }
            for farmer, line in zip(farmers, lines, strict=True)
        ],
    }
    output.emit("demo", data, lambda console: _render(console, farmers, lines, blocks, seconds))


def _render(
    console: Console, farmers: Sequence[Farmer], lines: Sequence[Line], blocks: int, seconds: float
) -> None:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, show_footer=True, pad_edge=False)
    table.add_column("farmer", "total")
    for name, value in (
        ("planted", count(sum(line.planted for line in lines))),
        ("worked", count(sum(line.worked for line in lines))),
        ("harvested", count(sum(line.harvested for line in lines))),
        ("KALE earned", rounded(sum(line.reward for line in lines))),
        ("XLM fees", rounded(sum(line.fees for line in lines))),
    ):
        table.add_column(name, value, justify="right")
    for farmer, line in zip(farmers, lines, strict=True):
        table.add_row(
            farmer.name,
            count(line.planted),
            count(line.worked),
            count(line.harvested),
            rounded(line.reward),
            rounded(line.fees),
        )
    console.print(table)
    console.print(
        f"{some(blocks, 'block')} in {duration(seconds)}. Nothing of it is kept; `kalepool init` begins in earnest."
    )
