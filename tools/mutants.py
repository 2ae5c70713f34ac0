"""Break the network's engine one line at a time, and see whether a test fails.

A mutant is one header with one operator, constant or choice exchanged. Each is compiled
in a folder of its own, without optimizations, and the tests run on it until the first
failure. One that survives shows a line that no test watches, or one that cannot be seen
from outside: a limit of speed, a guard that never acts. Which mutants are drawn of a
header depends on the count, the seed and the sources, not on which headers are asked
for: it has its share of all, and three at least. A mutant takes half a minute of one
core, 80 of them (and the shares) 35 minutes of two.

Usage: python tools/mutants.py [--count 80] [--seed 0] [--jobs 2] [--headers GLOB ...]
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nanobind

ROOT = Path(__file__).resolve().parents[1]
ENGINE = Path("sklearn_backprop", "engine")
BUILD = ROOT / "build" / "mutants"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")

HEADERS = [
    "layers/*.hpp", "activations.hpp", "cells.hpp", "clipping.hpp", "gradient.hpp",
    "head.hpp", "losses.hpp", "norms.hpp", "optimizers.hpp", "orthogonal.hpp",
    "probes.hpp", "recorder.hpp", "trainer.hpp", "parameters.hpp",
    "small_products.hpp", "transpose.hpp",
]  # fmt: skip
TESTS = [
    "tests/engine/test_gradients_differences.py", "tests/engine/test_products.py",
    "tests/engine/test_tables.py", "tests/engine/test_sequences.py",
    "tests/engine/test_input_gradients.py", "tests/engine/test_frozen.py",
    "tests/engine/test_losses_of_rows.py",
    "tests/neural_network", "tests/inspection/test_diagnosis.py",
    "tests/inspection/test_time.py",
]  # fmt: skip
# What asks little of the engine and takes long, even to collect.
IGNORED = [
    f"--ignore-glob=*/test_{name}.py"
    for name in ("common", "documentation", "sklearn_suite")
]

# What stands in a line, and what is put in its place.
EXCHANGES = [
    (r" \+ ", " - "), (r" - ", " + "), (r" \* ", " / "), (r" / ", " * "),
    (r" \+= ", " -= "), (r" -= ", " += "), (r" \*= ", " /= "), (r" = -", " = "),
    (r" < ", " >= "), (r" > ", " <= "), (r" <= ", " > "), (r" >= ", " < "),
    (r" == ", " != "), (r" != ", " == "), (r" && ", " || "), (r" \|\| ", " && "),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r"\b0\.9\b", "0.8"),
    (r"\bT\(0\)", "T(1)"), (r"\bT\(1\)", "T(2)"), (r"\bT\(0\.5\)", "T(0.25)"),
    (r"\bmax\(", "min("), (r"\bmin\(", "max("), (r"\bsqrt\(", "exp2("),
    (r"\bif \(!", "if ("), (r"(\w+) \? (\w+) : (\w+)", r"\1 ? \3 : \2"),
]  # fmt: skip
# In the head of a loop any of these ends it at once; this leaves out its last round.
LOOP = [(r"(\w+) < ([^;]+);", r"\1 + 1 < \2;")]
# Lines that state no arithmetic.
SKIPPED = re.compile(r"^\s*(//|#|template|using|namespace|class|struct|static_assert)")


@dataclass(frozen=True)
class Mutant:
    """A line of a header and what it becomes."""

    header: str
    number: int  # of the line, from 1
    line: str

    def __str__(self) -> str:
        return f"{self.header}:{self.number}: {self.line.strip()}"


def mutants_of(header: str) -> list[Mutant]:
    """Every exchange at every place of a header."""
    found = []
    lines = (ROOT / ENGINE / header).read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        code = line.split("//")[0]
        if SKIPPED.match(line) or '"' in code:
            continue
        for pattern, replacement in LOOP if " for (" in code else EXCHANGES:
            for match in re.finditer(pattern, code):
                changed = match.expand(replacement)
                changed = code[: match.start()] + changed + code[match.end() :]
                found.append(Mutant(header, number, changed))
    return found


def headers_of(patterns: list[str]) -> list[str]:
    """The engine's headers that a pattern names, sorted."""
    engine = ROOT / ENGINE
    found = {str(p.relative_to(engine)) for glob in patterns for p in engine.glob(glob)}
    return sorted(found)


def draw(count: int, seed: int, patterns: list[str]) -> list[Mutant]:
    """Of about `count` mutants in proportion, three at least, those of some headers."""
    of_header = {header: mutants_of(header) for header in headers_of(HEADERS)}
    share = count / sum(map(len, of_header.values()))
    drawn = []
    for header in headers_of(patterns):
        mutants = of_header[header]
        n = min(len(mutants), max(3, round(share * len(mutants))))
        drawn += random.Random(f"{seed} {header}").sample(mutants, n)
    return drawn


def build(folder: Path, mutant: Mutant) -> bool:
    """Make `folder`/sklearn_backprop with the mutated engine; say whether it compiles.

    What the mutant does not touch is of the release's build.
    """
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(
        ROOT / "sklearn_backprop", folder / "sklearn_backprop", ignore=ignored
    )
    header = folder / ENGINE / mutant.header
    lines = header.read_text().splitlines()
    lines[mutant.number - 1] = mutant.line
    header.write_text("\n".join(lines) + "\n")
    release = ROOT / "build" / "release" / "cmake"
    unchanged = [
        *release.rglob("module.cpp.o"),
        *release.rglob("names.cpp.o"),
        *release.rglob("linear_model.cpp.o"),
        *release.rglob("libnanobind*.a"),
    ]
    include = Path(nanobind.include_dir())
    command = [
        os.environ.get("CXX", "c++"), "-std=c++17", "-O0", "-fPIC", "-shared", "-w",
        "-pthread", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math",
        "-fvisibility=hidden",
        f"-I{include}", f"-I{include.parent / 'ext' / 'robin_map' / 'include'}",
        f"-I{sysconfig.get_path('include')}", *(folder / ENGINE).glob("network_*.cpp"),
        *unchanged, "-o", folder / ENGINE / f"_engine{SUFFIX}",
    ]  # fmt: skip
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def first_failure(folder: Path) -> str | None:
    """Run the tests on the package in `folder` until one fails, and name it."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", *IGNORED]
    try:
        done = subprocess.run(
            [*command, "-k", "not parallel", "-p", "no:cacheprovider", *TESTS],
            env=environment, text=True, timeout=600, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "tests that do not end"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, flags=re.M)
    return failed[1] if failed else f"pytest's end with {done.returncode}"


def verdict(number: int, mutant: Mutant) -> str:
    """Say what became of a mutant."""
    folder = BUILD / str(number)
    if not build(folder, mutant):
        result = "does not compile"
    elif failure := first_failure(folder):
        result = f"killed by {failure}"
    else:
        result = "SURVIVED"
    shutil.rmtree(folder)
    return result


def main() -> None:
    """Draw, run, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=80, help="about so many (80)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (2)")
    parser.add_argument("--headers", nargs="+", default=HEADERS, metavar="GLOB")
    options = parser.parse_args()
    mutants = draw(options.count, options.seed, options.headers)
    counts: Counter[str] = Counter()
    with ThreadPoolExecutor(options.jobs) as pool:
        verdicts = pool.map(verdict, range(len(mutants)), mutants)
        for mutant, result in zip(mutants, verdicts, strict=True):
            print(f"{mutant}\n    {result}", flush=True)
            counts[result.split(" by ")[0]] += 1
    print(", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))


if __name__ == "__main__":
    main()
