"""Farmers as JSON and as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kalepool.cli.tables import print_table, short
from kalepool.core.amounts import format_amount
from kalepool.core.roster import format_bps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from kalepool.core.agreements import Life, Lived
    from kalepool.core.chain import AccountState
    from kalepool.core.farmers import Farmer, Moved, SealedTerms, Stake, Terms


def stake_text(stake: Stake) -> str:
    """Write a stake as it is given on the command line: ``10%``, or KALE."""
    if stake.bps is not None:
        return format_bps(stake.bps)
    assert stake.stroops is not None
    return format_amount(stake.stroops)


def data_of(farmer: Farmer, account: AccountState | None, life: Life) -> dict[str, Any]:
    """Give a farmer as JSON, with his balance as last seen: null where it never was.

    Args:
        farmer: whom.
        account: as last seen, or None.
        life: where what was agreed with him stands.
    """
    seen = None if account is None else account.kale
    return {
        "name": farmer.name,
        "address": farmer.address,
        "state": str(farmer.state),
        "agreement": str(life),
        "custody": str(farmer.custody),
        **_terms(farmer.terms),
        "email": farmer.email,
        "kale_stroops": None if seen is None else str(seen),
    }


def details_of(
    farmer: Farmer,
    account: AccountState | None,
    agreed: Sequence[tuple[SealedTerms, bool | None]],
    moves: Sequence[Moved],
    lived: Sequence[Lived],
    owed: int | None,
) -> dict[str, Any]:
    """Give all that is known of a farmer as JSON.

    Args:
        farmer: whom.
        account: as last seen, or None.
        agreed: all his terms, oldest first, and whether their seals hold; None where that was not checked.
        moves: his states, oldest first.
        lived: the life of what was agreed with him, oldest step first.
        owed: what he owes in stroops of KALE, or None for a custodial one.
    """
    return {
        **data_of(farmer, account, lived[-1].became),
        "number": farmer.number,
        "wallet_index": farmer.wallet_index,
        "xlm_stroops": None if account is None else str(account.xlm),
        "seen_ledger": None if account is None else account.ledger,
        "owed_stroops": None if owed is None else str(owed),
        "terms": [
            {**_terms(one.terms), "from_block": one.from_block, "seal_holds": holds} for one, holds in agreed
        ],
        "states": [
            {"state": str(move.became), "at": _iso(move.at), "who": move.who, "why": move.why}
            for move in moves
        ],
        "agreements": [
            {"agreement": str(step.became), "at": _iso(step.at), "who": step.who, "why": step.why}
            for step in lived
        ],
    }


def render_list(console: Console, rows: Sequence[dict[str, Any]], *, wide: bool) -> None:
    """Draw the list of farmers."""
    if not rows:
        console.print("no farmers yet: add one with `kalepool farmer add NAME`", soft_wrap=True)
        return
    cells = [
        (
            row["name"],
            short(row["address"], wide=wide),
            row["state"] if row["custody"] == "custodial" else f"{row['state']}, {row['custody']}",
            row["agreement"],
            row["stake"],
            short(row["payout"], wide=wide),
            _kale(row["kale_stroops"]),
        )
        for row in rows
    ]
    headings = ("name", "address", "state", "terms", "stake", "payout", "KALE")
    print_table(console, headings, cells, right=("stake", "KALE"))


def render_details(console: Console, data: dict[str, Any]) -> None:
    """Draw all that is known of a farmer."""
    seen = "never seen" if data["seen_ledger"] is None else f"in ledger {data['seen_ledger']}"
    lines = [
        ("name", data["name"]),
        ("address", data["address"]),
        ("state", data["state"]),
        ("terms", data["agreement"]),
        ("custody", data["custody"]),
        ("e-mail", data["email"] or "-"),
        ("stake", data["stake"]),
        ("harvest", f"every {data['harvest_every']} blocks"),
        ("share", format_bps(data["share_bps"])),
        ("fee", format_bps(data["fee_bps"])),
        ("payout", data["payout"] or "-"),
        *_payout_terms(data),
        ("KALE", f"{_kale(data['kale_stroops'])} ({seen})"),
        ("XLM", f"{_kale(data['xlm_stroops'])} ({seen})"),
    ]
    if data["owed_stroops"] is not None:
        lines.append(("owes", f"{_kale(data['owed_stroops'])} KALE"))
    for label, text in lines:
        console.print(f"{label:<8} {text}", markup=False, soft_wrap=True)
    console.print()
    for move in data["states"]:
        note = f": {move['why']}" if move["why"] else ""
        console.print(f"{move['at']} {move['state']} by {move['who']}{note}", markup=False, soft_wrap=True)
    console.print()
    for step in data["agreements"]:
        note = f": {step['why']}" if step["why"] else ""
        console.print(
            f"{step['at']} terms {step['agreement']} by {step['who']}{note}", markup=False, soft_wrap=True
        )
    console.print()
    for terms in data["terms"]:
        seal = {True: ", seal holds", False: ", SEAL IS WRONG", None: ""}[terms["seal_holds"]]
        console.print(
            f"from block {terms['from_block']}: stake {terms['stake']}, harvest every {terms['harvest_every']}, "
            f"share {format_bps(terms['share_bps'])}, fee {format_bps(terms['fee_bps'])}, "
            f"payout {terms['payout'] or '-'}{seal}",
            markup=False,
            soft_wrap=True,
        )


def _terms(terms: Terms) -> dict[str, Any]:
    return {
        "stake": stake_text(terms.stake),
        "payout": terms.payout,
        "harvest_every": terms.harvest_every,
        "share_bps": terms.share_bps,
        "fee_bps": terms.fee_bps,
        "payout_from_stroops": str(terms.payout_from),
        "payout_every_h": terms.payout_every_h,
        "exit_delay_h": terms.exit_delay_h,
        "memo": terms.memo,
    }


def _payout_terms(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Give what is agreed on payouts and the exit, as far as there is something to say."""
    lines = []
    if data["payout"] is not None:
        words = (
            [f"from {_kale(data['payout_from_stroops'])} KALE"] if data["payout_from_stroops"] != "0" else []
        )
        words += [f"every {data['payout_every_h']} h"] if data["payout_every_h"] else []
        words += [f"memo {data['memo']}"] if data["memo"] else []
        lines = [("", ", ".join(words))] if words else []
    return [*lines, ("exit", f"{data['exit_delay_h']} h after he asks")]


def _kale(stroops: str | None) -> str:
    return "-" if stroops is None else format_amount(int(stroops))


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
