"""A slice of the campaign of bad input and faults, `benchmarks/faults.py`."""

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

_path = Path(__file__).parents[1] / "benchmarks" / "faults.py"
_spec = importlib.util.spec_from_file_location("faults", _path)
faults = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(faults)


@pytest.mark.parametrize("first", range(0, 500, 50))
def test_bad_input_ends_in_finite_numbers_or_in_our_words(first):
    outcomes = {}
    for seed in range(first, first + 50):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcomes[seed] = faults.run_case(seed)
    bad = {seed: text for seed, text in outcomes.items() if text.startswith("BAD")}
    assert not bad
    assert {"fine", "ValueError"} <= set(outcomes.values())


def test_the_campaign_tells_what_is_bad():
    assert faults.verdict(TypeError("f(): incompatible function arguments"), "x") != "x"
    assert faults.verdict(ValueError(""), "x") != "x"
    assert faults.verdict(ValueError("X has no rows."), "x") == "x"


@pytest.mark.once
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_faults_end_in_numbers_or_in_their_own_error():
    done = subprocess.run(
        [sys.executable, str(_path), "--cases", "0", "--faults", "20"],
        capture_output=True,
        text=True,
        timeout=600,  # a hang, not slowness
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for outcome in ("fork: fine", "memory: MemoryError"):
        assert outcome in done.stdout or sys.platform != "linux"
