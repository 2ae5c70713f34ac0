#!/bin/sh
# One clear sentence for the first thing that the build needs and this machine lacks.
# Usage: check_prerequisites.sh PYTHON
python=${1:-python3}

missing() {
  printf '\n%s\n\n' "$1" >&2
  exit 1
}
python_has() { "$python" -c "$1" >/dev/null 2>&1; }

command -v "$python" >/dev/null 2>&1 ||
  missing "Python is missing: there is no '$python'. Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python ..."
python_has 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  missing "Python is too old: '$python' is $("$python" --version 2>&1). Install Python 3.11 or newer, or name yours: make PYTHON=/path/to/python ..."
python_has 'import ensurepip, venv' ||
  missing "Python's venv module is missing from '$python'. Install it (Debian, Ubuntu: apt install python3-venv) and try again."
python_has 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
  missing "Python's C headers (Python.h) are missing for '$python'. Install them (Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel) and try again."

for compiler in ${CXX:-c++ g++ clang++}; do
  if echo '#include <vector>
int main() { if constexpr (true) return 0; }' |
    "$compiler" -std=c++17 -x c++ -fsyntax-only - >/dev/null 2>&1; then
    exit 0
  fi
done
missing "A C++17 compiler is missing: '${CXX:-c++}' is not there or does not compile C++17. Install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install), or name yours: CXX=/path/to/compiler make ..."
