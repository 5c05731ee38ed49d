"""Farmers rebuilt from the recovery phrase and the network alone, into an empty store.

The phrase gives addresses; the network tells which of them exist, what they hold and which pails of
theirs are open. Everything else only a backup of the store brings back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kalepool.core.farmers import Custody, Farmer, FarmerState
from kalepool.core.pails import observe
from kalepool.core.records import ALIVE, BlockRecord, PailRecord, PailState
from kalepool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kalepool.core.chain import AccountState
    from kalepool.core.farmers import Terms
    from kalepool.ports import Blocks, Chain, Channels, Clock, Farmers, Pails, Transactions, Vault, Views
    from kalepool.services.opening import Openings

DEFAULT_GAP: Final = 40
"""Wallets in a row that may be missing, merged or never made, before the search ends."""

_CHANNELS: Final = 64
_WALLETS_AT_ONCE: Final = 400
_BLOCKS_BACK: Final = 400
"""More blocks than live at once on any network: 17,280 ledgers are some 300 blocks."""
_PAILS_AT_ONCE: Final = 1_500


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found.

    Attributes:
        operator: the operator's account, or None where it does not exist.
        channels: how many channel accounts exist.
        farmers: those rebuilt.
        pails: how many open pails of theirs were found.
        searched: how many wallets were looked for.
    """

    operator: AccountState | None
    channels: int
    farmers: tuple[Farmer, ...]
    pails: int
    searched: int


class Recovery:
    """Searches and rebuilds.

    Args:
        vault: derives addresses.
        chain: tells what exists.
        clock: network time.
        farmers: where they are rebuilt; there must be none.
        channels: where channels are made known.
        pails: where open pails are written.
        blocks: where their blocks are.
        views: remembers balances.
        openings: takes accounts into the books.
        store: makes it all one.
        seal: seals a numbered farmer's terms from a block on.
        record: writes a line to the audit log.
        defaults: terms of everybody, until somebody says better.
        who: the command that does it.
    """

    def __init__(
        self,
        *,
        vault: Vault,
        chain: Chain,
        clock: Clock,
        farmers: Farmers,
        channels: Channels,
        pails: Pails,
        blocks: Blocks,
        views: Views,
        openings: Openings,
        store: Transactions,
        seal: Callable[[Farmer, int], bytes],
        record: Callable[[str], None],
        defaults: Terms,
        who: str,
    ) -> None:
        self._vault = vault
        self._chain = chain
        self._clock = clock
        self._farmers = farmers
        self._channels = channels
        self._pails = pails
        self._blocks = blocks
        self._views = views
        self._openings = openings
        self._store = store
        self._seal = seal
        self._record = record
        self._defaults = defaults
        self._who = who

    async def recover(
        self, gap: int = DEFAULT_GAP, progress: Callable[[int], None] | None = None
    ) -> Recovered:
        """Search the network and rebuild what is there, all or nothing.

        Farmers are paused: their terms are not known, and nothing is staked before somebody has agreed.

        Args:
            gap: wallets in a row that may be missing before the search ends.
            progress: told how many wallets were looked for.

        Raises:
            ConfigError: when the store has farmers.
            RetryableError: when no node answers; nothing was written.
        """
        if self._farmers.all():
            raise ConfigError(
                "the store has farmers already",
                hint="recover into an empty folder; this one needs no recovery",
            )
        channels = [self._vault.channel(number) for number in range(_CHANNELS)]
        accounts = await self._chain.accounts([self._vault.operator, *channels])
        wallets, searched = await self._search(gap, progress)
        blocks, pails = await self._find_pails([state.address for state in wallets.values()])
        farmers = [self._farmer(index, state) for index, state in sorted(wallets.items())]
        found = [*accounts.values(), *wallets.values()]
        with self._store.atomic(synced=True):
            added = self._farmers.add(farmers, who=self._who, seal=lambda one: self._seal(one, 0))
            numbers = {farmer.address: farmer.number for farmer in added}
            self._channels.add([(number, one) for number, one in enumerate(channels) if one in accounts])
            self._blocks.record(blocks)
            self._pails.record([replace(pail, farmer=numbers[address]) for address, pail in pails])
            self._openings.take(found, at=self._clock.now())
            for state in found:
                self._views.save_accounts([state], state.ledger)
            self._record(f"recovered {len(added)} farmers from the recovery phrase")
        return Recovered(
            operator=accounts.get(self._vault.operator),
            channels=sum(one in accounts for one in channels),
            farmers=tuple(added),
            pails=sum(pail.state in ALIVE for _, pail in pails),
            searched=searched,
        )

    async def _search(
        self, gap: int, progress: Callable[[int], None] | None
    ) -> tuple[dict[int, AccountState], int]:
        """Give the wallets that exist, by index, and how many were looked for."""
        found: dict[int, AccountState] = {}
        index, last = 0, -1
        while index <= last + gap:
            indexes = range(index, index + max(gap, _WALLETS_AT_ONCE))
            addresses = {one: self._vault.wallet(one) for one in indexes}
            states = await self._chain.accounts(list(addresses.values()))
            found |= {one: states[address] for one, address in addresses.items() if address in states}
            index, last = indexes.stop, max(found, default=-1)
            if progress is not None:
                progress(index)
        return found, index

    def _farmer(self, index: int, state: AccountState) -> Farmer:
        funded = FarmerState.CREATED if state.kale is None else FarmerState.PAUSED
        name = f"recovered-{index + 1}"
        return Farmer(0, name, state.address, Custody.CUSTODIAL, funded, index, self._defaults)

    async def _find_pails(
        self, addresses: Sequence[str]
    ) -> tuple[list[BlockRecord], list[tuple[str, PailRecord]]]:
        """Give the blocks that live, and the pails in them with their farmers' addresses, not yet numbered."""
        index = (await self._chain.snapshot([])).farm.index
        living = (await self._chain.snapshot([], range(max(index - _BLOCKS_BACK, 0), index + 1))).blocks
        wanted = [(address, block) for block in sorted(living) for address in addresses]
        found = []
        for start in range(0, len(wanted), _PAILS_AT_ONCE):
            part = wanted[start : start + _PAILS_AT_ONCE]
            snapshot = await self._chain.snapshot(part)
            for address, block in part:
                if (address, block) in snapshot.pails:
                    planned = PailRecord(0, block, PailState.PLANNED, 0)
                    records = observe(planned, address, living[block].block, snapshot)
                    found += [(address, record) for record in records[-1:]]
        blocks = [
            BlockRecord(block, dated.block, dated.live_until) for block, dated in sorted(living.items())
        ]
        return blocks, found
