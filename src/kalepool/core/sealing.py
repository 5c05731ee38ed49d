"""What is sealed, as bytes: the message under a farmer's terms, and a row of the audit log.

A seal must name everything that it vouches for, and no two different things may give the same bytes.
So each message is canonical JSON: sorted keys, no spaces, ASCII.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kalepool.core.farmers import Farmer, Terms
    from kalepool.core.records import AuditRow


def terms_message(farmer: Farmer, terms: Terms, from_block: int) -> bytes:
    """Give what the vault seals when terms are agreed: who, which account, from when, and on what.

    Args:
        farmer: numbered by the store.
        terms: what was agreed, his payout address among it.
        from_block: the first block they hold for.
    """
    return _canonical(
        "terms",
        {
            "farmer": farmer.number,
            "name": farmer.name,
            "address": farmer.address,
            "custody": farmer.custody.value,
            "from_block": from_block,
            "stake_bps": terms.stake.bps,
            "stake_stroops": terms.stake.stroops,
            "harvest_every": terms.harvest_every,
            "share_bps": terms.share_bps,
            "fee_bps": terms.fee_bps,
            "payout": terms.payout,
            **_beyond_default(terms),
        },
    )


def exit_message(farmer: Farmer, place: int, asked_at: int) -> bytes:
    """Give what the vault seals when a farmer wants to leave: an exit pays out all that he has.

    Args:
        farmer: who.
        place: of the wish in the life of his agreement: one that was taken back cannot be put in again.
        asked_at: network time of the wish.
    """
    return _canonical(
        "exit",
        {"farmer": farmer.number, "address": farmer.address, "place": place, "asked_at": asked_at},
    )


def _beyond_default(terms: Terms) -> dict[str, object]:
    """Give what later versions added, where it is not as it was before: so seals of before still hold."""
    added = {
        "payout_from": (terms.payout_from, 0),
        "payout_every_h": (terms.payout_every_h, 0),
        "exit_delay_h": (terms.exit_delay_h, 24),
        "memo": (terms.memo, ""),
    }
    return {name: value for name, (value, before) in added.items() if value != before}


def audit_entry(row: AuditRow) -> bytes:
    """Give what a link of the audit log covers: all of the row but the link itself."""
    return _canonical("audit", {"number": row.number, "at": row.at, "who": row.who, "what": row.what})


def _canonical(kind: str, content: dict[str, object]) -> bytes:
    return json.dumps([kind, content], sort_keys=True, separators=(",", ":")).encode("ascii")
