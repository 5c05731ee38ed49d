"""Version 6, first part: pails summed by farmer and day, kept in step with every later change.

``days`` says which blocks are summed, in order and without a gap: a block belongs to the first day whose
``last_block`` is not below it. So pails beyond the last one are read one by one, and all before as sums.
A block that was never seen counts to the day of the next one that was.
"""

# ruff: noqa: S608 - statements are put together from the fixed words of these modules alone

from __future__ import annotations

from typing import Final

_PLANTED: Final = "{row}.state NOT IN ('planned', 'missed')"
_OVER: Final = "{row}.state IN ('harvested', 'forfeited', 'expired')"

MEASURES: Final = {
    "planned": "{row}.state = 'planned'",
    "missed": "{row}.state = 'missed'",
    "planted": _PLANTED,
    "worked": "{row}.gap IS NOT NULL",
    "harvested": "{row}.state = 'harvested'",
    "forfeited": "{row}.state = 'forfeited'",
    "expired": "{row}.state = 'expired'",
    "staked": f"iif({_PLANTED}, {{row}}.stake, 0)",
    "returned": "iif({row}.state = 'harvested', {row}.stake - {row}.lost, 0)",
    "stake_missed": "iif({row}.state = 'missed', {row}.stake, 0)",
    "stake_forfeited": "iif({row}.state = 'forfeited', {row}.stake, 0)",
    "stake_expired": "iif({row}.state = 'expired', {row}.stake, 0)",
    "stake_unpaid": "{row}.lost",
    "reward": "coalesce({row}.reward, 0)",
    "gaps": "coalesce({row}.gap, 0)",
    "zeros": "coalesce({row}.zeros, 0)",
    "planned_pails": f"{{row}}.planned_gap IS NOT NULL AND {_OVER}",
    "planned_gaps": f"iif({_OVER}, coalesce({{row}}.planned_gap, 0), 0)",
    "planned_millizeros": f"iif({_OVER}, coalesce({{row}}.planned_millizeros, 0), 0)",
    "planned_reward": f"iif({_OVER}, coalesce({{row}}.planned_reward, 0), 0)",
    "met_reward": "iif({row}.planned_gap IS NULL, 0, coalesce({row}.reward, 0))",
}
"""What a pail adds to the sums of its day, as an expression over its row. Amounts are stroops."""

NAMES: Final = ", ".join(MEASURES)

DAY_OF: Final = "(SELECT day FROM days WHERE last_block >= {block} ORDER BY last_block LIMIT 1)"
"""The day a summed block counts to; NULL where it is not summed yet."""

IN_DAY: Final = (
    "block BETWEEN (1 + coalesce((SELECT max(last_block) FROM days WHERE day < {day}), -1)) "
    "AND (SELECT last_block FROM days WHERE day = {day})"
)
"""Whether a block is one of a day's."""


def of(row: str, *, wrap: str = "{}") -> str:
    """Write what a row adds, one expression for each name."""
    return ", ".join(wrap.format(text.format(row=row)) for text in MEASURES.values())


def _differences() -> str:
    return ", ".join(
        f"{name} = {name} + ({text.format(row='NEW')}) - ({text.format(row='OLD')})"
        for name, text in MEASURES.items()
    )


ADD_UP: Final = "ON CONFLICT (day, farmer) DO UPDATE SET " + ", ".join(
    f"{name} = {name} + excluded.{name}" for name in MEASURES
)
ADD_FEES: Final = "ON CONFLICT (day, farmer) DO UPDATE SET fees = fees + excluded.fees"

_KEPT: Final = "FROM pail_days WHERE folded = 0"
_COUNTED: Final = (
    f"SELECT day, farmer, {of('pails', wrap='sum({})')} FROM pails JOIN {{days}} USING (block) GROUP BY 1, 2"
)
_DAYS_OF: Final = (
    "(SELECT block, {day} AS day FROM (SELECT DISTINCT block FROM {table}) "
    "WHERE block <= (SELECT max(last_block) FROM days))"
)
_ZEROS: Final = " AND ".join(f"{name} = 0" for name in MEASURES)
_BLOCKS_OF: Final = {
    table: _DAYS_OF.format(table=table, day=DAY_OF.format(block="block")) for table in ("pails", "pail_fees")
}
_ANEW: Final = _COUNTED.format(days=_BLOCKS_OF["pails"])
_FEES_ANEW: Final = (
    f"SELECT day, farmer, sum(stroops) FROM pail_fees JOIN {_BLOCKS_OF['pail_fees']} USING (block) "
    "LEFT JOIN pail_days USING (day, farmer) WHERE coalesce(folded, 0) = 0 GROUP BY 1, 2"
)

