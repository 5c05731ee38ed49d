"""What all accounts of the pool hold, read in as few calls as the protocol allows, and remembered."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kalepool.core.address import is_account
from kalepool.core.farmers import FarmerState

if TYPE_CHECKING:
    from kalepool.core.chain import AccountState
    from kalepool.core.farmers import Farmer
    from kalepool.ports import Chain, Channels, Farmers, Views


@dataclass(frozen=True, slots=True)
class Held:
    """An account of the pool's, or of a farmer it works for.

    Attributes:
        name: ``operator``, ``channel 0`` or the farmer's name.
        role: operator, channel or farmer.
        address: whose.
        state: as read; None where there is no such account, and for contracts.
        farmer: the farmer, or None.
    """

    name: str
    role: str
    address: str
    state: AccountState | None
    farmer: Farmer | None = None


class Balances:
    """Reads balances.

    Args:
        chain: tells them.
        farmers: whose.
        channels: whose.
        views: remembers them.
        operator: G address.
    """

    def __init__(
        self, chain: Chain, farmers: Farmers, channels: Channels, views: Views, operator: str
    ) -> None:
        self._chain = chain
        self._farmers = farmers
        self._channels = channels
        self._views = views
        self._operator = operator

    async def read(self) -> list[Held]:
        """Ask the network about operator, channels and all farmers who have not left.

        One HTTP request serves up to a thousand accounts.

        Raises:
            RetryableError: when no node answers.
        """
        named = [("operator", "operator", self._operator)]
        named += [(f"channel {number}", "channel", address) for number, address in self._channels.known()]
        farmers = [one for one in self._farmers.all() if one.state is not FarmerState.EXITED]
        accounts = [address for _, _, address in named] + [
            farmer.address for farmer in farmers if is_account(farmer.address)
        ]
        states = await self._chain.accounts(accounts)
        by_ledger: defaultdict[int, list[AccountState]] = defaultdict(list)
        for state in states.values():
            by_ledger[state.ledger].append(state)
        for ledger, seen in by_ledger.items():
            self._views.save_accounts(seen, ledger)
        return [Held(name, role, address, states.get(address)) for name, role, address in named] + [
            Held(farmer.name, "farmer", farmer.address, states.get(farmer.address), farmer)
            for farmer in farmers
        ]
