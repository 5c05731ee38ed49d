"""Version 6, second part: the doors through which old detail leaves, each with its checks and its receipt.

Nothing can be deleted by itself. What leaves goes through one of three statements, and the database does the
rest in the same statement or refuses it: a posting that goes adds itself to its account's day, so that no sum
can change; an intent leaves its hash, outcome and fees by pail; a pail leaves the sums of its day. What waits,
is open or is not paid for is refused. docs/MONEY.md says what is kept for how long.
"""

# ruff: noqa: S608 - statements are put together from the fixed words of these modules alone

from __future__ import annotations

from typing import Final

from kalepool.adapters.store.day_tables import DAY_OF, IN_DAY, MEASURES
from kalepool.core.upkeep import LEAST_KEEP_DAYS

BRIEF_DAYS: Final = 8
"""How long transactions and shares are kept at full length: a day more than nodes tell of what landed."""

KINDS: Final = "'plant', 'work', 'harvest'"
"""Intents that leave: they are about pails alone."""

OVER: Final = "'settled', 'failed', 'expired'"
"""States of intents that will not change any more."""

_NEWEST_DAY: Final = "(SELECT timestamp / 86400 FROM blocks ORDER BY block DESC LIMIT 1)"

BRIEF_BLOCK: Final = f"coalesce((SELECT last_block FROM days WHERE day < {_NEWEST_DAY} - {BRIEF_DAYS} ORDER BY day DESC LIMIT 1), -1)"
"""The last block whose transactions and shares may be kept in brief."""

KEY_FARMER: Final = "CAST(substr({key}, 1 + instr({key}, ':')) AS INTEGER)"
KEY_BLOCK: Final = "CAST(replace({key}, rtrim({key}, '0123456789'), '') AS INTEGER)"
"""Farmer's number and block of ``share:N:BLOCK``, ``loss:N:BLOCK`` and ``pail:N:BLOCK``."""

SHARE_LIKE: Final = "intent IS NULL AND (key GLOB 'share:*' OR key GLOB 'loss:*')"
LINES: Final = (
    "(SELECT json_group_array(json_array(account, asset, stroops)) FROM "
    "(SELECT account, asset, stroops FROM postings WHERE entry = {entry} ORDER BY account, asset))"
)
"""The postings of an entry in brief."""

_SPAN: Final = IN_DAY.format(day="NEW.day")
_HIS: Final = f"farmer = NEW.farmer AND {_SPAN}"
_ITS_BLOCKS: Final = (
    f"block IN (SELECT block FROM blocks WHERE {_SPAN} UNION SELECT block FROM pails WHERE {_HIS})"
)


def _refuse(when: str, what: str) -> str:
    return f"SELECT RAISE(ABORT, '{what}') WHERE {when};"


