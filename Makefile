# Everything a developer or CI runs. `make help` lists the targets.
#
# One wheel is built from the sources (compiling only what changed) and installed into
# .venv with the newest releases of its dependencies and into .venv-oldest with the
# oldest ones. Stamps under build/ and in the environments make second runs quick.

PYTHON ?= python3
JOBS ?= auto

VENV := .venv
OLDEST := .venv-oldest
WHEELS := build/release
SANITIZED := build/sanitized
CLANG := build/clang
CLANGXX ?= clang++
SITE := build/site
DIST := build/dist

ENGINE := $(wildcard $(foreach kind,cpp hpp,sklearn_backprop/engine/*.$(kind) sklearn_backprop/engine/*/*.$(kind)))
PACKAGE := $(shell find sklearn_backprop -name __pycache__ -prune -o ! -name '*.so' -print)
SOURCES := pyproject.toml README.md LICENSE $(PACKAGE)
WHEEL := $$(echo $(WHEELS)/wheel/*.whl)

# Python must import the installed package, never the folder `make` runs in: that one
# has no compiled engine.
export PYTHONSAFEPATH := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := -m pip --quiet

.DELETE_ON_ERROR:
.PHONY: help demo demo-dask test environments lint test-newest test-oldest sanitize clang docs benchmark wheel release clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed  ## install, then compare solvers and networks on real tables
	@$(VENV)/bin/python examples/compare_solvers.py
	@$(VENV)/bin/python examples/compare_networks.py

demo-dask: $(VENV)/.dask  ## the same on a cluster of two processes: a table in parts, fitted in parts
	@$(VENV)/bin/python examples/compare_dask.py

test:  ## everything CI runs
	@$(MAKE) --no-print-directory --jobs=2 environments
	@$(MAKE) --no-print-directory lint test-newest test-oldest

environments: $(VENV)/.test $(OLDEST)/.test build/.no-warnings

lint: $(VENV)/.test  ## style, types, workflows, and the engine without a compiler warning
	@echo "== lint: ruff, clang-format, mypy, workflows, compiler warnings"
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/clang-format --dry-run --Werror $(ENGINE)
	@$(VENV)/bin/mypy
	@$(call check_form,github-workflows,.github/workflows/*.yml)
	@$(call check_form,github-issue-config,.github/ISSUE_TEMPLATE/config.yml)
	@$(call check_form,github-issue-forms,$(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml)))
	@$(call check_form,citation-file-format,CITATION.cff)
	@$(VENV)/bin/zizmor --offline --quiet .github
	@$(MAKE) --no-print-directory build/.no-warnings

test-newest: $(VENV)/.test  ## the tests with the newest dependencies
	@$(call run_tests,newest,$(VENV),)

test-oldest: $(OLDEST)/.test  ## the tests with the oldest supported dependencies
	@$(call run_tests,oldest,$(OLDEST),-m "not once")

sanitize: $(SANITIZED)/.installed  ## the engine's tests under the address and undefined-behaviour sanitizers
	@echo "== tests of the engine under sanitizers"
	@LD_PRELOAD="$(call runtime,libasan.so) $(call runtime,libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	PYTHONPATH=$(SANITIZED)/site \
	$(VENV)/bin/python -m pytest --numprocesses=$(JOBS) $(SANITIZED_TESTS)

clang: $(CLANG)/.installed  ## the same tests with the engine built by clang, which traps undefined behaviour
	@echo "== tests of the engine built by clang"
	@PYTHONPATH=$(CLANG)/site $(VENV)/bin/python -m pytest --numprocesses=$(JOBS) $(SANITIZED_TESTS)

docs: $(VENV)/.docs  ## the site: guide, gallery and API, without a network; a warning or a dead link is an error
	@echo "== building the site"
	@OMP_NUM_THREADS=1 $(VENV)/bin/python -m sphinx -b html --fail-on-warning --keep-going --quiet \
	  --doctree-dir build/doctrees docs $(SITE)
	@$(VENV)/bin/python tools/check_links.py $(SITE)
	@echo "The site begins at $(SITE)/index.html"

benchmark: $(VENV)/.installed  ## time and memory beside scikit-learn
	@PYTHONPATH=benchmarks $(VENV)/bin/python benchmarks/speed.py linear
	@PYTHONPATH=benchmarks $(VENV)/bin/python benchmarks/speed.py network --jobs 1

wheel: $(WHEELS)/.built  ## build the wheel
	@echo "$(WHEEL)"

release: $(VENV)/.release  ## sdist and manylinux wheel from a clean clone, in build/dist, installed as users install them
	@$(VENV)/bin/python tools/make_release.py $(DIST)

clean:  ## remove everything that make made
	rm -rf build $(VENV) $(OLDEST) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# $(call check_form,schema,files)
check_form = $(VENV)/bin/check-jsonschema --quiet --builtin-schema vendor.$1 $2

# $(call run_tests,name,environment,options): a process on every core, and tests of
# threads say how many.
define run_tests
echo "== tests with the $1 dependencies:" \
  $$($2/bin/python -m pip list --format=freeze 2>/dev/null | grep -E '^(numpy|scipy|scikit-learn)=')
OMP_NUM_THREADS=1 $2/bin/python -m pytest --numprocesses=$(JOBS) --dist=loadgroup $3
endef

# Where the compiler keeps a library of its own.
runtime = $(shell $(CXX) -print-file-name=$1)

# The tests that are nearest to the engine.
SANITIZED_TESTS := $(or $(wildcard tests/engine tests/linear_model),tests)

$(VENV)/.created:
	@sh tools/check_prerequisites.sh "$(PYTHON)"
	@echo "== making $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(OLDEST)/.created: $(VENV)/.created
	@echo "== making $(OLDEST)"
	@$(PYTHON) -m venv --clear $(OLDEST)
	@touch $@

$(VENV)/.build-tools: $(VENV)/.created tools/requirements.py
	@echo "== installing what the build needs"
	@$(VENV)/bin/python $(PIP) install $$($(VENV)/bin/python tools/requirements.py build)
	@missing=$$($(VENV)/bin/python tools/requirements.py cmake); \
	  [ -z "$$missing" ] || $(VENV)/bin/python $(PIP) install $$missing
	@touch $@

$(WHEELS)/.built: $(VENV)/.build-tools $(SOURCES)
	@sh tools/check_prerequisites.sh "$(PYTHON)"
	@echo "== building the wheel"
	@rm -rf $(WHEELS)/wheel
	@$(call build_wheel,$(WHEELS))
	@touch $@

# $(call build_wheel,folder,further options of pip): in this very environment, because
# an isolated one is another each time and so would have to compile everything.
build_wheel = $(VENV)/bin/python $(PIP) wheel . --no-deps --no-build-isolation --wheel-dir $1/wheel \
  --config-settings=build-dir=$1/cmake $2

# Beside the build, which leaves one core idle.
$(VENV)/.dependencies: $(VENV)/.build-tools pyproject.toml
	@echo "== installing the newest dependencies"
	@$(call install_requirements,$(VENV),newest plot)
	@touch $@

$(OLDEST)/.dependencies: $(OLDEST)/.created $(VENV)/.build-tools pyproject.toml
	@echo "== installing the oldest dependencies, and what tests need"
	@$(call install_requirements,$(OLDEST),oldest test)
	@touch $@

$(VENV)/.installed: $(VENV)/.dependencies $(WHEELS)/.built
	@$(call install_wheel,$(VENV))
	@touch $@

$(VENV)/.dask: $(VENV)/.installed
	@echo "== installing Dask"
	@$(call install_requirements,$(VENV),newest dask)
	@touch $@

$(VENV)/.test: $(VENV)/.installed
	@echo "== installing what tests and lint need"
	@$(call install_requirements,$(VENV),newest test lint)
	@touch $@

$(VENV)/.docs: $(VENV)/.test
	@echo "== installing what the site needs"
	@$(call install_requirements,$(VENV),newest test docs)
	@touch $@

$(VENV)/.release: $(VENV)/.build-tools pyproject.toml
	@echo "== installing what a release needs"
	@$(VENV)/bin/python $(PIP) install $$($(VENV)/bin/python tools/requirements.py newest release)
	@touch $@

$(OLDEST)/.test: $(OLDEST)/.dependencies $(WHEELS)/.built
	@$(call install_wheel,$(OLDEST))
	@touch $@

# $(call install_requirements,environment,which)
install_requirements = $1/bin/python $(PIP) install \
  $$($(VENV)/bin/python tools/requirements.py $2)

# $(call install_wheel,environment): by force, since its version does not change with
# every edit.
install_wheel = echo "== installing sklearn_backprop in $1" && \
  $1/bin/python $(PIP) install --force-reinstall --no-deps "$(WHEEL)"

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g
$(SANITIZED)/.installed: $(VENV)/.test $(SOURCES)
	@echo "== building the engine with sanitizers"
	@rm -rf $(SANITIZED)/site $(SANITIZED)/wheel
	@CXXFLAGS="$(SANITIZE)" $(call build_wheel,$(SANITIZED),--config-settings=install.strip=false)
	@$(VENV)/bin/python $(PIP) install --no-deps --target $(SANITIZED)/site $(SANITIZED)/wheel/*.whl
	@touch $@

# A trap needs no run-time library beside the module; alignment is among what it guards.
$(CLANG)/.installed: $(VENV)/.test $(SOURCES)
	@echo "== building the engine with clang"
	@$(call check_warnings,$(CLANGXX))
	@rm -rf $(CLANG)/site $(CLANG)/wheel
	@CXX=$(CLANGXX) CXXFLAGS="-fsanitize=undefined -fsanitize-trap=undefined" $(call build_wheel,$(CLANG))
	@$(VENV)/bin/python $(PIP) install --no-deps --target $(CLANG)/site $(CLANG)/wheel/*.whl
	@touch $@

# $(call check_warnings,compiler): it reads every source with all warnings, as errors.
define check_warnings
for source in $(filter %.cpp,$(ENGINE)); do \
	  $1 -std=c++17 -fsyntax-only -pthread -Wall -Wextra -Wconversion -Werror \
	    -isystem $$($(VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("include"))') \
	    -isystem $$($(VENV)/bin/python -m nanobind --include_dir) $$source || exit 1; \
	done
endef

build/.no-warnings: $(ENGINE) $(VENV)/.build-tools
	@$(call check_warnings,$(CXX))
	@touch $@
