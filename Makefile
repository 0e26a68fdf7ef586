# Every target says what it is doing while something builds. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp
# Parallel test workers. 0 runs the tests in one process.
WORKERS ?= 2
# Those of cluster tests, each with a control plane of its own (1 GB in the end, 1.5 GB at most). Such a test waits for more
# than half of its time, and two of them at once leave a third of two cores idle.
CLUSTER_WORKERS ?= $(if $(filter 2,$(WORKERS)),3,$(WORKERS))
# Passed on to pytest, for example ARGS='-k proxy -x'.
ARGS ?=

say = @printf '\033[1m==> %s\033[0m\n' "$(1)"

##@ Help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-zA-Z0-9_-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Setup

.PHONY: venv
venv: $(STAMP) ## Make the virtual environment from the hash-pinned locks

$(STAMP): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is too old or missing: Python 3.11 or newer is needed (name one with PYTHON=...)" >&2; exit 1; }
	$(call say,Making $(VENV) with the pinned packages (a minute at first))
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --progress-bar on --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: lock
lock: ## Resolve the dependencies of pyproject.toml anew (needs uv)
	$(call say,Resolving the dependencies)
	@uv pip compile pyproject.toml $(UV_FLAGS) -o requirements.lock
	@uv pip compile pyproject.toml --group dev $(UV_FLAGS) -c requirements.lock -o requirements-dev.lock