_BOOKS: Final = (
    # What went into an account and out of it, both positive, of postings that have left.
    """
    CREATE TABLE day_postings (
        account TEXT NOT NULL,
        asset TEXT NOT NULL,
        day INTEGER NOT NULL,
        received INTEGER NOT NULL CHECK (received >= 0),
        paid INTEGER NOT NULL CHECK (paid >= 0),
        PRIMARY KEY (account, asset, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER day_postings_only_grow BEFORE UPDATE ON day_postings
    WHEN NEW.received < OLD.received OR NEW.paid < OLD.paid
        OR NEW.account <> OLD.account OR NEW.asset <> OLD.asset OR NEW.day <> OLD.day
    BEGIN SELECT RAISE(ABORT, 'the books are not rewritten'); END
    """,
    """
    CREATE TRIGGER day_postings_are_kept BEFORE DELETE ON day_postings
    BEGIN SELECT RAISE(ABORT, 'the books are not rewritten'); END
    """,
    # Shares and compensations in brief: what they came to, until their pail is folded too.
    """
    CREATE TABLE brief_entries (
        key TEXT PRIMARY KEY,
        at REAL NOT NULL,
        why TEXT NOT NULL,
        postings TEXT NOT NULL CHECK (json_valid(postings))
    ) STRICT, WITHOUT ROWID
    """,
    "DROP TRIGGER entries_refuse_delete",
    "DROP TRIGGER postings_refuse_delete",
    # The door of intents: open for one at a time, inside the statement that deletes it.
    "CREATE TABLE door (id INTEGER PRIMARY KEY CHECK (id = 1), intent INTEGER NOT NULL) STRICT",
    """
    CREATE TRIGGER entries_leave_by_a_door BEFORE DELETE ON entries
    WHEN NOT EXISTS (SELECT 1 FROM brief_entries WHERE key = OLD.key)
        AND NOT EXISTS (SELECT 1 FROM door WHERE door.intent = OLD.intent)
        AND NOT EXISTS (
            SELECT 1 FROM door JOIN attempts USING (intent) WHERE OLD.key = 'failed:' || inner_hash
        )
    BEGIN SELECT RAISE(ABORT, 'the books are not rewritten'); END
    """,
    """
    CREATE TRIGGER an_entry_takes_its_postings_along AFTER DELETE ON entries
    BEGIN DELETE FROM postings WHERE entry = OLD.number; END
    """,
    """
    CREATE TRIGGER postings_leave_with_their_entry BEFORE DELETE ON postings
    WHEN EXISTS (SELECT 1 FROM entries WHERE number = OLD.entry)
    BEGIN SELECT RAISE(ABORT, 'the books are not rewritten'); END
    """,
    """
    CREATE TRIGGER what_leaves_stays_in_the_sums AFTER DELETE ON postings
    BEGIN
        INSERT INTO day_postings VALUES (
            OLD.account, OLD.asset, CAST(OLD.at / 86400 AS INTEGER), max(OLD.stroops, 0), max(-OLD.stroops, 0)
        ) ON CONFLICT (account, asset, day) DO UPDATE SET
            received = received + excluded.received, paid = paid + excluded.paid;
    END
    """,
    f"CREATE INDEX entries_to_shorten ON entries (number) WHERE {SHARE_LIKE}",
    f"""
    CREATE TRIGGER an_entry_is_shortened_rightly BEFORE INSERT ON brief_entries
    WHEN NOT EXISTS (
        SELECT 1 FROM entries WHERE key = NEW.key AND at = NEW.at AND why = NEW.why AND {SHARE_LIKE}
            AND {LINES.format(entry="number")} = NEW.postings
            AND {KEY_BLOCK.format(key="key")} <= {BRIEF_BLOCK}
    )
    BEGIN SELECT RAISE(ABORT, 'an entry cannot be shortened so'); END
    """,
    """
    CREATE TRIGGER what_is_brief_is_no_longer_long AFTER INSERT ON brief_entries
    BEGIN DELETE FROM entries WHERE key = NEW.key; END
    """,
    """
    CREATE TRIGGER brief_entries_are_not_changed BEFORE UPDATE ON brief_entries
    BEGIN SELECT RAISE(ABORT, 'the books are not rewritten'); END
    """,
    f"""
    CREATE TRIGGER brief_entries_leave_with_their_pail BEFORE DELETE ON brief_entries
    WHEN NOT EXISTS (
        SELECT 1 FROM pail_days WHERE folded = 1 AND farmer = {KEY_FARMER.format(key="OLD.key")}
            AND day = {DAY_OF.format(block=KEY_BLOCK.format(key="OLD.key"))}
    )
    BEGIN SELECT RAISE(ABORT, 'the books are not rewritten'); END
    """,
    """
    CREATE TRIGGER what_is_brief_is_not_booked_again BEFORE INSERT ON entries
    WHEN EXISTS (SELECT 1 FROM brief_entries WHERE key = NEW.key)
    BEGIN SELECT RAISE(ABORT, 'this is booked already'); END
    """,
)

