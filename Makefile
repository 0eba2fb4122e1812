# make demo    set everything up in .venv and show what tmebox does
# make test    set everything up and run the tests, on all cores; FAST=1: in about a minute
# make soak    a million sandboxes, 100,000 traps, 10,000 timeouts: minutes
# make machines the kernel driver in virtual machines, at length: a minute of random calls, mutants
# make cxx     packages in C++ with their own tests, and libc++'s: three quarters of an hour
# make servers NGINX, Lighttpd and Redis from sources, natively and sandboxed: minutes
# make packages packages' own tests, and what takes over a minute to configure or build twice: many minutes
# make boxes   examples/boxes: ten libraries, boxed, beside the machine's own: minutes
# make campaign  look for ways out of a sandbox for as long as given: SECONDS=… or HOURS=…, and if wanted
#              PARTS=…, SEED=…, JOBS=…, STATE=file to go on from, REPORT=file
# make check   format, lint, types and tests
# make wheels  dist/: the source distribution and a wheel for each Python here (or PYTHONS="PATH…"), each
#              installed in a fresh environment and tried: many minutes
# make python  build the Python guest (MicroPython, from Debian's source package) that tmebox.python runs
# make docs    site/: the documentation as web pages, with every link checked
# make clean   remove everything that make made (the libc cache in the user's cache directory stays)
#
# Needs Python 3.10 or later with its headers, and make. No C compiler: where there is none, the native
# core is built by the clang that comes with the toolchain's Python package.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
TRIES := 3
# Files in the order of tests/slowness.py.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder
FAST_ONLY := $(if $(FAST),-m 'not soak and not packaging and not machines and not cxx and not boxes and not servers and not packages and not network and not slow')

NATIVE := setup.py $(filter-out native/abi.h,$(wildcard native/*.[chS] native/*/*.[chS])) src/tmebox/abi.py

define install
tries=$(TRIES); \
packages=$$($(BIN)/python tools/requirements.py pyproject.toml $(1)) || exit 1; \
until echo "$$packages" | $(PIP) install --retries 10 --timeout 60 -r /dev/stdin; do \
    tries=$$((tries - 1)); \
    if [ $$tries -eq 0 ]; then echo "make: the packages could not be installed" >&2; exit 1; fi; \
    echo "Trying again" >&2; sleep 5; \
done
endef

# Tests start compilers thousands of times. Without bytecode each of them would compile the toolchain first.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak machines cxx boxes packages servers campaign check format wheels python docs clean

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

demo: $(VENV)/.built
	@$(BIN)/tmebox demo

test: $(VENV)/.built
	@$(BIN)/python -m pytest $(PARALLEL) $(FAST_ONLY) $(PYTEST_OPTIONS)

soak: $(VENV)/.built
	@$(BIN)/python -m pytest -m soak tests/soak -s -o faulthandler_timeout=14400 $(PYTEST_OPTIONS)

machines: $(VENV)/.built
	@$(BIN)/python -m pytest -m "machines or not machines" tests/driver/test_virtual_machines.py -s $(PYTEST_OPTIONS)

cxx: $(VENV)/.built
	@$(BIN)/python -m pytest -m cxx tests/cxx tests/verify -s -o faulthandler_timeout=14400 $(PYTEST_OPTIONS)

servers: $(VENV)/.built
	@$(BIN)/python -m pytest -m servers tests/programs -s -o faulthandler_timeout=14400 $(PYTEST_OPTIONS)

packages: $(VENV)/.built
	@$(BIN)/python -m pytest -m packages tests/programs tests/bench -s -o faulthandler_timeout=14400 $(PYTEST_OPTIONS)

boxes: $(VENV)/.built
	@$(BIN)/python -m pytest -m "boxes or not boxes" tests/boxes $(PYTEST_OPTIONS)

campaign: $(VENV)/.built
	@$(BIN)/python -m tests.campaign.run $(foreach option,SECONDS HOURS PARTS SEED JOBS STATE REPORT,\
	    $(if $($(option)),--$(option) "$($(option))"))

check: $(VENV)/.built
	@echo "Checking format, lint and types"
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_OPTIONS)

wheels: $(VENV)/.built $(VENV)/.extra-package
	@$(BIN)/python tools/wheels.py dist
	@$(BIN)/python -m pytest -m packaging tests/packaging $(PYTEST_OPTIONS)

python: $(VENV)/.built
	@$(BIN)/python tools/micropython.py

docs: $(VENV)/.built $(VENV)/.extra-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "The documentation is at site/index.html"

format: $(VENV)/.packages
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

$(VENV)/.created: tools/make-venv
	@PYTHON="$(PYTHON)" tools/make-venv $(VENV)
	@touch $@

# Everything is installed before the package itself, which is then built without isolation: so its build
# finds the toolchain's clang when the machine has no compiler.
$(VENV)/.packages: pyproject.toml $(VENV)/.created
	@echo "Installing packages"
	@$(call install,)
	@touch $@

# What one more of pyproject.toml's extras needs.
$(VENV)/.extra-%: pyproject.toml $(VENV)/.packages
	@echo "Installing packages ($*)"
	@$(call install,$*)
	@touch $@

$(VENV)/.built: $(NATIVE) bench/pyproject.toml $(VENV)/.packages
	@echo "Building the native core"
	@$(PIP) install --no-build-isolation --no-deps --no-index --editable . --editable bench
	@touch $@

clean:
	@rm -rf $(VENV) build dist site src/tmebox/toolchain/shipped src/tmebox/python/shipped .pytest_cache .mypy_cache .ruff_cache .hypothesis src/*.egg-info bench/*.egg-info
	@rm -f src/tmebox/_native*.so native/abi.h
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