RECOUNT: Final = f"""
    SELECT day, farmer FROM (SELECT day, farmer, {NAMES} {_KEPT} AND NOT ({_ZEROS}) EXCEPT {_ANEW})
    UNION SELECT day, farmer FROM ({_ANEW} EXCEPT SELECT day, farmer, {NAMES} {_KEPT})
    UNION SELECT day, farmer FROM (SELECT day, farmer, fees {_KEPT} AND fees <> 0 EXCEPT {_FEES_ANEW})
    UNION SELECT day, farmer FROM ({_FEES_ANEW} EXCEPT SELECT day, farmer, fees {_KEPT})
"""
"""Finds sums that are not those of the pails and fees that are there."""

STATEMENTS: Final = (
    # Days of network time since 1970, UTC, by the opening of their blocks.
    """
    CREATE TABLE days (
        day INTEGER PRIMARY KEY,
        last_block INTEGER NOT NULL UNIQUE
    ) STRICT
    """,
    """
    CREATE TRIGGER only_the_last_day_grows BEFORE UPDATE ON days
    WHEN NEW.day <> OLD.day OR NEW.last_block < OLD.last_block
        OR EXISTS (SELECT 1 FROM days WHERE last_block > OLD.last_block)
    BEGIN SELECT RAISE(ABORT, 'a summed day keeps its blocks'); END
    """,
    """
    CREATE TRIGGER days_are_kept BEFORE DELETE ON days
    BEGIN SELECT RAISE(ABORT, 'a summed day keeps its blocks'); END
    """,
    f"""
    CREATE TABLE pail_days (
        day INTEGER NOT NULL REFERENCES days DEFERRABLE INITIALLY DEFERRED,
        farmer INTEGER NOT NULL REFERENCES farmers,
        {" ".join(f"{name} INTEGER NOT NULL DEFAULT 0," for name in MEASURES)}
        fees INTEGER NOT NULL DEFAULT 0,
        folded INTEGER NOT NULL DEFAULT 0 CHECK (folded IN (0, 1)),
        PRIMARY KEY (day, farmer)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX days_to_fold ON pail_days (day, farmer) WHERE folded = 0",
    f"""
    CREATE TRIGGER days_follow_new_pails AFTER INSERT ON pails
    WHEN EXISTS (SELECT 1 FROM days WHERE last_block >= NEW.block)
    BEGIN
        INSERT INTO pail_days (day, farmer, {NAMES})
            VALUES ({DAY_OF.format(block="NEW.block")}, NEW.farmer, {of("NEW")}) {ADD_UP};
    END
    """,
    f"""
    CREATE TRIGGER days_follow_pails AFTER UPDATE ON pails
    WHEN EXISTS (SELECT 1 FROM days WHERE last_block >= NEW.block)
    BEGIN
        UPDATE pail_days SET {_differences()}
            WHERE day = {DAY_OF.format(block="NEW.block")} AND farmer = NEW.farmer;
    END
    """,
    f"""
    CREATE TRIGGER days_follow_new_fees AFTER INSERT ON pail_fees
    WHEN EXISTS (SELECT 1 FROM days WHERE last_block >= NEW.block)
    BEGIN
        INSERT INTO pail_days (day, farmer, fees)
            VALUES ({DAY_OF.format(block="NEW.block")}, NEW.farmer, NEW.stroops) {ADD_FEES};
    END
    """,
    f"""
    CREATE TRIGGER days_follow_fees AFTER UPDATE ON pail_fees
    WHEN EXISTS (SELECT 1 FROM days WHERE last_block >= NEW.block)
    BEGIN
        UPDATE pail_days SET fees = fees + NEW.stroops - OLD.stroops
            WHERE day = {DAY_OF.format(block="NEW.block")} AND farmer = NEW.farmer;
    END
    """,
)
