"""The vault: the only holder of a secret seed. Its formats and what it defends: docs/SECURITY.md."""

from kalepool.adapters.vault.cost import LEAST, MODERATE, Cost, check_new_passphrase
from kalepool.adapters.vault.derivation import check_phrase
from kalepool.adapters.vault.document import Addresses
from kalepool.adapters.vault.seed import parse_seed
from kalepool.adapters.vault.vault import Vault

__all__ = [
    "LEAST",
    "MODERATE",
    "Addresses",
    "Cost",
    "Vault",
    "check_new_passphrase",
    "check_phrase",
    "parse_seed",
]
