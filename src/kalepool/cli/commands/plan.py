"""``kalepool plan``: what would be done in the current block, and why."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kalepool.cli.output import output_of
from kalepool.cli.running import open_pool, run_async
from kalepool.core.actions import Grind, Harvest, Plant, SubmitWork, Wait
from kalepool.core.amounts import format_amount
from kalepool.core.economics import format_kale
from kalepool.core.prices import shown as price_text
from kalepool.core.working import why_then

if TYPE_CHECKING:
    from rich.console import Console

    from kalepool.bootstrap import Pool
    from kalepool.core.actions import Action
    from kalepool.core.prices import Price
    from kalepool.core.situation import Aim
    from kalepool.services.planning import Seen, Shown

_KALE = 10_000_000


def plan(
    ctx: typer.Context,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask the network instead of the store's last view.")
    ] = False,
) -> None:
    """Show what would be done in the current block, and why; nothing is sent.

    Without --refresh this is the plan at the time of the store's last look at the network.
    """
    from kalepool.services.planning import planned, remembered  # noqa: PLC0415 - `--help` does without

    output = output_of(ctx)
    with open_pool(output, "plan") as pool:
        if refresh:
            pool.farmers.all()  # the store before the network
            seen = run_async(_look(pool))
            pool.pricer.note(seen.snapshot.farm.index, seen.snapshot.reserves)
        else:
            seen = remembered(pool.views, pool.blocks, pool.pails, pool.farmers)
        view = pool.views.last()
        outlook = pool.learner.outlook(0.0 if view is None else float(view.hashrate))
        shown = planned(seen, pool.farmers, pool.grinds, pool.journal.reserved(), pool.policy, outlook)
        name, price = pool.policy.name, pool.pricer.price(seen.snapshot.farm.index)
    output.emit("plan", _data(shown, name, price), lambda console: _render(console, shown, name, price))


async def _look(pool: Pool) -> Seen:
    from kalepool.services.planning import look  # noqa: PLC0415

    async with pool.online():
        return await look(pool.chain, pool.clock, pool.farmers)


def _data(shown: Shown, policy: str, price: Price) -> dict[str, Any]:
    seen, worth = shown.seen, shown.worth
    return {
        "policy": policy,
        "ledger": seen.pace.ledger,
        "at": _iso(seen.pace.now),
        "block": seen.snapshot.farm.index,
        "price": {"xlm": price.estimate, "source": price.source, "note": price.note},
        "worth": None
        if worth is None
        else {
            "zero_stroops": str(round(worth.zero)),
            "ledger_stroops": str(round(worth.ledger)),
            "kale_staked_stroops": str(round(worth.stroop * _KALE)),
        },
        "actions": [_described(action, shown) for action in shown.plan.actions],
        "works": [
            {
                "farmer": shown.farmers[aim.lane.farmer],
                "ledger": aim.ledger,
                "at": _iso(seen.pace.close_of(aim.ledger)),
                "lands_in_time": round(aim.lands, 4),
                "worked": aim.pail.zeros is not None,
                "reason": _why(aim, shown),
            }
            for aim in shown.plan.aims
        ],
        "skipped": [
            {"farmer": shown.farmers[skip.farmer], "reason": skip.reason} for skip in shown.plan.skips
        ],
    }


def _described(action: Action, shown: Shown) -> dict[str, Any]:
    if isinstance(action, Wait):
        return {"action": "wait", "until": _iso(action.until), "reason": action.reason}
    told: dict[str, Any] = {"action": _word(action), "farmer": shown.farmers[action.farmer]}
    if isinstance(action, Harvest):
        return told | {"blocks": list(action.blocks), "reason": action.reason}
    told["block"] = action.block
    if isinstance(action, Plant):
        told["stake_stroops"] = str(action.stake)
    elif isinstance(action, Grind):
        told |= {"cap": action.cap, "weight": action.weight}
    else:
        told |= {"zeros": action.proof.zeros, "improves": action.improves}
    return told | {"reason": action.reason}


def _why(aim: Aim, shown: Shown) -> str:
    # Where a work is aimed at all there is a block to work in.
    return "" if shown.plan.situation is None else why_then(aim, shown.plan.situation)


def _word(action: Action) -> str:
    words = {Plant: "plant", Grind: "grind", SubmitWork: "work", Harvest: "harvest", Wait: "wait"}
    return words[type(action)]


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _render(console: Console, shown: Shown, policy: str, price: Price) -> None:
    seen = shown.seen
    index = seen.snapshot.farm.index
    dated = seen.snapshot.blocks.get(index)
    record = seen.snapshot.farm.block
    age = "" if record is None else f", {seen.pace.now - record.timestamp:.0f} s old"
    say = _teller(console)
    say(f"policy {policy}, block {index}{age}, ledger {seen.pace.ledger}, {_iso(seen.pace.now)}")
    if dated is not None:
        block = dated.block
        say(
            f"counts  gap {block.min_gap} to {block.max_gap}, zeros {block.min_zeros} to {block.max_zeros},"
            f" stake {format_amount(block.min_stake)} to {format_amount(block.max_stake)} KALE"
        )
    if shown.market is not None and shown.worth is not None:
        say(
            f"worth   a zero {format_kale(shown.worth.zero)}, a ledger {format_kale(shown.worth.ledger)},"
            f" a KALE staked {format_kale(shown.worth.stroop * _KALE)};"
            f" all of a kind {format_kale(shown.market.part)}"
        )
    say(f"price   {_priced(price)}")
    console.print()
    # A thousand farmers with one reason are one line.
    told = Counter((_word(action), _what(action), action.reason) for action in shown.plan.actions)
    for (word, what, reason), count in told.items():
        whom = "" if word == "wait" else f" {count} farmer{'s' if count > 1 else ''}"
        say(f"{word:<8}{whom.strip():<12} {what}{': ' if what else ''}{reason}")
    works = Counter((aim.ledger, _why(aim, shown)) for aim in shown.plan.aims if aim.pail.zeros is None)
    for (ledger, reason), count in sorted(works.items()):
        at = _iso(seen.pace.close_of(ledger))
        say(f"{'work':<8}{f'{count} due':<12} for ledger {ledger}, about {at}: {reason}")
    for reason, count in Counter(skip.reason for skip in shown.plan.skips).items():
        say(f"{'skip':<8}{f'{count} farmer' + ('s' if count > 1 else ''):<12} {reason}")


def _priced(price: Price) -> str:
    told = "not known" if price.xlm is None else f"{price_text(price.xlm)} XLM a KALE ({price.source})"
    return f"{told}; {price.note}" if price.note else told


def _teller(console: Console) -> Any:
    return lambda line: console.print(line, markup=False, soft_wrap=True)


def _what(action: Action) -> str:
    if isinstance(action, Plant):
        return f"{format_amount(action.stake)} KALE in block {action.block}"
    if isinstance(action, SubmitWork):
        return f"{action.proof.zeros} zeros"
    if isinstance(action, Harvest):
        return f"{len(action.blocks)} blocks"
    if isinstance(action, Wait):
        return f"until {_iso(action.until)}"
    return ""
