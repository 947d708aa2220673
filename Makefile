# `make run` and `make test` do all their own set-up. PYTHON picks the interpreter, VENV where it goes.
PYTHON ?= python3
VENV ?= .venv
# One more than cores: tests wait for sockets, disks and programs.
WORKERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
PYTEST = $(VENV)/bin/python -m pytest -q

export PIP_CONSTRAINT = constraints.txt
export PIP_BUILD_CONSTRAINT = constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run demo test test-real test-flood explore lint types layers check bench bench-devices bench-policy bench-rpc bench-shell siege docs screenshots clean

run: $(VENV)/.run  ## serve this checkout as a site
	$(VENV)/bin/sshhome serve

demo: $(VENV)/.run  ## serve a throw-away house
	$(VENV)/bin/sshhome demo

test: $(VENV)/.dev  ## all tests that need nothing but Python
	$(PYTEST) -n $(WORKERS) $(ARGS)

test-real: $(VENV)/.dev  ## tests through real clients and servers; `.ci/run` installs those
	$(PYTEST) -n auto -m real $(ARGS)

test-flood: $(VENV)/.dev  ## attacks that take longer than anybody likes to wait
	$(PYTEST) -n auto -m flood $(ARGS)

explore: $(VENV)/.dev  ## the tests that try examples, with examples of their own
	$(PYTEST) -n auto -m hypothesis --hypothesis-profile=explore $(ARGS)

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy

layers: $(VENV)/.dev
	$(VENV)/bin/lint-imports

check: lint types layers test  ## what CI runs

bench: $(VENV)/.dev  ## sshhome beside bare asyncssh and OpenSSH's sshd, as ratios
	$(VENV)/bin/python -m benchmarks

bench-devices: $(VENV)/.dev  ## 5,000 devices behind Mosquitto, 200 lamps at once, 1,000 changes a second
	$(VENV)/bin/python -m benchmarks.devices

bench-policy: $(VENV)/.bench  ## what a decision costs beside pycasbin's, as ratios
	$(VENV)/bin/python -m benchmarks.policy

bench-rpc: $(VENV)/.dev  ## an order over the channel of an app, beside exec, and beside sshd behind a ControlMaster
	$(VENV)/bin/python -m benchmarks.rpc

bench-shell: $(VENV)/.dev  ## the shell beside a stock prompt and bash: keys, echoes and memory
	$(VENV)/bin/python -m benchmarks.shell

siege: $(VENV)/.dev  ## a login in peace, and while the door is flooded
	$(VENV)/bin/python -m benchmarks.siege

docs: $(VENV)/.dev  ## write what is generated from the registry
	$(VENV)/bin/sshhome orders > docs/orders.md
	$(VENV)/bin/sshhome orders --openrpc > docs/openrpc.json
	$(VENV)/bin/sshhome orders --python > orders.new.py
	$(VENV)/bin/ruff format --quiet orders.new.py
	mv orders.new.py sshhome/client/orders.py

screenshots: $(VENV)/.dev  ## take the pictures of the docs, through the real OpenSSH client
	$(VENV)/bin/python docs/screenshots.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv does not work; on Debian: apt install python3-venv"; exit 1; }

$(VENV)/.run: $(VENV)/bin/python pyproject.toml constraints.txt
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --editable ".[mqtt,homeassistant]"
	touch $@

$(VENV)/.dev: $(VENV)/.run
	$(VENV)/bin/python -m pip install --quiet --group dev
	touch $@

$(VENV)/.bench: $(VENV)/.run
	$(VENV)/bin/python -m pip install --quiet --group bench
	touch $@
