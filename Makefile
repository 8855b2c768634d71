# The list of commands: continuous integration, the docs and people all call these.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := sojourn sojourn_operator sojourn_trainer sojourn_serving e2e.clusters
PYTEST_ARGS ?=
AZURITE := 3.37.0

# Trust the certificate authorities that the machine trusts, as pip does.
export UV_SYSTEM_CERTS ?= 1

# The stamps carry the digest of what was installed: a checkout that changes only times installs nothing.
digest = $(shell { $(PYTHON) -VV; cat $(1); } 2>/dev/null | sha256sum | cut -c1-16)
DEPENDENCIES := $(VENV)/.dependencies-$(call digest,requirements/build.txt requirements/dev.txt)
PROJECT := $(VENV)/.project-$(call digest,requirements/build.txt requirements/dev.txt pyproject.toml)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(PROJECT) ## make .venv with the locked packages and this project (PYTHON=python3.12 for another interpreter)

$(DEPENDENCIES):
	test -x $(BIN)/python && test "$$($(BIN)/python -VV)" = "$$($(PYTHON) -VV)" || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/build.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/dev.txt
	-$(BIN)/python -m compileall -q -j 2 $(VENV)/lib # importing TensorFlow takes half as long
	rm -f $(VENV)/.dependencies-*
	touch $@

$(PROJECT): | $(DEPENDENCIES)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/.project-*
	touch $@

# Azure Blob Storage's emulator comes from npm; where that is missing, the tests that need it skip and say so.
EMULATORS := $(if $(shell command -v npm),$(VENV)/.azurite-$(AZURITE))
$(VENV)/.azurite-$(AZURITE): | $(DEPENDENCIES)
	npm install --silent --no-audit --no-fund --ignore-scripts --global --prefix $(CURDIR)/$(VENV) azurite@$(AZURITE)
	touch $@

.PHONY: setup-system
setup-system: ## as root, install missing Debian packages; otherwise say which are missing
	@missing=$$(while read -r command packages; do \
		case "$$command" in ''|'#'*) continue ;; esac; \
		command -v "$$command" >/dev/null 2>&1 || printf '%s ' "$$packages"; \
	done < requirements/system.txt); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	else \
		echo "setup-system: missing here, and some tests may skip for it: $$missing" >&2; \
	fi

.PHONY: requirements
requirements: ## compile requirements/*.txt again (UPGRADE=--upgrade for newer versions)
	$(call compile,dev,pyproject.toml requirements/cpu.in --all-extras --override requirements/override.txt)
	$(call compile,build,requirements/build.in $(SAME))
	$(call compile,base,pyproject.toml $(SAME))
	$(call compile,operator,pyproject.toml --extra operator $(SAME))
	$(call compile,mover,pyproject.toml --extra mover $(SAME))
	$(call compile,tensorflow,pyproject.toml requirements/cpu.in $(SAME))
	$(call compile,trainer,pyproject.toml requirements/cpu.in --extra trainer --override requirements/override.txt $(SAME))
	$(call compile,serving,pyproject.toml requirements/cpu.in --extra serving --override requirements/override.txt $(SAME))

SAME := --constraint requirements/dev.txt
compile = $(BIN)/uv pip compile --quiet $(2) --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make requirements" $(UPGRADE) --output-file requirements/$(1).txt

.PHONY: demo
demo: setup-system setup ## train, lose a worker, move, go on, export, serve, predict: a few minutes
	$(BIN)/python demo/run.py

.PHONY: test
test: setup-system setup $(EMULATORS) clusters-build ## every test this machine can run, and a sample of the long ones
	@failed=0; \
	run() { echo "pytest $$*"; $(BIN)/python -m pytest -m "not long" "$$@" $(PYTEST_ARGS) || [ $$? = $(NOTHING_SELECTED) ] || failed=1; }; \
	run -n 2 --dist loadfile $(SMALL_TESTS); \
	run $(LARGE_TESTS); \
	exit $$failed

# The small ones share nothing and run in two processes; the others start clusters and Ray, which they share. PYTEST_ARGS
# may leave nothing of the one or the other.
SMALL_TESTS := tests/unit tests/manifests tests/charts
LARGE_TESTS := tests/crash tests/integration tests/e2e
NOTHING_SELECTED := 5

.PHONY: test-long
test-long: setup-system setup $(EMULATORS) clusters-build ## the whole of the long matrices: crash points, races, faults
	$(BIN)/python -m pytest -m long $(PYTEST_ARGS)

.PHONY: test-fast
test-fast: setup ## unit and manifest tests without TensorFlow and Ray
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit tests/manifests tests/charts -m "not tensorflow and not ray and not slow and not long and not e2e" $(PYTEST_ARGS)

