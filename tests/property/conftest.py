from __future__ import annotations

from hypothesis import settings

# A deadline is there to notice a hang, not a busy machine. In milliseconds.
settings.register_profile("kalepool", deadline=10_000)
settings.load_profile("kalepool")