UV_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: clean
clean: ## Remove what was built here (the control plane's cache stays)
	@rm -rf build dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis operator/*.egg-info
	@$(MAKE) -C examples/ticket-triage clean
	@find operator tests -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Checks

.PHONY: lint
lint: $(STAMP) ## Style and likely bugs (ruff)
	$(call say,Linting)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: types
types: $(STAMP) ## Types (mypy, strict)
	$(call say,Checking types)
	@$(BIN)/mypy

.PHONY: contracts
contracts: $(STAMP) ## Which module may import which (import-linter)
	$(call say,Checking the import contracts)
	@PYTHONPATH=operator $(BIN)/lint-imports

.PHONY: unit
unit: $(STAMP) ## Tests of the pure code, and of the chart (helm)
	$(call say,Looking for helm (built once where there is none))
	@$(BIN)/python -m support.chart helm >/dev/null
	$(call say,Running the unit tests)
	@$(BIN)/python -m pytest tests/unit -n $(WORKERS) $(ARGS)

.PHONY: test
test: unit ## All unit and cluster tests, the latter on a local control plane
	$(call say,Building what the cluster tests need (once))
	@$(BIN)/python -m support.localcluster build
	@$(BIN)/python -m support.s3server
	@$(BIN)/python -m support.age
	$(call say,Running the cluster tests on a local control plane ($(CLUSTER_WORKERS) workers))
	@$(BIN)/python -m pytest tests/cluster -n $(CLUSTER_WORKERS) --dist loadgroup $(ARGS)

.PHONY: example
example: ## Tests of the example agent, in a virtual environment of its own
	$(call say,Testing the agent in examples/ticket-triage)
	@$(MAKE) -C examples/ticket-triage test ARGS='$(ARGS)' PYTHON='$(PYTHON)'

# The Python of the virtual environment, with the tests' support in reach.
cluster-up cluster-down cluster-status demo unit test: export PYTHONPATH := tests

##@ Local control plane

.PHONY: cluster-up
cluster-up: $(STAMP) ## Start a control plane on this machine and leave it running
	@$(BIN)/python -m support.localcluster up

.PHONY: cluster-down
cluster-down: $(STAMP) ## Stop it
	@$(BIN)/python -m support.localcluster down

.PHONY: cluster-status
cluster-status: $(STAMP) ## Say whether it runs, and where its kubeconfig is
	@$(BIN)/python -m support.localcluster status

.PHONY: demo
demo: $(STAMP) $(if $(filter kind,$(CLUSTER)),kind-up) ## Everything in one go, until Ctrl-C (ONCE=1: exit with the verdict; CLUSTER=kind)
	@$(if $(filter kind,$(CLUSTER)),KUBECONFIG=build/kind/$(KIND_CLUSTER).kubeconfig )$(BIN)/python -m support.demo $(if $(filter 1,$(ONCE)),--once)

##@ Generated files
GENERATED := crds charts/aiagent-operator/files/crds manifests/install.yaml docs/reference.md docs/settings.md
generate chart check-diff: export PYTHONPATH := tests

.PHONY: generate
generate: $(STAMP) ## Write what is made from the models, the settings and the chart
	$(call say,Generating $(GENERATED))
	@$(BIN)/python -m aiagent_operator.api.kinds crds
	@$(BIN)/python -m aiagent_operator.api.reference docs/reference.md
	@$(BIN)/python -m aiagent_operator.runtime.settings_reference docs/settings.md
	@$(BIN)/python -m support.chart crds manifest

.PHONY: chart
chart: $(STAMP) ## Lint the chart with every set of values that changes what it makes (helm)
	$(call say,Linting the chart)
	@$(BIN)/python -m support.chart lint

.PHONY: check-diff
check-diff: generate ## Fail where a generated file is not what is committed
	@test -z "$$(git status --porcelain -- $(GENERATED))" || \
	  { git --no-pager diff --stat -- $(GENERATED); git status --short -- $(GENERATED); \
	    echo "these files are not what \`make generate\` writes: commit them" >&2; exit 1; }

##@ Measures

bench: export PYTHONPATH := tests

.PHONY: bench
bench: $(STAMP) ## Take all measures into build/bench.json (NAME=<figure> takes one, docs/benchmarks.md)
	$(call say,Measuring on a local control plane (all of it takes half an hour on an idle machine))
	@$(BIN)/python -m support.localcluster build
	@$(BIN)/python -m bench $(NAME)

# The night of tests/cluster/test_night.py at the size that a large company has.
night: export PYTHONPATH := tests
night: export NIGHT_AGENTS ?= 3000
night: export NIGHT_SLOTS ?= 50
night: export NIGHT_KILLS ?= 5
night: export NIGHT_RUNS_FOR ?= 0s

.PHONY: night
night: $(STAMP) ## 3,000 agents due in one night, the operator killed 5 times; writes build/night-3000.json
	$(call say,Training $(NIGHT_AGENTS) agents on a local control plane (20 minutes on 2 idle cores))
	@$(BIN)/python -m support.localcluster build
	@$(BIN)/python -m pytest tests/cluster/test_night.py -s $(ARGS)

##@ kind

# The operator's image, and what it and the cluster are made from. Any registry that has these serves.
IMAGE ?= aiagent-operator:dev
PYTHON_IMAGE ?= python:3.11-slim
# Empty: the default of the kind in use.
KIND_NODE_IMAGE ?=
KIND_CLUSTER ?= aiagent-e2e
# For example --network=host where builds need the host's network to reach a package index.
BUILD_FLAGS ?=
# The example agent's image, which the end-to-end tests employ.
TRIAGE_IMAGE ?= ticket-triage:dev
image kind-up kind-down e2e: export PYTHONPATH := tests
kind-up kind-down e2e: export KIND_CLUSTER := $(KIND_CLUSTER)
kind-up: export KIND_NODE_IMAGE := $(KIND_NODE_IMAGE)
e2e: export IMAGE := $(IMAGE)
e2e: export TRIAGE_IMAGE := $(TRIAGE_IMAGE)

.PHONY: image
image: ## Build the operator's image (IMAGE, PYTHON_IMAGE, BUILD_FLAGS)
	$(call say,Building $(IMAGE) from $(PYTHON_IMAGE))
	@docker build -q $(BUILD_FLAGS) --build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) -t $(IMAGE) .

.PHONY: kind-up
kind-up: $(STAMP) image ## Create a kind cluster (KIND_NODE_IMAGE) and load the image into it
	@$(BIN)/python -m support.kindcluster up
	@$(BIN)/python -m support.kindcluster load $(IMAGE)

.PHONY: triage-image
triage-image: ## Build the image of the agent in examples/ticket-triage (TRIAGE_IMAGE, PYTHON_IMAGE, BUILD_FLAGS)
	$(call say,Building $(TRIAGE_IMAGE) from $(PYTHON_IMAGE))
	@$(MAKE) -C examples/ticket-triage image IMAGE='$(TRIAGE_IMAGE)' BASE_IMAGE='$(PYTHON_IMAGE)' BUILD_FLAGS='$(BUILD_FLAGS)'

.PHONY: e2e
e2e: kind-up triage-image ## End-to-end tests on kind: chart, samples, calls from inside pods, an agent that learns, a gateway
	@$(BIN)/python -m support.kindcluster load $(TRIAGE_IMAGE)
	$(call say,Building the gateway and the object store that the tests ask (once))
	@$(BIN)/python -m e2e.gateway
	@$(BIN)/python -m e2e.objectstore
	$(call say,Running the end-to-end tests on kind)
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

.PHONY: kind-down
kind-down: $(STAMP) ## Delete the kind cluster
	@$(BIN)/python -m support.kindcluster down
