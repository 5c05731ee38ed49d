"""kalepool: run a KALE farm for many farmers from one machine."""

__version__ = "0.1.0"
