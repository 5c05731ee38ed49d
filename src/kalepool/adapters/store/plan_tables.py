"""What was planned, to be held against what came: a forecast beside each pail, and the hashes of each block.

A forecast is about twelve bytes of a pail's row: ledgers, thousandths of zeros, stroops.
"""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    "ALTER TABLE pails ADD COLUMN planned_gap INTEGER",
    "ALTER TABLE pails ADD COLUMN planned_millizeros INTEGER",
    "ALTER TABLE pails ADD COLUMN planned_reward INTEGER",
    # Hashes done while a block was the current one, and the seconds that the pool mined meanwhile.
    """
    CREATE TABLE hashing (
        block INTEGER PRIMARY KEY,
        hashes INTEGER NOT NULL CHECK (hashes >= 0),
        milliseconds INTEGER NOT NULL CHECK (milliseconds >= 0)
    ) STRICT
    """,
)
