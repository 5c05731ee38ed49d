"""The life of what was agreed with each farmer: a history of its own, that is only added to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kalepool.core.agreements import LIFE_MOVES, life_after
from kalepool.core.farmers import FarmerState

if TYPE_CHECKING:
    from sqlite3 import Connection

    from kalepool.core.agreements import Life

_LEGAL: Final = ", ".join(
    f"'{was}>{became}'" for was, after in LIFE_MOVES.items() for became in sorted(after)
)

STATEMENTS: Final = (
    """
    CREATE TABLE agreement_life (
        farmer INTEGER NOT NULL REFERENCES farmers,
        place INTEGER NOT NULL CHECK (place >= 1),
        became TEXT NOT NULL CHECK (became IN ('pending', 'active', 'exiting', 'completed', 'cancelled')),
        who TEXT NOT NULL,
        why TEXT NOT NULL,
        at REAL NOT NULL,
        asked_at INTEGER,
        seal BLOB CHECK (length(seal) = 32),
        PRIMARY KEY (farmer, place)
    ) STRICT, WITHOUT ROWID
    """,
    f"""
    CREATE TRIGGER agreements_move_legally BEFORE INSERT ON agreement_life
    WHEN NEW.place > 1 AND coalesce(
        (SELECT became FROM agreement_life WHERE farmer = NEW.farmer AND place = NEW.place - 1), ''
    ) || '>' || NEW.became NOT IN ({_LEGAL})
    BEGIN SELECT RAISE(ABORT, 'an agreement cannot move so'); END
    """,  # noqa: S608 - fixed words
    *(
        f"""
        CREATE TRIGGER agreement_life_refuses_{verb.lower()} BEFORE {verb} ON agreement_life
        BEGIN SELECT RAISE(ABORT, 'the life of an agreement is not rewritten'); END
        """
        for verb in ("UPDATE", "DELETE")
    ),
)


def remember_lives(connection: Connection) -> None:
    """Make of the states of accounts what they meant for agreements, in a store of before.

    Whoever is leaving then is so without a seal: he is asked once more.
    """
    moves = connection.execute(
        "SELECT farmer, became, who, why, at, (SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'exit:' || farmer) "
        "FROM farmer_moves ORDER BY farmer, id"
    ).fetchall()
    lives: dict[int, tuple[int, Life]] = {}
    for farmer, state, who, why, at, asked_at in moves:
        place, current = lives.get(farmer, (0, None))
        became = life_after(current, FarmerState(state))
        if became is not current:
            lives[farmer] = place + 1, became
            asked = asked_at if state == FarmerState.EXITING else None
            row = (farmer, place + 1, became, who, why, at, asked, None)
            connection.execute("INSERT INTO agreement_life VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("DELETE FROM facts WHERE name GLOB 'exit:[0-9]*'")
