# make run    start the bot (no token: the local chat page opens)
# make demo   play an incident on the simulated host
# make test   everything: set up, check, real engine, tests with coverage
.DEFAULT_GOAL := run
.PHONY: run demo setup check test testbed bench lock clean

PYTHON := .venv/bin/python
# what a start compiles is kept: otherwise each of the many starts in the tests compiles everything anew
export PYTHONDONTWRITEBYTECODE :=
ENV_FILE := $(if $(wildcard .env),--env-file .env)
TYPED := $(wildcard core integrations knowledge agent bot playground web infraguardian.py cli.py tests bench)
UV := .cache/uv/bin/uv
COMPILE := $(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" --quiet

run:
	@setup/venv.sh requirements.lock
	@exec $(PYTHON) -m cli $(ENV_FILE) serve

demo:
	@setup/venv.sh requirements.lock
	@exec $(PYTHON) -m cli $(ENV_FILE) demo

setup:
	@setup/venv.sh requirements-dev.lock

check: setup
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy $(TYPED)
	$(if $(wildcard tests/house/test_*.py),$(PYTHON) -m pytest -n0 tests/house)

testbed: setup
	$(PYTHON) -m tests.testbed up

test: check testbed
	rm -f .coverage .coverage.*
	$(PYTHON) -m pytest -n 4 --dist worksteal --cov --cov-report=term:skip-covered --cov-fail-under=85 \
	|| { echo 'What failed beside others is tried once more, alone:'; \
		$(PYTHON) -m pytest -n 0 --last-failed --last-failed-no-failures none; }

bench: testbed
	@missed=0; for file in bench/bench_*.py; do $(PYTHON) -m bench.$$(basename "$$file" .py) || missed=1; done; exit $$missed

lock: $(UV)
	$(COMPILE) -o requirements.lock
	$(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock

$(UV): | setup
	$(PYTHON) -m venv .cache/uv
	.cache/uv/bin/python -m pip install --quiet --disable-pip-version-check uv

clean:
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .coverage .coverage.* build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
