from __future__ import annotations

import pytest

from support.devnet import Bench


@pytest.fixture
def bench() -> Bench:
    """A devnet on which nothing has happened yet."""
    return Bench()