_JOURNAL: Final = (
    # One row for each pail that an intent covered; the hash is that of what landed, the fee the pail's part.
    """
    CREATE TABLE brief_intents (
        farmer INTEGER NOT NULL,
        block INTEGER NOT NULL,
        intent INTEGER NOT NULL,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        hash TEXT,
        fee INTEGER NOT NULL,
        PRIMARY KEY (farmer, block, intent)
    ) STRICT, WITHOUT ROWID
    """,
    # The highest sequence number signed for an account among attempts that have left.
    "CREATE TABLE brief_sequences (source TEXT PRIMARY KEY, sequence INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    f"CREATE INDEX intents_to_shorten ON intents (number) WHERE kind IN ({KINDS}) AND state IN ({OVER})",
    f"""
    CREATE TRIGGER the_door_opens_for_what_is_over BEFORE INSERT ON door
    WHEN NOT EXISTS (
        SELECT 1 FROM intents WHERE number = NEW.intent AND kind IN ({KINDS}) AND state IN ({OVER})
            AND number < (SELECT max(number) FROM intents)
    )
        OR NOT EXISTS (SELECT 1 FROM intent_items WHERE intent = NEW.intent)
        OR EXISTS (
            SELECT 1 FROM intent_items WHERE intent = NEW.intent
                AND (item NOT GLOB 'pail:*' OR {KEY_BLOCK.format(key="item")} > {BRIEF_BLOCK})
        )
    BEGIN SELECT RAISE(ABORT, 'an intent is never forgotten'); END
    """,
    "DROP TRIGGER intents_are_kept",
    f"""
    CREATE TRIGGER intents_leave_a_brief BEFORE DELETE ON intents
    BEGIN
        INSERT INTO door VALUES (1, OLD.number);
        INSERT INTO brief_intents
            SELECT {KEY_FARMER.format(key="item")}, {KEY_BLOCK.format(key="item")}, OLD.number, OLD.kind, OLD.state,
                (SELECT json_extract(outer_hashes, '$[#-1]') FROM attempts
                    WHERE attempts.intent = OLD.number AND verdict = 'landed'),
                coalesce((SELECT sum(stroops) FROM fee_shares
                    WHERE entry IN (
                        SELECT number FROM entries WHERE entries.intent = OLD.number
                        UNION ALL SELECT entries.number FROM attempts
                            JOIN entries ON entries.key = 'failed:' || inner_hash
                            WHERE attempts.intent = OLD.number
                    )
                    AND block = {KEY_BLOCK.format(key="item")} AND farmer = {KEY_FARMER.format(key="item")}
                ), 0)
            FROM intent_items WHERE intent = OLD.number;
        INSERT INTO brief_sequences
            SELECT source, max(sequence) FROM attempts
            WHERE intent = OLD.number AND verdict <> 'dead' GROUP BY source
        ON CONFLICT (source) DO UPDATE SET sequence = max(sequence, excluded.sequence);
        DELETE FROM entries WHERE intent = OLD.number;
        DELETE FROM entries WHERE key IN (
            SELECT 'failed:' || inner_hash FROM attempts WHERE intent = OLD.number
        );
        DELETE FROM attempts WHERE intent = OLD.number;
        DELETE FROM intent_items WHERE intent = OLD.number;
        DELETE FROM door;
    END
    """,
    *(
        f"""
        CREATE TRIGGER {table}_leave_with_their_intent BEFORE DELETE ON {table}
        WHEN NOT EXISTS (SELECT 1 FROM door WHERE intent = OLD.intent)
        BEGIN SELECT RAISE(ABORT, 'an intent is never forgotten'); END
        """
        for table in ("attempts", "intent_items")
    ),
    f"""
    CREATE TRIGGER brief_intents_leave_with_their_pail BEFORE DELETE ON brief_intents
    WHEN NOT EXISTS (
        SELECT 1 FROM pail_days WHERE folded = 1 AND farmer = OLD.farmer
            AND day = {DAY_OF.format(block="OLD.block")}
    )
    BEGIN SELECT RAISE(ABORT, 'an intent is never forgotten'); END
    """,
    """
    CREATE TRIGGER brief_intents_are_not_changed BEFORE UPDATE ON brief_intents
    BEGIN SELECT RAISE(ABORT, 'an intent is never forgotten'); END
    """,
)

_ANEW: Final = ", ".join(
    f"coalesce(sum({text.format(row='pails')}), 0) AS {name}" for name, text in MEASURES.items()
)
_DIFFER: Final = " OR ".join(f"found.{name} <> OLD.{name}" for name in MEASURES)
_WAITS: Final = f"""
    EXISTS (SELECT 1 FROM pails WHERE {_HIS} AND (
        state NOT IN ('missed', 'harvested', 'forfeited', 'expired')
        OR (state <> 'harvested' AND reward IS NOT NULL)
        OR EXISTS (SELECT 1 FROM unsettled AS one WHERE one.block = pails.block AND one.farmer = pails.farmer)
        OR EXISTS (SELECT 1 FROM intent_items WHERE open = 1 AND item = 'pail:' || farmer || ':' || block)
        OR EXISTS (SELECT 1 FROM entries WHERE key = 'share:' || farmer || ':' || block)
        OR EXISTS (SELECT 1 FROM entries WHERE key = 'loss:' || farmer || ':' || block)
    ))
"""
_UNEQUAL: Final = f"EXISTS (SELECT 1 FROM (SELECT {_ANEW} FROM pails WHERE {_HIS}) AS found WHERE {_DIFFER})"
_UNEQUAL_FEES: Final = f"""
    NEW.fees <> (SELECT coalesce(sum(stroops), 0) FROM pail_fees WHERE farmer = NEW.farmer AND {_ITS_BLOCKS})
"""
_LONG: Final = f"""
    EXISTS (SELECT 1 FROM pail_fees WHERE farmer = NEW.farmer AND {_ITS_BLOCKS} AND stroops <> (
        SELECT coalesce(sum(fee), 0) FROM brief_intents AS one
        WHERE one.farmer = pail_fees.farmer AND one.block = pail_fees.block
    ))
"""
_SELF: Final = "NOT EXISTS (SELECT 1 FROM farmers WHERE number = NEW.farmer AND custody = 'custodial')"

UNPAID: Final = """
    EXISTS (
        SELECT 1 FROM balances WHERE asset = 'KALE' AND stroops > 0 AND account IN (
            'owed:farmer:' || {row}.farmer, 'owed:pool:' || {row}.farmer, 'owed:compensation:' || {row}.farmer
        ) AND stroops > (
            SELECT coalesce(sum(stroops), 0) FROM postings
            WHERE postings.account = balances.account AND postings.asset = 'KALE'
                AND at >= ({row}.day + 1) * 86400 AND postings.stroops > 0
        ) + (
            SELECT coalesce(sum(received), 0) FROM day_postings
            WHERE day_postings.account = balances.account AND day_postings.asset = 'KALE' AND day > {row}.day
        )
    )
"""
"""Whether claims of a day or before wait to be paid: payments take the oldest first."""

_PAILS: Final = (
    f"""
    CREATE TRIGGER a_day_is_folded_rightly BEFORE UPDATE OF folded ON pail_days
    WHEN OLD.folded = 0 AND NEW.folded = 1
    BEGIN
        {_refuse(f"NEW.day >= {_NEWEST_DAY} - {LEAST_KEEP_DAYS}", "a day cannot be folded so early")}
        {_refuse(_SELF, "what a self-custody farmer owes is not folded")}
        {_refuse(_WAITS, "something of the day is not over")}
        {_refuse(_UNEQUAL, "the sums of the day are not those of its pails")}
        {_refuse(_UNEQUAL_FEES, "the fees of the day are not those of its pails")}
        {_refuse(_LONG, "transactions of the day are not shortened yet")}
        {_refuse(UNPAID.format(row="NEW"), "something of the day waits to be paid")}
    END
    """,
    f"""
    CREATE TRIGGER a_folded_day_keeps_no_pails AFTER UPDATE OF folded ON pail_days
    WHEN OLD.folded = 0 AND NEW.folded = 1
    BEGIN
        DELETE FROM brief_entries WHERE key IN (
            SELECT 'share:' || farmer || ':' || block FROM pails WHERE {_HIS}
            UNION ALL SELECT 'loss:' || farmer || ':' || block FROM pails WHERE {_HIS}
        );
        DELETE FROM brief_intents WHERE {_HIS};
        DELETE FROM pail_fees WHERE farmer = NEW.farmer AND {_ITS_BLOCKS};
        DELETE FROM grinds WHERE farmer = NEW.farmer AND {_ITS_BLOCKS};
        DELETE FROM pails WHERE {_HIS};
    END
    """,
    """
    CREATE TRIGGER what_is_folded_is_not_rewritten BEFORE UPDATE ON pail_days
    WHEN OLD.folded = 1 OR NEW.day <> OLD.day OR NEW.farmer <> OLD.farmer
    BEGIN SELECT RAISE(ABORT, 'the day is folded'); END
    """,
    """
    CREATE TRIGGER pail_days_are_kept BEFORE DELETE ON pail_days
    BEGIN SELECT RAISE(ABORT, 'a pail is never forgotten'); END
    """,
    "DROP TRIGGER pails_are_kept",
    *(
        f"""
        CREATE TRIGGER {table}_leave_with_their_day BEFORE DELETE ON {table}
        WHEN NOT EXISTS (
            SELECT 1 FROM pail_days WHERE folded = 1 AND farmer = OLD.farmer
                AND day = {DAY_OF.format(block="OLD.block")}
        )
        BEGIN SELECT RAISE(ABORT, 'a pail is never forgotten'); END
        """
        for table in ("pails", "pail_fees")
    ),
)

_VIEWS: Final = (
    """
    CREATE VIEW all_postings AS
        SELECT account, asset, stroops, CAST(at / 86400 AS INTEGER) AS day FROM postings
        UNION ALL SELECT account, asset, received - paid, day FROM day_postings
    """,
    """
    CREATE VIEW all_fee_shares AS
        SELECT block, farmer, stroops FROM fee_shares
        UNION ALL SELECT block, farmer, fee FROM brief_intents
    """,
    """
    CREATE VIEW all_pails AS
        SELECT farmer, state, count(*) AS count, sum(stake) AS stake, sum(coalesce(reward, 0)) AS reward
            FROM pails GROUP BY farmer, state
        UNION ALL SELECT farmer, 'missed', missed, stake_missed, 0 FROM pail_days WHERE folded = 1
        UNION ALL SELECT farmer, 'harvested', harvested, returned, reward FROM pail_days WHERE folded = 1
        UNION ALL SELECT farmer, 'forfeited', forfeited, stake_forfeited, 0 FROM pail_days WHERE folded = 1
        UNION ALL SELECT farmer, 'expired', expired, stake_expired, 0 FROM pail_days WHERE folded = 1
    """,
)

STATEMENTS: Final = (*_BOOKS, *_JOURNAL, *_PAILS, *_VIEWS)
