"""Stores for tests."""

from __future__ import annotations

from kalepool.adapters.store.opening import Home

HOME = Home("Test SDF Network ; September 2015", "CONTRACT")
