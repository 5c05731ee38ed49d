"""``kalepool report statement NAME``: what one farmer gets to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kalepool.cli.running import open_pool
from kalepool.cli.wording import instant

if TYPE_CHECKING:
    from pathlib import Path

    from kalepool.cli.output import Output


def statement(output: Output, name: str, *, as_html: bool, passphrase_file: Path | None) -> None:
    """Print a farmer's statement: every harvest and payment with its transaction. Checks the seals of his terms."""
    from kalepool.cli.statements import html, markdown  # noqa: PLC0415 - `--help` does without

    with open_pool(output, "report statement", passphrase_file) as pool:
        view = pool.views.last()
        until = pool.machine_time() if view is None else float(view.close_time)
        found = pool.stating.state(name, until=until)
    text = html(found) if as_html else markdown(found)
    data = {
        "farmer": name,
        "until": instant(found.until),
        "earned_stroops": str(found.total("reward")),
        "share_stroops": str(found.total("share")),
        "stake_lost_stroops": str(found.lost),
        "paid_stroops": str(found.paid),
        "owed_stroops": str(found.owed),
        "agreement": str(found.life[-1].became),
        "payments": [
            {
                "claim": str(one.claim),
                "at": instant(one.at),
                "amount_stroops": str(one.amount),
                "transaction": one.transaction or None,
            }
            for one in found.payments
        ],
        "days": [
            {
                "day": instant(day.at)[:10],
                "planted": day.planted,
                "harvested": day.harvested,
                "lost": day.lost,
                "stake_stroops": str(day.stake),
                "stake_lost_stroops": str(day.stake_lost),
                "reward_stroops": str(day.reward),
                "fee_stroops": str(day.fee),
                "pool_stroops": str(day.pool),
                "share_stroops": str(day.share),
                "compensated_stroops": str(day.compensated),
            }
            for day in found.days
        ],
        "pails": [
            {
                "block": crop.block,
                "state": str(crop.state),
                "stake_stroops": str(crop.stake),
                "stake_lost_stroops": str(crop.stake_lost),
                "reward_stroops": str(crop.reward),
                "fee_stroops": str(crop.fee),
                "pool_stroops": str(crop.pool),
                "share_stroops": str(crop.share),
                "compensated_stroops": str(crop.compensated),
                "transaction": crop.transaction or None,
            }
            for crop in found.crops
        ],
    }
    if output.json:
        output.emit_document("report statement", data)
    else:
        output.write(text)
