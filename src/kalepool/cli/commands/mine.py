"""``kalepool mine``, ``plant`` and ``work``: the round loop, or one step of it by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.checks import check_range
from kalepool.cli.output import Output, output_of
from kalepool.cli.running import PassphraseFile, open_pool, run_async, unlock
from kalepool.core.amounts import format_amount
from kalepool.errors import PartialError, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.cli.live import Screen
    from kalepool.cli.mining_log import JsonLines, LogLines
    from kalepool.core.intents import Kind
    from kalepool.services.mining import Mining, Outcome
    from kalepool.services.rehearsing import Rehearsed
    from kalepool.services.stepping import Stepped
    from kalepool.services.stopping import Goal

_LINES_LEFT = 10

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Farmers; all active ones when none.")
]


def mine(
    ctx: typer.Context,
    blocks: Annotated[
        int | None, typer.Option(metavar="N", help="Plant N blocks, harvest them, and end.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="One block; the next is not opened to be able to harvest.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Decide what would be done now, simulate it, send nothing.")
    ] = False,
    threads: Annotated[int | None, typer.Option(metavar="N", help="Threads that hash.")] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Log lines instead of a screen.")] = False,
    auto: Annotated[
        bool, typer.Option("--auto", help="Settle and pay out at intervals, and end exits, too.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Plant, grind, work and harvest for all active farmers, until stopped.

    Ctrl-C once: nothing more is planted, open pails are worked, then it ends. Twice: it ends at once.
    """
    output = output_of(ctx)
    if once and blocks is not None:
        raise UsageError("--once is one block, --blocks says how many", hint="give one of them")
    if blocks is not None and blocks < 1:
        raise UsageError(f"--blocks is at least 1, not {blocks}", hint="leave it out to go on for ever")
    options = {} if threads is None else {"mining.threads": threads}
    from kalepool.services.mining import require_farmers  # noqa: PLC0415 - `--help` does without
    from kalepool.services.stopping import Goal  # noqa: PLC0415

    with open_pool(output, "mine", passphrase_file, options) as pool:
        require_farmers(pool.farmers)
        if not dry_run:
            pool.lock.check()
        _unlock_to_plant(pool)
        if dry_run:
            rehearsed = run_async(_rehearse(pool))
            output.emit("mine", _rehearsed_data(rehearsed), lambda console: _show(console, rehearsed))
            return
        goal = Goal(1 if once else blocks, opens=not once)
        outcome = run_async(_mine(pool, output, goal, live=_is_live(output, plain=plain), auto=auto))
    _report(output, outcome)


def plant(ctx: typer.Context, names: Names = None, passphrase_file: PassphraseFile = None) -> None:
    """Plant once, for all active farmers or those named, in the block that is open."""
    from kalepool.core.intents import Kind  # noqa: PLC0415

    _step(output_of(ctx), Kind.PLANT, names or [], passphrase_file, 0.0)


