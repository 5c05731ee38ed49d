"""Version 8: every pail there ever was, by farmer and state, whether it is kept or folded into its day.

A harvest may pay back less than the stake. A day sums what came back and what did not apart; the totals hold
what was staked, which is both.
"""

from __future__ import annotations

from typing import Final

STATEMENTS: Final = (
    "DROP VIEW all_pails",
    """
    CREATE VIEW all_pails AS
        SELECT farmer, state, count(*) AS count, sum(stake) AS stake, sum(coalesce(reward, 0)) AS reward
            FROM pails GROUP BY farmer, state
        UNION ALL SELECT farmer, 'missed', missed, stake_missed, 0 FROM pail_days WHERE folded = 1
        UNION ALL SELECT farmer, 'harvested', harvested, returned + stake_unpaid, reward
            FROM pail_days WHERE folded = 1
        UNION ALL SELECT farmer, 'forfeited', forfeited, stake_forfeited, 0 FROM pail_days WHERE folded = 1
        UNION ALL SELECT farmer, 'expired', expired, stake_expired, 0 FROM pail_days WHERE folded = 1
    """,
)
