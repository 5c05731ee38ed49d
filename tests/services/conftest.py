from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """The services, over a devnet on which nothing has happened yet."""
    house = House(tmp_path)
    yield house
    house.store.close()
