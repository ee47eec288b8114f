# Every target makes and uses .venv. A torch that is already there is used.
# The default torch is the 5 GB CUDA build; for the CPU-only one see README.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SEED ?=
BENCH ?=

.PHONY: venv run stack chaos check test bench kafka lock generate clean

venv: $(READY)

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv \
	  $$($(PYTHON) -c 'import torch' 2>/dev/null && echo --system-site-packages) $(VENV)
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/python -m pip install -q 'torch>=2.6,<3'
	$(BIN)/python -m pip install -q --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --no-deps -e .
	touch $@

# The main job: server, two stations, two stories. HEADLESS=1 ends by itself; SEED=N repeats a run.
run: $(READY)
	$(BIN)/sincewhen demo $(if $(HEADLESS),--headless --json build/demo.json) $(if $(SEED),--seed $(SEED))

# The same through Apache Kafka, two processors, correlator, writer, store and console. Needs Java 17 and Maven.
stack: $(READY) kafka
	$(BIN)/sincewhen demo --distributed $(if $(HEADLESS),--headless --json build/demo.json) $(if $(SEED),--seed $(SEED))

# A living stack, disturbed: SEED=N ROUNDS=M.
chaos: $(READY) kafka
	$(if $(SEED),SEED=$(SEED)) ROUNDS=$(or $(ROUNDS),100) $(BIN)/pytest -q -s --show-capture=no tests/scenarios/test_chaos.py

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/deptry .
	$(BIN)/pytest -q tests/architecture tests/spec

test: check
	tests/install-parts
	$(BIN)/pytest -q --ignore=tests/architecture --ignore=tests/spec tests

# What is finished stays in build/bench. BENCH="--quick", "--only cost", "--help".
bench: $(READY)
	$(BIN)/python -m benchmarks $(BENCH)

# Apache Kafka's jars, once, into the user's cache: for tests and `sincewhen.stack`. Needs Maven.
kafka:
	deploy/kafka/fetch

# torch and what only torch's builds need stay out of the lock: its CPU build has other hashes.
UNLOCKED := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cccl nvidia-cuda-cupti \
  nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver \
  nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate -q $(UNLOCKED:%=--no-emit-package %) -o requirements.lock

generate: $(READY)
	PATH=$(abspath $(BIN)):$$PATH $(BIN)/python -m grpc_tools.protoc -Ischemas \
	  --python_out=schemas/sincewhen_schemas --mypy_out=schemas/sincewhen_schemas station_record.proto
	$(BIN)/python schemas/generate.py

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis
