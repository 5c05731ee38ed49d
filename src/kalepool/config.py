"""The configuration: ``kalepool.toml``, the environment over it, options over both.

Every key stands once in ``KEYS``, with its default, its bounds and what it is for; the loader, the
environment's names and ``kalepool.toml.example`` all come from there. An unknown key is an error.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kalepool.core.address import raw_key
from kalepool.core.amounts import parse_amount
from kalepool.core.strategy import POLICIES
from kalepool.core.upkeep import LEAST_KEEP_DAYS, MOST_KEEP_DAYS
from kalepool.errors import ConfigError, UsageError
from kalepool.networks import LOCAL, NETWORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_NAME: Final = "kalepool.toml"
_PREFIX = "KALEPOOL_"
_LONGEST_CODE = 12
_MOST_BYTES = 1_048_576
_SHOWN = 120
# These are read elsewhere; they are no keys of the file.
_NOT_KEYS = frozenset(
    {"KALEPOOL_PASSPHRASE", "KALEPOOL_PASSPHRASE_FILE", "KALEPOOL_NEW_PASSPHRASE", "KALEPOOL_CONFIG"}
)

Value = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the configuration.

    Attributes:
        name: ``section.key``.
        default: what holds when nobody says otherwise.
        about: what it is for, one sentence or two.
        check: gives the value as it is used, or raises ValueError with what would do.
    """

    name: str
    default: Value
    about: str
    check: Callable[[Any], Value]


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def _number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return float(value)

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004 - every check says what would do
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("a text of one line")
    return value


