"""Version 1 of the tables, statement by statement, with the rules that the database itself holds.

What must never be false is refused here, whoever writes: an item in two open intents, an entry that
does not sum to zero, an illegal move, a sequence number used twice, history rewritten. Amounts are
stroops, ``at`` columns Unix seconds; which clock is said where it is not the network's.
"""

from __future__ import annotations

from typing import Final

APPLICATION_ID: Final = 0x4B414C45
"""Marks the file as ours in its header: the letters KALE."""

VERSION: Final = 8
"""The newest schema version this program knows; ``PRAGMA user_version`` of a store."""

_HOME: Final = (
    """
    CREATE TABLE home (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        passphrase TEXT NOT NULL,
        contract TEXT NOT NULL
    ) STRICT
    """,
    # Small things to remember: the agreed hash of the contract's code, that this is a restored backup.
    """
    CREATE TABLE facts (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL,
        at REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE view (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        ledger INTEGER NOT NULL,
        close_time INTEGER NOT NULL,
        block INTEGER NOT NULL,
        paused INTEGER NOT NULL CHECK (paused IN (0, 1)),
        operator_xlm INTEGER NOT NULL,
        hashrate INTEGER NOT NULL,
        seen_at REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE accounts (
        address TEXT PRIMARY KEY,
        xlm INTEGER NOT NULL,
        spendable INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        kale INTEGER,
        kale_limit INTEGER,
        sponsor TEXT,
        ledger INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE audit (
        number INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        chain BLOB NOT NULL CHECK (length(chain) = 32)
    ) STRICT
    """,
    """
    CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is not rewritten'); END
    """,
    """
    CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is not rewritten'); END
    """,
)

