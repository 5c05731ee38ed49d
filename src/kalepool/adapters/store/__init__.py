"""The store: the only place that knows SQLite. See ``opening`` for the way in."""