def _one_of(*names: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return str(value)

    return check


def _amount(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('an amount in quotes, such as "2.5"')  # noqa: TRY004
    try:
        parse_amount(value)
    except UsageError as error:
        raise ValueError(f'an amount in quotes, such as "2.5" ({error.hint})') from None
    return value


def _address(prefix: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value == "":
            return ""
        try:
            raw_key(str(value))
        except UsageError:
            raise ValueError(f"an address starting with {prefix}") from None
        if not str(value).startswith(prefix):
            raise ValueError(f"an address starting with {prefix}")
        return str(value)

    return check


def _asset(value: Any) -> str:
    if value == "":
        return ""
    code, _, issuer = str(value).partition(":")
    if not (code.isascii() and code.isalnum() and len(code) <= _LONGEST_CODE):
        raise ValueError("an asset as CODE:ISSUER")
    _address("G")(issuer)
    return str(value)


def _urls(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(
        isinstance(url, str) and url.startswith(("http://", "https://")) for url in value
    ):
        raise ValueError('URLs in brackets, such as ["https://mainnet.sorobanrpc.com"]')
    return tuple(value)


def _share(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('a percentage or an amount in quotes, such as "10%" or "2.5"')  # noqa: TRY004
    number = value.removesuffix("%")
    try:
        amount = parse_amount(number)
    except UsageError:
        raise ValueError('a percentage or an amount in quotes, such as "10%" or "2.5"') from None
    if value.endswith("%") and amount > parse_amount("100"):
        raise ValueError("at most 100%")
    return value


KEYS: Final[tuple[Key, ...]] = (
    Key(
        "network.name",
        LOCAL,
        "The network: local (a `kalepool devnet`), testnet or mainnet.",
        _one_of(*NETWORKS),
    ),
    Key(
        "network.rpc",
        (),
        "Stellar RPC nodes, in the order in which they are asked; empty for the network's usual ones.",
        _urls,
    ),
    Key(
        "network.requests_per_second",
        0.0,
        "HTTP requests a second to one node, at most; 0 for what the network's usual ones bear.",
        _number(0, 1000),
    ),
    Key("network.timeout_s", 10.0, "Seconds after which an answer is given up.", _number(1, 120)),
    Key("network.kale_contract", "", "The KALE contract; empty for the network's own.", _address("C")),
    Key("network.kale_asset", "", "The KALE asset as CODE:ISSUER; empty for the network's own.", _asset),
    Key("network.tractor_contract", "", "The tractor; empty for the network's own.", _address("C")),
    Key(
        "store.path",
        "kalepool.db",
        "The store: farmers, journal, books. Beside this file when relative.",
        _text,
    ),
    Key(
        "store.keep_days",
        90,
        "Days for which pails are kept one by one; older ones, once settled and paid, become sums by farmer and day.",
        _whole(LEAST_KEEP_DAYS, MOST_KEEP_DAYS),
    ),
    Key("vault.path", "kalepool.vault", "The vault: all keys, encrypted.", _text),
    Key("mining.threads", 0, "Threads that hash; 0 for one on each core that may be used.", _whole(0, 1024)),
    Key(
        "mining.niceness",
        10,
        "Niceness of these threads: 0 pushes others aside, 19 yields to all.",
        _whole(0, 19),
    ),
    Key(
        "mining.work_margin_ledgers",
        3,
        "A work is sent to land so many ledgers before its block may close, until delays have been learned.",
        _whole(1, 30),
    ),
    Key("mining.works_per_ledger", 40, "Works sent for one ledger, at most.", _whole(1, 1000)),
    Key(
        "mining.improve_from_kale",
        "0.5",
        "A better proof is sent again when it gains this much KALE; max-kale asks less, thrift never does it.",
        _amount,
    ),
    Key(
        "mining.policy",
        "steady",
        "How to plan: steady, max-kale (every KALE, more fees), thrift (fewest fees) or manual (see [manual]).",
        _one_of(*POLICIES),
    ),
    Key(
        "mining.kale_price_xlm",
        0.0,
        "XLM for one KALE, by which fees are weighed against rewards; 0 when unknown: then fees are not weighed.",
        _number(0, 1_000_000),
    ),
    Key(
        "mining.kale_price_from_pool",
        False,
        "Read that price from the liquidity pool of KALE and XLM on the ledger; the one above holds where it tells none.",
        _flag,
    ),
    Key(
        "mining.kale_pool_least_xlm",
        "1000",
        "A liquidity pool with less XLM than this is too thin to be asked: its price is cheap to push.",
        _amount,
    ),
    Key(
        "mining.skip_losing",
        False,
        "Do not plant for farmers whose block would earn less than its fees at that price; thrift never does.",
        _flag,
    ),
    Key(
        "mining.push_beyond_cap",
        False,
        "When everybody has all zeros that count, hash on for one more, which lifts the next block's range.",
        _flag,
    ),
    Key(
        "mining.for_whom",
        "everybody",
        "Whose KALE is made the most of: everybody's alike, or the pool's part alone (unequal terms then get unequal hashes).",
        _one_of("everybody", "pool"),
    ),
    Key("mining.open_blocks", True, "Open the next block with our own plants when it is due.", _flag),
    Key(
        "harvest.channels",
        8,
        "Channel accounts that the pool keeps: so many harvests go out at once.",
        _whole(1, 64),
    ),
    Key(
        "harvest.extend_from_kale",
        "1",
        "Blocks and pails that end before they can be harvested are kept alive from this much KALE on.",
        _amount,
    ),
    Key("manual.stake", "0", "With policy manual: KALE staked for each farmer.", _amount),
    Key("manual.zeros", 6, "With policy manual: hashing for a farmer stops at so many zeros.", _whole(0, 64)),
    Key(
        "manual.work_at_s",
        240,
        "With policy manual: works are sent so many seconds after their block's opening, never later than is safe.",
        _whole(10, 299),
    ),
    Key("fees.inclusion_percentile", 50, "The bid: this percentile of what was paid lately.", _whole(10, 99)),
    Key(
        "fees.inclusion_most_stroops", 10_000, "The bid for one operation, at most.", _whole(100, 10_000_000)
    ),
    Key(
        "fees.transaction_most_xlm",
        "0.05",
        "The whole fee of one transaction, at most: more is refused, whatever a node says.",
        _amount,
    ),
    Key("fees.day_most_xlm", "200", "All fees of one day, at most; then planting stops.", _amount),
    Key(
        "terms.stake", "10%", "What a new farmer stakes: a part of his balance, or an amount of KALE.", _share
    ),
    Key("terms.harvest_every", 5, "Blocks between a new farmer's harvests.", _whole(1, 20)),
    Key(
        "terms.share_bps",
        10_000,
        "A new farmer's part of the reward after the fee, in basis points.",
        _whole(0, 10_000),
    ),
    Key(
        "terms.fee_bps",
        0,
        "The platform's part of a new farmer's reward, in basis points.",
        _whole(0, 10_000),
    ),
    Key(
        "terms.payout_from_kale", "0", "Less than this of a new farmer's share is not paid out yet.", _amount
    ),
    Key("terms.payout_every_h", 0, "Hours between a new farmer's payouts, at least.", _whole(0, 8_784)),
    Key(
        "terms.exit_delay_h", 24, "Hours between a new farmer's wish to leave and his end.", _whole(0, 8_784)
    ),
    Key(
        "terms.receivable_most_kale",
        "100",
        "Fees that a self-custody farmer may owe; beyond that the pool does not work for him.",
        _amount,
    ),
    Key("payout.pool_from_kale", "1", "Less than this of the pool's part stays in a wallet.", _amount),
    Key("payout.auto_every_h", 24, "Hours between the payouts of `kalepool mine --auto`.", _whole(1, 8_784)),
    Key(
        "compensation.pays",
        True,
        "The pool owes a farmer the stake that it lost him: planted and not worked, or not harvested in time.",
        _flag,
    ),
    Key("compensation.month_most_kale", "1000", "All of it in one calendar month, at most.", _amount),
)
_BY_NAME: Final = {key.name: key for key in KEYS}


@dataclass(frozen=True, slots=True)
class Config:
    """Settings, checked.

    Attributes:
        values: by ``section.key``; every key of ``KEYS`` is there.
        folder: what relative paths are relative to.
        file: the file that was read, or None.
    """

    values: Mapping[str, Value]
    folder: Path
    file: Path | None

    def text(self, name: str) -> str:
        """Give a text."""
        value = self.values[name]
        assert isinstance(value, str)
        return value

    def whole(self, name: str) -> int:
        """Give a whole number."""
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def number(self, name: str) -> float:
        """Give a number."""
        value = self.values[name]
        assert isinstance(value, int | float)
        return float(value)

    def flag(self, name: str) -> bool:
        """Give a yes or no."""
        value = self.values[name]
        assert isinstance(value, bool)
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Give a list of texts."""
        value = self.values[name]
        assert isinstance(value, tuple)
        return value

    def stroops(self, name: str) -> int:
        """Give an amount in stroops."""
        return parse_amount(self.text(name))

    def path(self, name: str) -> Path:
        """Give a path, absolute or from the file's folder."""
        return self.folder / Path(self.text(name)).expanduser()


def find_file(given: str | None, environment: Mapping[str, str], working: Path) -> Path | None:
    """Find the file: as given, else in the working folder, else in the user's configuration folder.

    Raises:
        ConfigError: when a file was named and is not there.
    """
    named = given or environment.get("KALEPOOL_CONFIG")
    if named is not None:
        path = Path(named).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"there is no configuration file {named}", hint="check --config, or run `kalepool init`"
            )
        return path
    home = environment.get("XDG_CONFIG_HOME")
    folder = Path(home) if home else Path(environment.get("HOME", "~")) / ".config"
    candidates = (working / FILE_NAME, folder.expanduser() / "kalepool" / FILE_NAME)
    return next((path for path in candidates if path.is_file()), None)


def load(
    given: str | None,
    environment: Mapping[str, str],
    working: Path,
    options: Mapping[str, Value] | None = None,
) -> Config:
    """Load the configuration.

    Args:
        given: the file named by ``--config``, or None.
        environment: variables; ``KALEPOOL_SECTION_KEY`` overrides ``section.key``.
        working: the working folder.
        options: what options say, by ``section.key``; they override all.

    Raises:
        ConfigError: for an unreadable file, an unknown key or an impossible value.
        UsageError: for an impossible value of an option.
    """
    file = find_file(given, environment, working)
    folder = working if file is None else file.parent
    return _merged(file, folder, environment, options or {})


def load_new(
    file: Path, environment: Mapping[str, str], options: Mapping[str, Value] | None = None
) -> Config:
    """Give the settings with which a configuration file would begin that is not there yet.

    Raises:
        ConfigError: for an unknown variable or an impossible value.
        UsageError: for an impossible value of an option.
    """
    return _merged(None, file.parent, environment, options or {})


def _merged(
    file: Path | None, folder: Path, environment: Mapping[str, str], options: Mapping[str, Value]
) -> Config:
    values: dict[str, Value] = {key.name: key.default for key in KEYS}
    if file is not None:
        values |= _from_file(file)
    values |= _from_environment(environment)
    for name, value in options.items():
        try:
            values[name] = _checked(name, value, "an option")
        except ConfigError as error:  # the words of the command are wrong, and no file
            raise UsageError(error.message, hint=error.hint) from None
    return Config(values, folder, file)


def _from_file(file: Path) -> dict[str, Value]:
    try:
        with file.open("rb") as opened:
            raw = opened.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise ConfigError(f"{file} is larger than {_MOST_BYTES} bytes", hint="is it the right file?")
        data = tomllib.loads(raw.decode("utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}", hint="check the file's mode and owner"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is not UTF-8 text", hint="see kalepool.toml.example") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # also numbers too long, and brackets too deep, for the parser
        raise ConfigError(
            f"{file} is not TOML: {str(error)[:_SHOWN]}", hint="see kalepool.toml.example"
        ) from None
    values: dict[str, Value] = {}
    for section, content in data.items():
        if not isinstance(content, dict):
            raise _unknown(section, str(file))
        for key, value in content.items():
            values[f"{section}.{key}"] = _checked(f"{section}.{key}", value, str(file))
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Value]:
    names = {variable(key.name): key for key in KEYS}
    values: dict[str, Value] = {}
    for name in sorted(environment):
        if not name.startswith(_PREFIX) or name in _NOT_KEYS:
            continue
        if name not in names:
            raise _unknown(name, "the environment")
        values[names[name].name] = _checked(names[name].name, _parsed(names[name], environment[name]), name)
    return values


def _parsed(key: Key, text: str) -> Any:
    """Read a variable's text as its key's type; what does not fit is left for the check to refuse."""
    if isinstance(key.default, bool):
        return {"true": True, "false": False, "1": True, "0": False}.get(text.lower(), text)
    if isinstance(key.default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(key.default, int | float):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def variable(name: str) -> str:
    """Give the environment variable of a key: ``mining.threads`` is ``KALEPOOL_MINING_THREADS``."""
    return _PREFIX + name.replace(".", "_").upper()


def _checked(name: str, value: Any, where: str) -> Value:
    key = _BY_NAME.get(name)
    if key is None:
        raise _unknown(name, where)
    try:
        return key.check(value)
    except ValueError as error:
        raise ConfigError(f"{name} in {where} cannot be {_shown(value)}", hint=f"{name} is {error}") from None


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number so large"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _unknown(name: str, where: str) -> ConfigError:
    return ConfigError(
        f"{where} has an unknown key {name[:_SHOWN]}", hint="kalepool.toml.example lists every key"
    )


def example(chosen: Mapping[str, Value] | None = None) -> str:
    """Write ``kalepool.toml.example``: every key with its default, explained; or a file with other values."""
    chosen = chosen or {}
    lines = [
        "# kalepool.toml: every key, with its default. A key that is left out has this value; an unknown one is an",
        "# error. The environment overrides the file (KALEPOOL_MINING_THREADS=2), an option overrides both.",
    ]
    section = ""
    for key in KEYS:
        this, _, name = key.name.partition(".")
        if this != section:
            lines += ["", f"[{this}]"]
            section = this
        lines += ["", f"# {key.about}", f"{name} = {_toml(chosen.get(key.name, key.default))}"]
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)
