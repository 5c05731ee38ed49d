from __future__ import annotations

import pytest

from support.stellar import Pool


@pytest.fixture
def pool() -> Pool:
    """The node's client over a devnet on which nothing has happened yet."""
    return Pool()