def work(
    ctx: typer.Context,
    names: Names = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", help="Search for proofs so long, network time.")
    ] = 10.0,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Work every planted pail once, or those of the farmers named, with the best proof at hand."""
    from kalepool.core.intents import Kind  # noqa: PLC0415

    check_range("--seconds", seconds, 0, 300)  # a block's time
    _step(output_of(ctx), Kind.WORK, names or [], passphrase_file, seconds)


def _unlock_to_plant(pool: Pool) -> None:
    """Unlock what planting takes: keys of custodial farmers, where there are any."""
    from kalepool.core.farmers import Custody, FarmerState  # noqa: PLC0415

    unlock(
        pool,
        farmers=any(farmer.custody is Custody.CUSTODIAL for farmer in pool.farmers.all(FarmerState.ACTIVE)),
    )


async def _mine(pool: Pool, output: Output, goal: Goal, *, live: bool, auto: bool) -> Outcome:
    from kalepool.services.mining import Mining  # noqa: PLC0415

    async with pool.online():
        if not live:
            mining = Mining(pool.means, goal, [_listener(output, pool, output.note)])
            _catch_signals(mining, output.note)
            async with _payouts(pool, output.note, wanted=auto):
                return await mining.run()
        from kalepool.cli.live import Screen  # noqa: PLC0415

        screen = Screen(lambda: mining.picture(), pool.known.name)  # noqa: PLW0108 - it is made below
        mining = Mining(pool.means, goal, [_listener(output, pool, screen.note)])
        _catch_signals(mining, screen.note)
        try:
            async with _payouts(pool, screen.note, wanted=auto):
                return await _beside(screen, mining)
        finally:
            # The screen is gone, and with it what happened: leave its end in the terminal.
            for line in screen.last(_LINES_LEFT):
                output.note(line)


@contextlib.asynccontextmanager
async def _payouts(pool: Pool, note: Callable[[str], None], *, wanted: bool) -> AsyncIterator[None]:
    """Pay out at intervals while the body runs; what is begun when it ends, the next payout closes."""
    if not wanted:
        yield
        return
    with pool.beside("payout") as other:
        async with other.online():
            task = asyncio.create_task(other.paymaster(note).run())
            try:
                yield
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def _beside(screen: Screen, mining: Mining) -> Outcome:
    """Mine with the screen beside it, which ends with it and never ends it."""
    drawing = asyncio.create_task(screen.run())
    try:
        return await mining.run()
    finally:
        drawing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await drawing


def _is_live(output: Output, *, plain: bool) -> bool:
    """Tell whether there is a terminal that can show a screen, and nobody has asked for lines."""
    return (
        not (plain or output.json or output.quiet)
        and sys.stdout.isatty()
        and os.environ.get("TERM", "dumb") != "dumb"
    )


def _catch_signals(mining: Mining, note: Callable[[str], None]) -> None:
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            note("stopping: nothing more is planted, open pails are worked; again to end at once")
        mining.request_stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)


def _listener(output: Output, pool: Pool, note: Callable[[str], None]) -> JsonLines | LogLines:
    from kalepool.cli.mining_log import JsonLines, LogLines  # noqa: PLC0415
    from kalepool.core.farmers import Custody, FarmerState  # noqa: PLC0415

    if output.json:
        return JsonLines(output.write)

    def planted_for() -> int:
        active = pool.farmers.all(FarmerState.ACTIVE)
        return sum(farmer.custody is Custody.CUSTODIAL for farmer in active)

    return LogLines(note, planted_for, verbose=output.verbose)


def _report(output: Output, outcome: Outcome) -> None:
    if not output.json:
        for one in outcome.at_risk:
            output.warn(
                f"at risk: {one.farmer} in block {one.block}, {format_amount(one.stake)} KALE: "
                "start `kalepool mine` again before the block ends"
            )
        if outcome.pending:
            output.note(f"{outcome.pending} pails wait for the next block to be harvested")
    if outcome.expired:
        raise PartialError(
            f"{outcome.expired} pails were found expired: stake and reward are lost",
            hint="run `kalepool harvest` more often; see `kalepool report`",
        )


async def _rehearse(pool: Pool) -> list[Rehearsed]:
    from kalepool.services.rehearsing import rehearse  # noqa: PLC0415

    async with pool.online():
        return await rehearse(pool.means)


def _rehearsed_data(rehearsed: Sequence[Rehearsed]) -> dict[str, Any]:
    actions = []
    for one in rehearsed:
        action: dict[str, Any] = {"action": one.what, "blocks": list(one.blocks), "reason": one.reason}
        if one.farmer is not None:
            action["farmer"] = one.farmer
        if one.stake is not None:
            action["stake_stroops"] = str(one.stake)
        if one.until is not None:
            action["until"] = datetime.fromtimestamp(one.until, UTC).isoformat()
        if one.refused:
            action["refused"] = one.refused
        actions.append(action)
    return {"dry_run": True, "actions": actions}


def _show(console: Console, rehearsed: Sequence[Rehearsed]) -> None:
    for one in rehearsed:
        blocks = ", ".join(map(str, one.blocks))
        where = f" {one.farmer} in block {blocks}" if one.farmer is not None else ""
        stake = "" if one.stake is None else f" with {format_amount(one.stake)} KALE"
        until = "" if one.until is None else f" until {datetime.fromtimestamp(one.until, UTC):%H:%M:%S}"
        refused = f" - would fail: {one.refused}" if one.refused else ""
        console.print(f"{one.what}{where}{stake}{until}: {one.reason}{refused}")


def _step(
    output: Output, kind: Kind, names: Sequence[str], passphrase_file: Path | None, seconds: float
) -> None:
    from kalepool.services.mining import require_farmers  # noqa: PLC0415

    with open_pool(output, kind, passphrase_file) as pool:
        require_farmers(pool.farmers)
        for name in names:
            pool.farmers.get(name)
        pool.lock.check()
        _unlock_to_plant(pool)
        stepped = run_async(_take_step(pool, output, kind, names, seconds))
    word = "planted" if str(kind) == "plant" else "worked"
    data = {
        "block": stepped.block,
        word: list(stepped.done),
        "left": list(stepped.left),
        "reason": stepped.why,
    }
    if stepped.left:
        error = PartialError(
            f"{len(stepped.left)} farmers are not {word} in block {stepped.block}: {', '.join(stepped.left[:5])}",
            hint=stepped.why or "see what was told above",
        )
        if not output.json:
            raise error
        output.emit_document(str(kind), data, error)
        raise typer.Exit(6)
    output.emit(
        str(kind),
        data,
        lambda console: console.print(f"{word} {len(stepped.done)} farmers in block {stepped.block}"),
    )


async def _take_step(pool: Pool, output: Output, kind: Kind, names: Sequence[str], seconds: float) -> Stepped:
    from kalepool.cli.mining_log import LogLines  # noqa: PLC0415
    from kalepool.services.stepping import Step  # noqa: PLC0415

    async with pool.online():
        step = Step(pool.means, kind, names, [LogLines(output.note, lambda: 0, verbose=output.verbose)])
        return await step.run(seconds)
