# make demo   run the main job on real input          make test   the default test suite
# make check  lint, types, import contracts           make bench  the benchmark table
# make slow   large builds from upstream's sources, the longest chains
# make clients  real clients for the integration tests      make crash  every write of the repository service, stopped once

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=
# The cache of the demo and of nothing else, so that a second run shows what is kept.
DEMO ?= build/demo
DEBIAN ?= build/debian
DEMO_REPO ?= build/demo-repo

.PHONY: install demo demo-repo debian-images debian-random test slow check bench clients conformance crash differential lock schema clean

install: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.lock pyproject.toml scripts/bootstrap
	@scripts/bootstrap "$(PYTHON)" "$(VENV)"
	@touch $@

demo: install
	@$(BIN)/python scripts/demo.py "$(DEMO)"

# A day of the repository service, with its pages; stays up with ARGS=--serve.
demo-repo: install
	@$(BIN)/python scripts/demo_repo.py "$(DEMO_REPO)" $(ARGS)

# Imports real packages, builds the images of examples/debian, uses them, compares their sizes.
debian-images: install
	@$(BIN)/python scripts/debian_images.py "$(DEBIAN)"

# Every version of three suites, and 500 packages drawn by a fixed seed: converted, or refused with a reason.
debian-random: install
	@DEBIAN_NAMES=1000000 DEBIAN_RANDOM=500 $(BIN)/python -m pytest tests/integration/test_debian_suites.py -rP

test: install
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

# Builds of bash, OpenSSL and curl from upstream's sources; minutes of compiling.  The repository service on SeaweedFS.  A chain of
# 100,000 dependencies.
slow: install
	@$(BIN)/python -m pytest -m slow -rs tests tests/unit/solver

check: install
	@$(BIN)/ruff check src tests benchmarks scripts
	@$(BIN)/ruff format --check src tests benchmarks scripts
	@$(BIN)/mypy
	@$(BIN)/lint-imports

conformance: install
	@$(BIN)/python tests/conformance/score.py ../shared/conformance

# Random worlds put to the real `apk` and, small ones, to an exhaustive search; random definitions put to `melange` and `apko`.
differential: install
	@$(BIN)/python -m tests.differential.apk --count 20000
	@$(BIN)/python -m tests.differential.exhaustive --count 5000
	@$(BIN)/python -m tests.differential.melange --count 1000
	@$(BIN)/python -m tests.differential.melange_builds
	@$(BIN)/python -m tests.differential.apko --worlds 20 --cases 30

crash: install
	@$(BIN)/python -m tests.crash_points
	@$(BIN)/python -m tests.kill_points --rounds 40
	@$(BIN)/python -m tests.package_kill_points --rounds 25

bench: install
	@$(BIN)/python benchmarks/run.py

clients:
	@scripts/clients

# Needs `uv` on PATH; run after changing the dependencies in pyproject.toml.
lock:
	uv pip compile --universal --generate-hashes --python-version 3.11 pyproject.toml --no-emit-index-url --no-emit-find-links --no-header -q -o requirements/runtime.lock
	uv pip compile --universal --generate-hashes --python-version 3.11 pyproject.toml --group dev --no-emit-index-url --no-emit-find-links --no-header -q -o requirements/dev.lock

# After changing the table of keys in image/configuration/keys.py.
schema: install
	@$(BIN)/python scripts/write_schema.py

clean:
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
