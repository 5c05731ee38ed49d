from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kalepool.adapters.store.journal import StoreJournal
from kalepool.adapters.store.opening import create_store, open_store
from support.store import HOME, Town

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kalepool.adapters.store.db import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A new store's file."""
    path = tmp_path / "kalepool.db"
    create_store(path, HOME)
    return path


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with open_store(path, HOME) as store:
        yield store


@pytest.fixture
def town(store: Store) -> Town:
    return Town(store)


@pytest.fixture
def journal(store: Store, town: Town) -> StoreJournal:
    return StoreJournal(store, town.owner(1))
