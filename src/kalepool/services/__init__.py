"""The verbs: each takes ports and imports no adapter."""
