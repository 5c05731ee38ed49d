"""From an older store to this program's: ordered steps, each recorded in the transaction that takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlite_utils import Database, Migrations

from kalepool.adapters.store import (
    day_tables,
    fee_tables,
    fold_tables,
    life_tables,
    money_tables,
    pail_tables,
    plan_tables,
    total_views,
)
from kalepool.adapters.store.schema import APPLICATION_ID, STATEMENTS
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from kalepool.adapters.store.db import Store

STEPS: Final = Migrations("kalepool")
"""Step n leads to ``user_version`` n. A step that has been released is never edited: add another."""


@STEPS(name="1 the first tables")
def first_tables(db: Database) -> None:
    """Make every table of version 1."""
    for statement in STATEMENTS:
        db.conn.execute(statement)
    db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@STEPS(name="2 what each pail cost in fees")
def fee_totals(db: Database) -> None:
    """Count fees by pail and day, those of the past too."""
    for statement in fee_tables.STATEMENTS:
        db.conn.execute(statement)


@STEPS(name="3 settling and paying")
def settling_and_paying(db: Database) -> None:
    """Extend terms by payouts and exits, and keep what waits to be settled."""
    for statement in money_tables.STATEMENTS:
        db.conn.execute(statement)


@STEPS(name="4 harvests by others, and stakes that were not paid back")
def harvests_by_others(db: Database) -> None:
    """Make room for what is not known of a pail, and for what of its stake did not come back."""
    pail_tables.rebuild(db)


@STEPS(name="5 what was planned")
def what_was_planned(db: Database) -> None:
    """Keep forecasts beside pails, and the hashes of each block."""
    for statement in plan_tables.STATEMENTS:
        db.conn.execute(statement)


@STEPS(name="6 days in the place of what is old")
def days_for_what_is_old(db: Database) -> None:
    """Sum pails by day, and open the doors through which old detail leaves."""
    for statement in (*day_tables.STATEMENTS, *fold_tables.STATEMENTS):
        db.conn.execute(statement)


@STEPS(name="7 the life of agreements")
def life_of_agreements(db: Database) -> None:
    """Keep the life of what was agreed apart from the states of accounts."""
    for statement in life_tables.STATEMENTS:
        db.conn.execute(statement)
    life_tables.remember_lives(db.conn)


@STEPS(name="8 folded stakes whole")
def folded_stakes_whole(db: Database) -> None:
    """Count the whole stake of a folded pail that was paid back short."""
    for statement in total_views.STATEMENTS:
        db.conn.execute(statement)


def migrate(store: Store, steps: Migrations = STEPS, *, stop_before: str | None = None) -> int:
    """Take every step a store has not taken; give its version afterwards.

    All steps and their records go in one synced transaction, which other processes wait for: a store
    is at one version or another, never between.

    Raises:
        ConfigError: when a step leaves references that point nowhere; nothing changed.
    """
    with store.atomic(synced=True):
        # No plugins: whatever else is installed on this machine has no business in the store.
        database = Database(store.connection, recursive_triggers=False, execute_plugins=False)
        steps.apply(database, stop_before=stop_before)
        version = len(steps.applied(database))
        store.execute(f"PRAGMA user_version = {version}")
        if store.all("PRAGMA foreign_key_check"):
            raise ConfigError(
                f"{store.path} cannot be brought to version {version}: it holds references to nothing",
                hint="check it with: kalepool db verify",
            )
    return version
