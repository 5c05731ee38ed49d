"""Version 2 of the tables: what each pail cost in fees, counted as the books grow.

A report over a day of a thousand farmers would otherwise go through a million postings. A fee belongs
to the pails that its intent covers, in equal parts, the first stroops of a remainder to the first of
them; what covers no pail (funding, a sweep) is kept beside them.
"""

from __future__ import annotations

from typing import Final

_SHARES: Final = """
    CREATE VIEW fee_shares AS
    WITH charged AS (
        SELECT entries.number AS entry, postings.stroops AS fee, coalesce(
            entries.intent,
            -- The fee of a failed transaction stands under the hash of its attempt.
            (SELECT attempts.intent FROM attempts
                WHERE entries.key LIKE 'failed:%' AND inner_hash = substr(entries.key, 8))
        ) AS intent
        FROM postings JOIN entries ON entries.number = postings.entry
        WHERE postings.account = 'xlm:fees' AND postings.asset = 'XLM'
    )
    SELECT
        entry,
        CAST(substr(item, 6 + instr(substr(item, 6), ':')) AS INTEGER) AS block,
        CAST(substr(item, 6) AS INTEGER) AS farmer,
        fee / pails + (place < fee % pails) AS stroops
    FROM (
        SELECT entry, fee, item,
            (SELECT count(*) FROM intent_items AS one
                WHERE one.intent = charged.intent AND one.item GLOB 'pail:*') AS pails,
            (SELECT count(*) FROM intent_items AS one
                WHERE one.intent = charged.intent AND one.item GLOB 'pail:*' AND one.item < intent_items.item
            ) AS place
        FROM charged JOIN intent_items ON intent_items.intent = charged.intent AND item GLOB 'pail:*'
    )
"""

_FOLLOW: Final = """
    CREATE TRIGGER fees_follow_entries AFTER INSERT ON entries
    WHEN EXISTS (SELECT 1 FROM postings WHERE entry = NEW.number AND account = 'xlm:fees' AND asset = 'XLM')
    BEGIN
        INSERT INTO day_fees
            SELECT CAST(NEW.at / 86400 AS INTEGER), stroops FROM postings
            WHERE entry = NEW.number AND account = 'xlm:fees' AND asset = 'XLM'
        ON CONFLICT (day) DO UPDATE SET stroops = stroops + excluded.stroops;
        INSERT INTO pail_fees
            SELECT block, farmer, stroops FROM fee_shares WHERE entry = NEW.number
        ON CONFLICT (block, farmer) DO UPDATE SET stroops = stroops + excluded.stroops;
        INSERT INTO other_fees
            SELECT NEW.number, NEW.at, stroops FROM postings
            WHERE entry = NEW.number AND account = 'xlm:fees' AND asset = 'XLM'
                AND NOT EXISTS (SELECT 1 FROM fee_shares WHERE entry = NEW.number);
    END
"""

STATEMENTS: Final = (
    """
    CREATE TABLE pail_fees (
        block INTEGER NOT NULL,
        farmer INTEGER NOT NULL,
        stroops INTEGER NOT NULL,
        PRIMARY KEY (block, farmer)
    ) STRICT, WITHOUT ROWID
    """,
    # Days of network time since 1970, UTC.
    "CREATE TABLE day_fees (day INTEGER PRIMARY KEY, stroops INTEGER NOT NULL) STRICT",
    """
    CREATE TABLE other_fees (
        entry INTEGER PRIMARY KEY REFERENCES entries,
        at REAL NOT NULL,
        stroops INTEGER NOT NULL
    ) STRICT
    """,
    _SHARES,
    _FOLLOW,
    # What an older store has booked already.
    """
    INSERT INTO pail_fees SELECT block, farmer, sum(stroops) FROM fee_shares GROUP BY block, farmer
    """,
    """
    INSERT INTO day_fees
        SELECT CAST(at / 86400 AS INTEGER), sum(stroops) FROM postings
        WHERE account = 'xlm:fees' AND asset = 'XLM' GROUP BY 1
    """,
    """
    INSERT INTO other_fees
        SELECT entry, at, stroops FROM postings
        WHERE account = 'xlm:fees' AND asset = 'XLM' AND entry NOT IN (SELECT entry FROM fee_shares)
    """,
)
