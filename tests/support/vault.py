"""What the tests of the vault share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kalepool.adapters.vault import LEAST, Vault
from kalepool.adapters.vault.document import _checksum
from kalepool.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAIN = "correct horse battery staple"
OPERATIONS = "cron may know this one"
# SEP-0005, test 3.
PHRASE = (
    "bench hurt jump file august wise shallow faculty impulse spring exact slush "
    "thunder author capable act festival slice deposit sauce coconut afford frown better"
)
# SEP-0005, test 1, account 0.
SEED = "SBGWSG6BTNCKCOB3DIFBGCVMUPQFYPA2G4O34RMTB343OYPXU5DJDVMN"
SEED_ADDRESS = "GDRXE2BQUC3AZNPVFSCEZ76NJ3WWL25FYFK6RGZGIEKWE4SOOHSUJUJ6"


def secret(text: str) -> Secret:
    """Give a secret of text."""
    return Secret.from_text(text)


def make(path: Path, *, operations: bool = False) -> Vault:
    """Make a cheap vault on the local network from the known phrase."""
    return Vault.create(
        path,
        network="local",
        passphrase=secret(MAIN),
        operations_passphrase=secret(OPERATIONS) if operations else None,
        phrase=secret(PHRASE),
        cost=LEAST,
    )


def opened(path: Path, passphrase: str = MAIN) -> Vault:
    """Open it again."""
    return Vault.open(path, network="local", passphrase=secret(passphrase))


def forge(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a vault file as someone would who knows the format but no passphrase: the checksum is right."""
    body = json.loads(path.read_bytes())
    change(body)
    body.pop("checksum", None)
    path.write_text(json.dumps(body | {"checksum": _checksum(body)}) + "\n")
