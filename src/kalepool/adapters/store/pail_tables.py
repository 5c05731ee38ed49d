"""Version 4 of the table of pails: what is not known of a pail that others harvested, and stakes not paid back.

A pail may be worked and harvested between two looks: then its gap and zeros are not known, and perhaps not the
ledger of its plant. And a harvest may pay back less than the stake, where the farm's owner has removed a Block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlite_utils import Database

_TABLE: Final = """
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
        lost INTEGER NOT NULL DEFAULT 0 CHECK (lost BETWEEN 0 AND stake),
        PRIMARY KEY (block, farmer),
        CHECK (state IN ('planned', 'missed', 'harvested') OR planted_ledger IS NOT NULL),
        CHECK (state NOT IN ('worked', 'harvestable') OR (gap IS NOT NULL AND zeros IS NOT NULL)),
        CHECK (state <> 'harvested' OR reward IS NOT NULL),
        CHECK (state = 'harvested' OR lost = 0)
    ) STRICT, WITHOUT ROWID
"""

_MOVES: Final = """
    CREATE TRIGGER pails_move_legally BEFORE UPDATE OF state ON pails
    WHEN OLD.state <> NEW.state AND OLD.state || '>' || NEW.state NOT IN (
        'planned>planted', 'planned>missed', 'planned>harvested', 'missed>planted',
        'planted>worked', 'planted>harvested', 'planted>forfeited', 'planted>expired',
        'worked>harvestable', 'worked>harvested', 'worked>expired',
        'harvestable>harvested', 'harvestable>expired'
    )
    BEGIN SELECT RAISE(ABORT, 'a pail cannot move so'); END
"""

_COPIED: Final = "block, farmer, state, stake, planted_ledger, gap, zeros, reward, live_until, why"


def rebuild(db: Database) -> None:
    """Put the new table in the old one's place, with every row, index, trigger and view of it."""
    kept = db.conn.execute(
        "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND tbl_name = 'pails' "
        "AND sql IS NOT NULL AND name <> 'pails_move_legally' ORDER BY rowid"
    ).fetchall()
    ((view,),) = db.conn.execute("SELECT sql FROM sqlite_schema WHERE name = 'alive_pails'").fetchall()
    # The table alone goes, with what follows it: a trigger that counts rows, or keeps them, must not see it go.
    db.conn.execute("DROP VIEW alive_pails")
    db.conn.execute(_TABLE.replace("CREATE TABLE pails", "CREATE TABLE pails_anew"))
    db.conn.execute(f"INSERT INTO pails_anew ({_COPIED}) SELECT {_COPIED} FROM pails")  # noqa: S608 - fixed words
    db.conn.execute("DROP TRIGGER pails_are_kept")
    db.conn.execute("DROP TABLE pails")
    db.conn.execute("ALTER TABLE pails_anew RENAME TO pails")
    for statement in (*(sql for (sql,) in kept), _MOVES, view):
        db.conn.execute(statement)