_FARMERS: Final = (
    """
    CREATE TABLE farmers (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        address TEXT NOT NULL UNIQUE,
        custody TEXT NOT NULL CHECK (custody IN ('custodial', 'watched')),
        state TEXT NOT NULL CHECK (state IN ('created', 'funded', 'active', 'paused', 'exiting', 'exited')),
        wallet_index INTEGER UNIQUE CHECK (wallet_index >= 0),
        email TEXT
    ) STRICT
    """,
    # Nobody ever leaves the table: his pails and postings stay.
    """
    CREATE TRIGGER farmers_are_kept BEFORE DELETE ON farmers
    BEGIN SELECT RAISE(ABORT, 'a farmer is never forgotten'); END
    """,
    """
    CREATE TABLE farmer_moves (
        id INTEGER PRIMARY KEY,
        farmer INTEGER NOT NULL REFERENCES farmers,
        was TEXT,
        became TEXT NOT NULL,
        who TEXT NOT NULL,
        why TEXT NOT NULL,
        at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX farmer_moves_by_farmer ON farmer_moves (farmer, id)",
    """
    CREATE TABLE terms (
        farmer INTEGER NOT NULL REFERENCES farmers,
        version INTEGER NOT NULL CHECK (version >= 1),
        from_block INTEGER NOT NULL CHECK (from_block >= 0),
        stake_bps INTEGER CHECK (stake_bps BETWEEN 0 AND 10000),
        stake_stroops INTEGER CHECK (stake_stroops >= 0),
        harvest_every INTEGER NOT NULL CHECK (harvest_every BETWEEN 1 AND 20),
        share_bps INTEGER NOT NULL CHECK (share_bps BETWEEN 0 AND 10000),
        fee_bps INTEGER NOT NULL CHECK (fee_bps BETWEEN 0 AND 10000),
        payout TEXT,
        seal BLOB NOT NULL CHECK (length(seal) = 32),
        who TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (farmer, version),
        CHECK ((stake_bps IS NULL) <> (stake_stroops IS NULL))
    ) STRICT, WITHOUT ROWID
    """,
)

_PROCESSES: Final = (
    # `machine` tells pids that can be looked up here from those that cannot.
    """
    CREATE TABLE owners (
        number INTEGER PRIMARY KEY,
        role TEXT NOT NULL,
        host TEXT NOT NULL,
        machine TEXT NOT NULL,
        pid INTEGER NOT NULL,
        started TEXT NOT NULL,
        since REAL NOT NULL,
        heartbeat REAL NOT NULL,
        gone INTEGER NOT NULL DEFAULT 0 CHECK (gone IN (0, 1))
    ) STRICT
    """,
    """
    CREATE TABLE mining_lock (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        owner INTEGER NOT NULL REFERENCES owners,
        since REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE channels (
        number INTEGER PRIMARY KEY CHECK (number >= 0),
        address TEXT NOT NULL UNIQUE,
        owner INTEGER REFERENCES owners
    ) STRICT
    """,
)

_INTENTS: Final = (
    """
    CREATE TABLE intents (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        purpose TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL CHECK (
            state IN ('planned', 'signed', 'sent', 'settled', 'failed', 'expired', 'unresolved')
        ),
        owner INTEGER NOT NULL REFERENCES owners,
        why TEXT NOT NULL DEFAULT '',
        at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX intents_open ON intents (owner) WHERE state NOT IN ('settled', 'failed', 'expired')",
    """
    CREATE VIEW open_intents AS
        SELECT * FROM intents WHERE state NOT IN ('settled', 'failed', 'expired')
    """,
    """
    CREATE TABLE intent_items (
        intent INTEGER NOT NULL REFERENCES intents,
        item TEXT NOT NULL,
        open INTEGER NOT NULL CHECK (open IN (0, 1)),
        PRIMARY KEY (intent, item)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE UNIQUE INDEX an_item_is_in_one_open_intent ON intent_items (item) WHERE open = 1",
    """
    CREATE TABLE reserves (
        intent INTEGER NOT NULL REFERENCES intents,
        account TEXT NOT NULL,
        asset TEXT NOT NULL,
        stroops INTEGER NOT NULL CHECK (stroops > 0),
        PRIMARY KEY (intent, account, asset)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE attempts (
        intent INTEGER NOT NULL REFERENCES intents,
        number INTEGER NOT NULL CHECK (number >= 1),
        inner_hash TEXT NOT NULL UNIQUE,
        outer_hashes TEXT NOT NULL CHECK (json_valid(outer_hashes)),
        source TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        envelope BLOB NOT NULL,
        max_time INTEGER NOT NULL,
        signed_ledger INTEGER NOT NULL,
        verdict TEXT NOT NULL DEFAULT 'open' CHECK (verdict IN ('landed', 'dead', 'open', 'hidden')),
        PRIMARY KEY (intent, number)
    ) STRICT
    """,
    # What landed is looked up among the attempts of the last minutes, not of all years.
    "CREATE INDEX attempts_by_last_moment ON attempts (max_time)",
    "CREATE UNIQUE INDEX one_attempt_may_live ON attempts (intent) WHERE verdict <> 'dead'",
    "CREATE UNIQUE INDEX a_sequence_is_used_once ON attempts (source, sequence) WHERE verdict <> 'dead'",
    """
    CREATE TRIGGER a_landed_attempt_stays_so BEFORE UPDATE OF verdict ON attempts
    WHEN OLD.verdict IN ('landed', 'dead') AND NEW.verdict <> OLD.verdict
    BEGIN SELECT RAISE(ABORT, 'what became of an attempt is not rewritten'); END
    """,
    """
    CREATE TRIGGER intents_move_legally BEFORE UPDATE OF state ON intents
    WHEN OLD.state || '>' || NEW.state NOT IN (
        'planned>signed', 'planned>expired',
        'signed>signed', 'signed>sent', 'signed>settled', 'signed>failed', 'signed>expired', 'signed>unresolved',
        'sent>signed', 'sent>settled', 'sent>failed', 'sent>expired', 'sent>unresolved',
        'unresolved>settled', 'unresolved>failed', 'unresolved>expired'
    )
    BEGIN SELECT RAISE(ABORT, 'an intent cannot move so'); END
    """,
    # A closed intent frees its items, and its envelopes, of no more use, make room.
    """
    CREATE TRIGGER a_closed_intent_lets_go AFTER UPDATE OF state ON intents
    WHEN NEW.state IN ('settled', 'failed', 'expired')
    BEGIN
        UPDATE intent_items SET open = 0 WHERE intent = NEW.number;
        DELETE FROM reserves WHERE intent = NEW.number;
        UPDATE attempts SET envelope = x'' WHERE intent = NEW.number;
        UPDATE attempts SET verdict = iif(NEW.state = 'settled', 'landed', 'dead')
            WHERE intent = NEW.number AND verdict IN ('open', 'hidden');
    END
    """,
    """
    CREATE TRIGGER intents_are_kept BEFORE DELETE ON intents
    BEGIN SELECT RAISE(ABORT, 'an intent is never forgotten'); END
    """,
)

_BOOKS: Final = (
    # Postings come first and their entry last: the entry is the seal, and is refused unless they sum to zero.
    """
    CREATE TABLE entries (
        number INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        intent INTEGER UNIQUE REFERENCES intents,
        why TEXT NOT NULL,
        at REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE postings (
        entry INTEGER NOT NULL REFERENCES entries DEFERRABLE INITIALLY DEFERRED,
        account TEXT NOT NULL,
        asset TEXT NOT NULL,
        stroops INTEGER NOT NULL CHECK (stroops <> 0),
        at REAL NOT NULL,
        PRIMARY KEY (entry, account, asset)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX postings_by_account ON postings (account, asset, at, stroops)",
    """
    CREATE TABLE balances (
        account TEXT NOT NULL,
        asset TEXT NOT NULL,
        stroops INTEGER NOT NULL,
        PRIMARY KEY (account, asset)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER a_sealed_entry_takes_no_more BEFORE INSERT ON postings
    WHEN EXISTS (SELECT 1 FROM entries WHERE number = NEW.entry)
    BEGIN SELECT RAISE(ABORT, 'the entry is sealed'); END
    """,
    """
    CREATE TRIGGER balances_follow AFTER INSERT ON postings
    BEGIN
        INSERT INTO balances (account, asset, stroops) VALUES (NEW.account, NEW.asset, NEW.stroops)
        ON CONFLICT (account, asset) DO UPDATE SET stroops = stroops + excluded.stroops;
    END
    """,
    """
    CREATE TRIGGER an_entry_sums_to_zero BEFORE INSERT ON entries
    WHEN NOT EXISTS (SELECT 1 FROM postings WHERE entry = NEW.number)
        OR EXISTS (SELECT 1 FROM postings WHERE entry = NEW.number GROUP BY asset HAVING sum(stroops) <> 0)
    BEGIN SELECT RAISE(ABORT, 'the entry does not sum to zero'); END
    """,
    *(
        f"""
        CREATE TRIGGER {table}_refuse_{verb.lower()} BEFORE {verb} ON {table}
        BEGIN SELECT RAISE(ABORT, 'the books are not rewritten'); END
        """
        for table in ("entries", "postings")
        for verb in ("UPDATE", "DELETE")
    ),
)

_FIELD: Final = (
    # The contract's totals are i128; the sum of weights may outgrow a column, so it is kept as digits.
    """
    CREATE TABLE blocks (
        block INTEGER PRIMARY KEY,
        timestamp INTEGER NOT NULL,
        min_gap INTEGER NOT NULL,
        max_gap INTEGER NOT NULL,
        min_stake INTEGER NOT NULL,
        max_stake INTEGER NOT NULL,
        min_zeros INTEGER NOT NULL,
        max_zeros INTEGER NOT NULL,
        entropy BLOB NOT NULL CHECK (length(entropy) = 32),
        staked_total INTEGER NOT NULL,
        normalized_total TEXT NOT NULL,
        live_until INTEGER NOT NULL,
        opened_ledger INTEGER
    ) STRICT
    """,
    """
    CREATE TABLE pails (
        block INTEGER NOT NULL,
        farmer INTEGER NOT NULL REFERENCES farmers,
        state TEXT NOT NULL CHECK (state IN (
            'planned', 'missed', 'planted', 'worked', 'harvestable', 'harvested', 'forfeited', 'expired'
        )),
        stake INTEGER NOT NULL CHECK (stake >= 0),
        planted_ledger INTEGER,
        gap INTEGER,
        zeros INTEGER CHECK (zeros BETWEEN 0 AND 64),
        reward INTEGER CHECK (reward >= 0),
        live_until INTEGER,
        why TEXT NOT NULL,
        PRIMARY KEY (block, farmer),
        CHECK (state IN ('planned', 'missed') OR planted_ledger IS NOT NULL),
        CHECK (state NOT IN ('worked', 'harvestable', 'harvested') OR (gap IS NOT NULL AND zeros IS NOT NULL)),
        CHECK (state <> 'harvested' OR reward IS NOT NULL)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX pails_by_farmer ON pails (farmer, block)",
    """
    CREATE INDEX pails_alive ON pails (state, block)
    WHERE state IN ('planned', 'planted', 'worked', 'harvestable')
    """,
    """
    CREATE VIEW alive_pails AS
        SELECT * FROM pails WHERE state IN ('planned', 'planted', 'worked', 'harvestable')
    """,
    # Counted as they change, so that `status` costs the same after a day and after a year.
    """
    CREATE TABLE pail_totals (
        farmer INTEGER NOT NULL REFERENCES farmers,
        state TEXT NOT NULL,
        count INTEGER NOT NULL,
        stake INTEGER NOT NULL,
        reward INTEGER NOT NULL,
        PRIMARY KEY (farmer, state)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER totals_follow_new_pails AFTER INSERT ON pails
    BEGIN
        INSERT INTO pail_totals VALUES (NEW.farmer, NEW.state, 1, NEW.stake, coalesce(NEW.reward, 0))
        ON CONFLICT (farmer, state) DO UPDATE SET
            count = count + 1, stake = stake + excluded.stake, reward = reward + excluded.reward;
    END
    """,
    """
    CREATE TRIGGER totals_follow_pails AFTER UPDATE ON pails
    BEGIN
        UPDATE pail_totals
            SET count = count - 1, stake = stake - OLD.stake, reward = reward - coalesce(OLD.reward, 0)
            WHERE farmer = OLD.farmer AND state = OLD.state;
        INSERT INTO pail_totals VALUES (NEW.farmer, NEW.state, 1, NEW.stake, coalesce(NEW.reward, 0))
        ON CONFLICT (farmer, state) DO UPDATE SET
            count = count + 1, stake = stake + excluded.stake, reward = reward + excluded.reward;
    END
    """,
    """
    CREATE TRIGGER pails_move_legally BEFORE UPDATE OF state ON pails
    WHEN OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN (
        'planned>planted', 'planned>missed', 'missed>planted',
        'planted>worked', 'planted>forfeited', 'planted>expired',
        'worked>harvestable', 'worked>harvested', 'worked>expired',
        'harvestable>harvested', 'harvestable>expired'
    )
    BEGIN SELECT RAISE(ABORT, 'a pail cannot move so'); END
    """,
    """
    CREATE TRIGGER pails_are_kept BEFORE DELETE ON pails
    BEGIN SELECT RAISE(ABORT, 'a pail is never forgotten'); END
    """,
    # Nonces are u64, which no column holds: eight bytes, big end first, compare as the numbers do.
    """
    CREATE TABLE grinds (
        block INTEGER NOT NULL,
        farmer INTEGER NOT NULL REFERENCES farmers,
        entropy BLOB NOT NULL CHECK (length(entropy) = 32),
        cursor BLOB NOT NULL CHECK (length(cursor) = 8),
        nonce BLOB CHECK (length(nonce) = 8),
        hash BLOB CHECK (length(hash) = 32),
        zeros INTEGER NOT NULL DEFAULT -1 CHECK (zeros BETWEEN -1 AND 64),
        PRIMARY KEY (block, farmer),
        CHECK ((nonce IS NULL) = (hash IS NULL) AND (nonce IS NULL) = (zeros = -1))
    ) STRICT, WITHOUT ROWID
    """,
)

STATEMENTS: Final = (*_HOME, *_FARMERS, *_PROCESSES, *_INTENTS, *_BOOKS, *_FIELD)
