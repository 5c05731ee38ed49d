"""Whether a store is sound: as a file, as a set of references, as books, and as a history that can have been."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from kalepool.adapters.store.day_tables import DAY_OF, RECOUNT

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store

_FOLDED_PAILS: Final = f"""
    SELECT block, pails.farmer FROM pails JOIN pail_days ON pail_days.farmer = pails.farmer
        AND day = {DAY_OF.format(block="block")} WHERE folded = 1
"""  # noqa: S608 - fixed words

_CHECKS: Final = (
    (
        "entries that do not sum to zero",
        "SELECT DISTINCT entry FROM postings GROUP BY entry, asset HAVING sum(stroops) <> 0",
    ),
    (
        "entries without postings",
        "SELECT number FROM entries WHERE number NOT IN (SELECT entry FROM postings)",
    ),
    (
        "postings of another time than their entry",
        "SELECT entry FROM postings JOIN entries ON number = entry WHERE postings.at <> entries.at",
    ),
    (
        "balances that differ from their postings",
        (
            "SELECT account, asset, stroops FROM balances WHERE stroops <> 0 EXCEPT "
            "SELECT account, asset, sum(stroops) FROM all_postings GROUP BY account, asset"
        ),
    ),
    (
        "postings that differ from their balances",
        (
            "SELECT account, asset, sum(stroops) FROM all_postings GROUP BY account, asset EXCEPT "
            "SELECT account, asset, stroops FROM balances"
        ),
    ),
    (
        "items held by closed intents",
        "SELECT item FROM intent_items WHERE open = 1 AND intent NOT IN (SELECT number FROM open_intents)",
    ),
    (
        "items let go by open intents",
        "SELECT item FROM intent_items WHERE open = 0 AND intent IN (SELECT number FROM open_intents)",
    ),
    (
        "intents signed or sent without an attempt",
        (
            "SELECT number FROM intents WHERE state IN ('signed', 'sent', 'settled') "
            "AND number NOT IN (SELECT intent FROM attempts)"
        ),
    ),
    (
        "planned intents with an attempt",
        "SELECT number FROM intents WHERE state = 'planned' AND number IN (SELECT intent FROM attempts)",
    ),
    (
        "attempts left open by closed intents",
        (
            "SELECT intent FROM attempts WHERE verdict IN ('open', 'hidden') "
            "AND intent NOT IN (SELECT number FROM open_intents)"
        ),
    ),
    (
        "entries of intents that are not settled",
        "SELECT entries.number FROM entries JOIN intents ON intents.number = intent WHERE state <> 'settled'",
    ),
    (
        "totals that differ from their pails",
        (
            "SELECT farmer, state, count, stake, reward FROM pail_totals WHERE count <> 0 EXCEPT "
            "SELECT farmer, state, sum(count), sum(stake), sum(reward) FROM all_pails GROUP BY farmer, state"
        ),
    ),
    (
        "pails that differ from their totals",
        (
            "SELECT farmer, state, sum(count), sum(stake), sum(reward) FROM all_pails GROUP BY farmer, state "
            "HAVING sum(count) <> 0 EXCEPT SELECT farmer, state, count, stake, reward FROM pail_totals"
        ),
    ),
    (
        "fees of pails that differ from the books",
        (
            "SELECT block, farmer, sum(stroops) FROM all_fee_shares GROUP BY block, farmer "
            "HAVING sum(stroops) <> 0 EXCEPT SELECT block, farmer, stroops FROM pail_fees"
        ),
    ),
    (
        "fees of pails that the books do not have",
        "SELECT block, farmer FROM pail_fees EXCEPT SELECT block, farmer FROM all_fee_shares",
    ),
    (
        "fees of days that differ from the books",
        (
            "SELECT day, sum(stroops) FROM all_postings "
            "WHERE account = 'xlm:fees' AND asset = 'XLM' GROUP BY 1 EXCEPT SELECT day, stroops FROM day_fees"
        ),
    ),
    (
        "farmers without terms from block 0",
        "SELECT number FROM farmers WHERE number NOT IN (SELECT farmer FROM terms WHERE from_block = 0)",
    ),
    (
        "farmers whose last recorded move leads elsewhere",
        (
            "SELECT number FROM farmers WHERE state IS NOT "
            "(SELECT became FROM farmer_moves WHERE farmer = number ORDER BY id DESC LIMIT 1)"
        ),
    ),
    (
        "farmers whose agreement stands elsewhere than their account",
        (
            "SELECT number FROM farmers WHERE "
            "state || '>' || coalesce((SELECT became FROM agreement_life WHERE farmer = number "
            "ORDER BY place DESC LIMIT 1), '') NOT IN ('created>pending', 'funded>pending', 'active>active', "
            "'paused>active', 'exiting>exiting', 'exited>completed', 'exited>cancelled')"
        ),
    ),
    (
        "claims below zero",
        "SELECT account, stroops FROM balances WHERE account GLOB 'owed:*' AND stroops < 0",
    ),
    (
        "claims promised beyond what is owed",
        (
            "SELECT account FROM reserves WHERE account GLOB 'owed:*' GROUP BY account, asset "
            "HAVING sum(stroops) > coalesce((SELECT stroops FROM balances "
            "WHERE balances.account = reserves.account AND balances.asset = reserves.asset), 0)"
        ),
    ),
    # The last part of these names is the farmer's number. What was shared is owed, paid, kept or receivable.
    (
        "farmers whose claims differ from what was shared",
        (
            "SELECT replace(account, rtrim(account, '0123456789'), '') AS farmer FROM balances "
            "WHERE rtrim(account, '0123456789') IN ('owed:farmer:', 'owed:pool:', 'paid:farmer:', 'paid:pool:', "
            "'kept:', 'receivable:', 'repaid:', 'shared:farmer:', 'shared:pool:', 'shared:fee:') "
            "GROUP BY farmer HAVING sum(stroops) <> 0"
        ),
    ),
    (
        "compensation that differs from what it was booked for",
        (
            "SELECT sum(stroops) FROM balances WHERE account = 'compensation' "
            "OR account GLOB 'owed:compensation:*' OR account GLOB 'paid:compensation:*' HAVING sum(stroops) <> 0"
        ),
    ),
    (
        "farmers whose shares differ from their settled rewards",
        (
            "SELECT number FROM farmers WHERE "
            "(SELECT coalesce(sum(reward), 0) FROM pail_totals WHERE farmer = number AND state = 'harvested') "
            "- (SELECT coalesce(sum(reward), 0) FROM unsettled JOIN pails USING (block, farmer) "
            "WHERE farmer = number AND state = 'harvested') "
            "+ (SELECT coalesce(sum(stroops), 0) FROM balances WHERE account IN "
            "('shared:farmer:' || number, 'shared:pool:' || number, 'shared:fee:' || number)) <> 0"
        ),
    ),
    (
        "days whose folded postings do not sum to zero",
        "SELECT day, asset FROM day_postings GROUP BY day, asset HAVING sum(received - paid) <> 0",
    ),
    ("sums of days that differ from their pails", RECOUNT),
    (
        "pails of folded days",
        _FOLDED_PAILS,
    ),
    (
        "transactions in brief beside themselves at length",
        "SELECT intent FROM brief_intents WHERE intent IN (SELECT number FROM intents)",
    ),
    ("a door left open", "SELECT intent FROM door"),
    ("gaps in the audit log", "SELECT max(number) FROM audit HAVING max(number) <> count(*)"),
)


def quick_check(store: Store) -> str:
    """Look through the file's pages and rows, without its indexes; give what is wrong first, empty where nothing is.

    Takes a fraction of a second for 300,000 pails.
    """
    try:
        first: str = store.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if first == "ok" else first


def verify(store: Store) -> list[str]:
    """Check everything; give what is wrong, a line each, nothing where all is well. Only reads.

    Takes a pass over the whole file: two or three seconds for 300,000 pails.

    Raises:
        ConfigError: when the file cannot be read at all.
        LockedError: when another process keeps it busy.
    """
    try:
        findings = [f"the file: {row[0]}" for row in store.connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        return [f"the file: {error}"]
    if findings != ["the file: ok"]:
        return findings
    with store.reading():
        findings = [
            f"a reference to nothing: {table} -> {parent}"
            for table, _, parent, _ in store.all("PRAGMA foreign_key_check")
        ]
        for what, query in _CHECKS:
            rows = store.all(query)
            if rows:
                shown = ", ".join("/".join(str(column) for column in row) for row in rows[:5])
                findings.append(f"{what}: {len(rows)} ({shown}{', ...' if len(rows) > 5 else ''})")  # noqa: PLR2004
    return findings
