"""What the round loop works with: its ports and the other services, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kalepool.core.strategy import Policy
    from kalepool.ports import (
        Blocks,
        Books,
        Chain,
        Clock,
        Composer,
        Facts,
        Farmers,
        Grinds,
        Journal,
        Lock,
        Pails,
        Transactions,
        Upkeep,
        Views,
    )
    from kalepool.services.channels import Sources
    from kalepool.services.grinding import Grinder
    from kalepool.services.harvesting import Harvester
    from kalepool.services.learning import Learner
    from kalepool.services.pricing import Pricer
    from kalepool.services.receivables import Receivables
    from kalepool.services.reconcile import Reconciler
    from kalepool.services.settling import Settling
    from kalepool.services.submit import Submitter


@dataclass(frozen=True, slots=True)
class Means:
    """Ports and services of one pool.

    Attributes:
        operator: who pays, G address.
        policy: how to choose where there is a choice.
        day_most: all fees of one day of network time, stroops; beyond it nothing is planted.
        machine_now: the machine's clock, Unix seconds: for the age of what ``status`` shows, and for nothing else.
        monotonic: seconds of a clock that never steps, for the rate of hashing.
    """

    farmers: Farmers
    pails: Pails
    blocks: Blocks
    journal: Journal
    books: Books
    views: Views
    facts: Facts
    grinds: Grinds
    sources: Sources
    store: Transactions
    lock: Lock
    clock: Clock
    chain: Chain
    composer: Composer
    submitter: Submitter
    reconciler: Reconciler
    harvester: Harvester
    grinder: Grinder
    receivables: Receivables
    learner: Learner
    pricer: Pricer
    upkeep: Upkeep
    settling: Settling
    operator: str
    policy: Policy
    day_most: int
    machine_now: Callable[[], float]
    monotonic: Callable[[], float]
