"""What settling and paying need of the store: terms of payouts and exits, what waits to be settled, what is promised.

A claim (an account ``owed:...``) is reserved by the intent that pays it, and discharged in the transaction
that settles the intent. Nobody is promised more than he is owed, and no claim falls below zero: refused here.
"""

from __future__ import annotations

from typing import Final

_OVER: Final = "'harvested', 'forfeited', 'expired'"

STATEMENTS: Final = (
    "ALTER TABLE terms ADD COLUMN payout_from INTEGER NOT NULL DEFAULT 0 CHECK (payout_from >= 0)",
    "ALTER TABLE terms ADD COLUMN payout_every_h INTEGER NOT NULL DEFAULT 0 CHECK (payout_every_h >= 0)",
    "ALTER TABLE terms ADD COLUMN exit_delay_h INTEGER NOT NULL DEFAULT 24 CHECK (exit_delay_h >= 0)",
    "ALTER TABLE terms ADD COLUMN memo TEXT NOT NULL DEFAULT ''",
    # A queue, so that settling costs what is new, not what there ever was.
    """
    CREATE TABLE unsettled (
        block INTEGER NOT NULL,
        farmer INTEGER NOT NULL REFERENCES farmers,
        PRIMARY KEY (block, farmer)
    ) STRICT, WITHOUT ROWID
    """,
    f"""
    INSERT INTO unsettled SELECT block, farmer FROM pails WHERE state IN ({_OVER})
        AND NOT EXISTS (SELECT 1 FROM entries WHERE key = 'share:' || farmer || ':' || block)
    """,  # noqa: S608 - fixed words
    f"""
    CREATE TRIGGER a_pail_that_is_over_waits AFTER UPDATE OF state ON pails
    WHEN OLD.state <> NEW.state AND NEW.state IN ({_OVER})
    BEGIN INSERT OR IGNORE INTO unsettled VALUES (NEW.block, NEW.farmer); END
    """,  # noqa: S608
    f"""
    CREATE TRIGGER a_new_pail_that_is_over_waits AFTER INSERT ON pails
    WHEN NEW.state IN ({_OVER})
    BEGIN INSERT OR IGNORE INTO unsettled VALUES (NEW.block, NEW.farmer); END
    """,  # noqa: S608
    """
    CREATE TRIGGER nobody_is_promised_more_than_he_is_owed BEFORE INSERT ON reserves
    WHEN NEW.account GLOB 'owed:*' AND NEW.stroops
        + (SELECT coalesce(sum(stroops), 0) FROM reserves WHERE account = NEW.account AND asset = NEW.asset)
        > coalesce((SELECT stroops FROM balances WHERE account = NEW.account AND asset = NEW.asset), 0)
    BEGIN SELECT RAISE(ABORT, 'more is promised than is owed'); END
    """,
    "CREATE INDEX reserves_by_account ON reserves (account, asset)",
    """
    CREATE TRIGGER nobody_is_paid_more_than_he_is_owed BEFORE INSERT ON postings
    WHEN NEW.account GLOB 'owed:*' AND NEW.stroops
        + coalesce((SELECT stroops FROM balances WHERE account = NEW.account AND asset = NEW.asset), 0) < 0
    BEGIN SELECT RAISE(ABORT, 'more is paid than is owed'); END
    """,
)