.PHONY: bench-steps bench-launch bench-migration bench-operator
bench-steps: setup ## time of a step: ours, a plain loop, Ray's TensorflowTrainer (to benchmarks/out/)
bench-launch: setup ## time to the first step, in parts, and from kill -9 to the next one
bench-migration: setup ## downtime of a migration between test clusters, and of delete + rclone + start by hand
bench-steps bench-launch bench-migration: bench-%:
	$(BIN)/python benchmarks/$*.py
bench-operator: setup ## the operator with 1,000 jobs and a real kube-apiserver: latency, requests, memory
	$(BIN)/python benchmarks/operator_scale.py

.PHONY: bench-transfer bench-delta
bench-transfer: setup ## a run carried over a link, beside a null pipeline, rclone, rsync and aria2 (BENCH_ARGS=--megabytes=4096)
	$(BIN)/python benchmarks/transfer.py $(BENCH_ARGS)
bench-delta: setup ## bytes for a checkpoint when the target has an older one, beside rsync, zstd --patch-from, restic and borg
	$(BIN)/python benchmarks/delta.py $(BENCH_ARGS)

.PHONY: bench-save
bench-save: setup ## what saving costs training: ours, CheckpointManager, BackupAndRestore, Orbax (BENCH_ARGS=--megabytes=1200)
	$(BIN)/python benchmarks/save.py $(BENCH_ARGS)

.PHONY: bench-restore
bench-restore: setup ## from process start to the first step after a restore: ours, TensorFlow, Keras, Orbax; fio (BENCH_ARGS=--megabytes=1200)
	$(BIN)/python benchmarks/restore.py $(BENCH_ARGS)

.PHONY: bench-sign
bench-sign: setup ## sign and verify a checkpoint: ours, model-signing, sha256sum, a null pipeline (BENCH_ARGS=--megabytes=512)
	$(BIN)/python benchmarks/sign.py $(BENCH_ARGS)

.PHONY: bench-crash
bench-crash: setup ## kill, fail and cut the power at every system call of the core writer (CRASH_ARGS=--every=50: a sample)
	PYTHONPATH=tests $(BIN)/python benchmarks/crashes.py $(CRASH_ARGS)

.PHONY: lint
lint: setup ## style, types, import contracts, drift of generated files
	@failed=0; run() { echo "$$*"; "$$@" || failed=1; }; \
	run $(BIN)/ruff check .; \
	run $(BIN)/ruff format --check .; \
	run $(BIN)/mypy $(PACKAGES:%=-p %); \
	run $(BIN)/lint-imports; \
	run $(BIN)/python -m sojourn.api.generate --check; \
	run $(BIN)/python charts/generate.py --check $(HELM); \
	exit $$failed

.PHONY: format
format: setup ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Helm is the one in PATH, or the one that clusters-up has built.
HELM = $(addprefix --helm ,$(lastword $(sort $(wildcard $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sojourn/bin/helm-*/helm)) \
	$(shell command -v helm)))

.PHONY: manifests
manifests: setup ## write CRDs, JSON schemas, the field reference and the chart's rules from the Python models
	$(BIN)/python -m sojourn.api.generate
	$(BIN)/python charts/generate.py $(HELM)

.PHONY: docs
docs: manifests ## write the generated pages and check every link
	$(BIN)/python -m sojourn.cli.reference > docs/reference/cli.md
	$(BIN)/python -m pytest -q tests/unit/test_docs.py

ENGINE ?= $(firstword $(foreach tool,buildah docker,$(if $(shell command -v $(tool)),$(tool))))
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE_PREFIX ?= sojourn
IMAGE_ARGS ?=

.PHONY: image-operator image-mover image-trainer image-serving
image-operator: ## build the operator's image (ENGINE=buildah|docker, IMAGE_PREFIX=, IMAGE_ARGS=)
image-mover: ## build the image of the pods that probe stores and carry runs
image-trainer: ## build the trainer's image
image-serving: ## build the model server's image
image-operator image-mover image-trainer image-serving: image-%:
	$(if $(ENGINE),,$(error neither buildah nor docker is installed))
	$(ENGINE) build $(if $(filter %buildah,$(ENGINE)),--layers) --target $* --tag $(IMAGE_PREFIX)-$*:$(VERSION) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) $(IMAGE_ARGS) .

CLUSTERS := PYTHONPATH=tests $(BIN)/python -m e2e.clusters

.PHONY: clusters-up clusters-down clusters-status clusters-build images
clusters-up: setup-system setup ## as root, bring up two real Kubernetes clusters, east and west, for the tests
clusters-down: setup ## remove them: no process, mount, link or control group stays
clusters-status: setup ## say whether they run, and where their kubeconfigs are
clusters-build: setup-system setup ## build their programs and images, as far as this machine can (minutes when nothing is cached)
clusters-up clusters-down clusters-status clusters-build: clusters-%:
	$(CLUSTERS) $*
images: setup-system setup ## build the images whose inputs changed, push them to the clusters' registry, print their references
	$(CLUSTERS) images

.PHONY: clean
clean: ## remove what these commands made, .venv included
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
