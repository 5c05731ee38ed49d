"""Where the self-contained program begins; see the Makefile's ``binary``."""

from kalepool.cli.app import run

run()
