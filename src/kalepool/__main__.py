"""``python -m kalepool``."""

from kalepool.cli.app import run

run()
