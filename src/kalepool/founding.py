"""Making a pool: its configuration file, its vault, its store. Nothing that exists is ever overwritten."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kalepool.adapters.store.opening import Home, create_store
from kalepool.adapters.vault import Vault, check_new_passphrase, check_phrase, parse_seed
from kalepool.config import FILE_NAME, example, load, load_new
from kalepool.errors import ConfigError
from kalepool.networks import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kalepool.config import Config
    from kalepool.secret import Secret


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pool's three files are, or will be.

    Attributes:
        config: settings to make it by; of the file, when there is one.
        file: the configuration file.
    """

    config: Config
    file: Path

    @property
    def vault(self) -> Path:
        """The vault's path."""
        return self.config.path("vault.path")

    @property
    def store(self) -> Path:
        """The store's path."""
        return self.config.path("store.path")

    @property
    def missing(self) -> list[Path]:
        """Which of the three are not there, in the order in which they are made."""
        return [path for path in (self.vault, self.store, self.file) if not os.path.lexists(path)]

    def check(self) -> None:
        """Insist that what is there can be completed.

        Raises:
            ConfigError: when there is a store whose vault is missing: a new vault would hold none of its keys.
        """
        if self.store.exists() and not self.vault.exists():
            raise ConfigError(
                f"there is a store at {self.store}, but its vault {self.vault} is missing",
                hint="restore the vault from its backup, or use another folder: nothing was changed",
            )
        for folder in {path.parent for path in (self.vault, self.store, self.file)}:
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                raise ConfigError(
                    f"nothing can be written into {folder}", hint="create it, or choose another"
                )


def place_of(given: str | None, network: str | None, environment: Mapping[str, str], working: Path) -> Place:
    """Tell where a pool is, or will be made.

    Args:
        given: what ``--config`` names, or None.
        network: what ``--network`` names, or None.
        environment: variables.
        working: the working folder.

    Raises:
        ConfigError: when there is a configuration, and it cannot be used or is for another network.
    """
    named = given or environment.get("KALEPOOL_CONFIG")
    file = working / FILE_NAME if named is None else Path(named).expanduser().absolute()
    if named is None or file.is_file():
        config = load(given, environment, working)
        if config.file is not None:
            belongs = config.text("network.name")
            if network not in (None, belongs):
                raise ConfigError(
                    f"{config.file} is for the network {belongs}, not {network}",
                    hint="make the other pool in another folder: each network has its own store and vault",
                )
            return Place(config, config.file)
    return Place(load_new(file, environment, {} if network is None else {"network.name": network}), file)


def new_phrase(
    place: Place, passphrase: Secret, operations_passphrase: Secret | None, operator_seed: Secret | None
) -> Secret:
    """Give a new recovery phrase, once everything else that the vault is made of would do.

    Raises:
        ConfigError: when a passphrase is too weak, or both are the same.
        UsageError: when the seed is malformed.
    """
    network = place.config.text("network.name")
    check_new_passphrase(passphrase, network)
    if operations_passphrase is not None:
        check_new_passphrase(operations_passphrase, network)
        if operations_passphrase == passphrase:
            raise ConfigError(
                "the operations passphrase is the main one", hint="choose another: it is to open less"
            )
    if operator_seed is not None:
        parse_seed(operator_seed)
    return Vault.new_phrase()


def check_recovery(place: Place, passphrase: Secret, phrase: Secret, operator_seed: Secret | None) -> None:
    """Insist that a vault can be made of these, before anything is.

    Raises:
        ConfigError: when the passphrase is too weak.
        UsageError: when phrase or seed are malformed.
    """
    check_phrase(phrase)
    check_new_passphrase(passphrase, place.config.text("network.name"))
    if operator_seed is not None:
        parse_seed(operator_seed)


def make_vault(
    place: Place,
    *,
    passphrase: Secret,
    phrase: Secret,
    operations_passphrase: Secret | None = None,
    operator_seed: Secret | None = None,
) -> None:
    """Make the vault from a recovery phrase that its owner has.

    Raises:
        ConfigError: when there is one, it cannot be written, or a passphrase is too weak.
        UsageError: when phrase or seed are malformed.
    """
    Vault.create(
        place.vault,
        network=place.config.text("network.name"),
        passphrase=passphrase,
        operations_passphrase=operations_passphrase,
        phrase=phrase,
        operator_seed=operator_seed,
    )


def complete(place: Place) -> list[Path]:
    """Make store and configuration file where they are missing; give what was made.

    The file comes last: what it describes is there when it is.

    Raises:
        ConfigError: when one cannot be written.
    """
    made = []
    if not os.path.lexists(place.store):
        known = NETWORKS[place.config.text("network.name")]
        create_store(
            place.store, Home(known.passphrase, place.config.text("network.kale_contract") or known.kale)
        )
        made.append(place.store)
    if not os.path.lexists(place.file):
        try:
            with place.file.open("x", encoding="utf-8") as file:
                # The network alone: what else the environment says, such as a node's URL with a key, stays there.
                file.write(example({"network.name": place.config.text("network.name")}))
        except OSError as error:
            raise ConfigError(
                f"{place.file} cannot be written: {error.strerror}", hint="free some space, then run it again"
            ) from None
        made.append(place.file)
    return made
