from __future__ import annotations

from hypothesis import settings

# Speed is measured in benchmarks/, never in a test: a busy machine must not fail an example for its time.
settings.register_profile("timeless", parent=settings.default, deadline=None)
settings.load_profile("timeless")
