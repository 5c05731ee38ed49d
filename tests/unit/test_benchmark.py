"""What the benchmark says: limits, expectations, and that a wrong kernel shows."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from kalepool import benchmark
from kalepool.adapters.miner import clock_hz, kernels, search
from kalepool.benchmark import CHAIN_DIGEST, Report, issue_limit, measure
from kalepool.cli.app import main
from kalepool.core.proof import expected_zeros
from kalepool.errors import UsageError
from kalepool.machine import Cpu

if TYPE_CHECKING:
    from kalepool.core.farm import Proof
    from kalepool.core.grinding import Job

ZEN_4 = Cpu("Zen 4", "AuthenticAMD", 25, 97)
SAPPHIRE_RAPIDS = Cpu("Sapphire Rapids", "GenuineIntel", 6, 143)
SKYLAKE = Cpu("Skylake", "GenuineIntel", 6, 85)
UNKNOWN = Cpu("?", "", 0, 0)


@pytest.mark.parametrize("hashes", [1e7, 1e9, 1e11])
def test_the_best_of_n_hashes_has_about_log16_n_zeros(hashes: float) -> None:
    # The largest of n exponentials lies 0.577 / ln 16 above log16 n on average; counting whole zeros takes a half.
    mean = math.log(hashes, 16) + 0.5772 / math.log(16) - 0.5
    assert expected_zeros(hashes) == pytest.approx(mean, abs=0.05)


@pytest.mark.parametrize(("hashes", "zeros"), [(0, 0.0), (1, 1 / 15)])
def test_few_hashes_few_zeros(hashes: float, zeros: float) -> None:
    assert expected_zeros(hashes) == pytest.approx(zeros)


@pytest.mark.parametrize(
    ("kernel", "lanes", "processor", "cycles"),
    [
        ("avx512", 8, ZEN_4, 122.6),
        ("avx512", 8, SAPPHIRE_RAPIDS, 122.6),
        ("avx2", 4, ZEN_4, 249.2),
        ("avx2", 4, SAPPHIRE_RAPIDS, 332.3),
        ("portable", 1, ZEN_4, 738.0),
        ("portable", 1, SAPPHIRE_RAPIDS, 590.4),
        ("portable", 1, SKYLAKE, 738.0),
        ("portable", 1, UNKNOWN, 738.0),
    ],
)
def test_the_limit_is_operations_over_what_the_ports_take(
    kernel: str, lanes: int, processor: Cpu, cycles: float
) -> None:
    assert issue_limit(kernel, lanes, processor) == pytest.approx(cycles, abs=0.1)


def test_every_kernel_has_a_limit_everywhere() -> None:
    for kernel in kernels():
        for processor in (ZEN_4, SAPPHIRE_RAPIDS, UNKNOWN):
            assert issue_limit(kernel.name, kernel.lanes, processor) > 0


def test_every_kernel_is_timed_with_one_thread_and_with_many() -> None:
    told: list[str] = []
    report = measure(0.05, threads=2, progress=lambda what, share: told.append(what))
    names = [kernel.name for kernel in kernels() if kernel.runs]
    assert [(rate.name, rate.threads) for rate in report.rates] == [(n, t) for n in names for t in (1, 2)]
    for rate in report.rates:
        assert rate.right
        assert 0 < rate.mhs_median <= rate.mhs
        assert rate.cycles_per_hash > 0
        assert rate.limit_share == pytest.approx(rate.limit_cycles / rate.cycles_per_hash)
    assert report.checksum == CHAIN_DIGEST
    assert told[0].startswith("checking")
    zeros = report.zeros_expected()
    assert zeros[1] > zeros[10] > zeros[100] > 0


def test_the_few_windows_below_all_others_are_not_believed() -> None:
    # Two of a hundred are faster than the CPU's limit: their clock was misread.
    series = benchmark._Series("avx512", 8, 1, CHAIN_DIGEST, cycles=[130.0] * 98 + [117.0] * 2)
    assert benchmark._rate(series, 0.0, ZEN_4).cycles_per_hash == 130.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, 3601.0, float("nan")])
def test_a_duration_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="seconds"):
        measure(seconds)


def test_the_clock_is_that_of_a_cpu() -> None:
    # Emulated or busy it may be slow; above 10 GHz the chain would not be one.
    assert 1e7 < max(clock_hz(100_000) for _ in range(5)) < 1e10


def test_json_has_the_fields_that_scripts_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--seconds", "0.02", "--threads", "1", "--kernel", "portable", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["command"], document["ok"], err) == ("bench", True, "")
    assert {"cpu", "clock_ghz", "checksum", "kernels"} <= document["data"].keys()
    [kernel] = document["data"]["kernels"]
    fields = {"name", "lanes", "threads", "mhs", "mhs_median", "cycles_per_hash", "limit_share"}
    assert fields <= kernel.keys()
    assert (kernel["name"], kernel["lanes"], kernel["threads"]) == ("portable", 1, 1)


def test_the_tables_go_to_stdout_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--seconds", "0.02", "--threads", "1", "--kernel", "portable"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "portable" in out
    assert CHAIN_DIGEST in out
    assert "farmers" in out


@pytest.fixture
def wrong_portable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A portable kernel that finds, fast, something that is not the best."""

    def find_the_first(job: Job, count: int, *, threads: int = 1, kernel: str | None = None) -> Proof:
        return search(job, 1 if kernel == "portable" else count, threads=threads, kernel=kernel)

    monkeypatch.setattr(benchmark, "search", find_the_first)


@pytest.mark.usefixtures("wrong_portable")
def test_a_fast_wrong_kernel_shows_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "--seconds", "0.02", "--threads", "1", "--kernel", "portable"]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert "WRONG" in out
    assert CHAIN_DIGEST not in out
    assert err.startswith("error: wrong hashes from portable\nhint: ")
    assert main([*words, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["error"]["code"]) == (False, "internal")
    assert document["data"]["kernels"][0]["right"] is False


@pytest.mark.usefixtures("wrong_portable")
def test_a_wrong_kernels_rate_counts_for_nothing() -> None:
    report: Report = measure(0.02, threads=1, kernel="portable")
    assert not report.right
    assert report.best_mhs == 0
    assert set(report.zeros_expected().values()) == {0.0}


def test_ctrl_c_says_stopped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*_: object, **__: object) -> Proof:
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmark, "search", interrupt)
    assert main(["bench", "--kernel", "portable"]) == 130
    assert capsys.readouterr() == ("", "stopped\n")


@pytest.mark.parametrize(
    "words", [["--kernel", "abacus"], ["--threads", "0"], ["--threads", "10000"], ["--seconds", "0"]]
)
def test_bad_words_are_usage_errors(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
