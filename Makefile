# Every command of the project. `make` alone prints this list.

PYTHON ?= python3
BUILD := build
VENV := .venv
ENGINE_VENV := .venv-engine
BENCH_VENV := .venv-bench
CHECKOV_VENV := .venv-checkov
RUN := $(VENV)/bin/python
CHROMIUM ?= $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name) 2>/dev/null)))
EXAMPLE ?= terraform/examples/minimal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- Environments ---

# One line for each thing that is set up; what pip and npm say is shown only when they fail.
QUIETLY := local/quietly.sh
make_venv = sh -c '$(PYTHON) -m venv $(1) && \
	$(1)/bin/python -m pip install --disable-pip-version-check --require-hashes -r $(2)'

# A missing program is a sentence at the start, not a failure in the middle.
NEEDS_PYTHON = $(if $(wildcard $(VENV)/.ready),,$(PYTHON))
.PHONY: needs-terraform needs-all
needs-terraform:
	@local/needs.sh $(NEEDS_PYTHON) terraform

needs-all:
	@local/needs.sh $(NEEDS_PYTHON) terraform-test node git

$(VENV)/.ready: requirements/dev.lock
	@local/needs.sh $(PYTHON)
	@$(QUIETLY) "Install the tools and libraries" $(call make_venv,$(VENV),requirements/dev.lock)
	@touch $@

$(ENGINE_VENV)/.ready: requirements/engine.lock
	@local/needs.sh $(PYTHON)
	@$(QUIETLY) "Install the local AWS" $(call make_venv,$(ENGINE_VENV),requirements/engine.lock)
	@touch $@

$(BENCH_VENV)/.ready: requirements/bench.lock
	@local/needs.sh $(PYTHON)
	@$(QUIETLY) "Install what the benchmark compares with" $(call make_venv,$(BENCH_VENV),requirements/bench.lock)
	@touch $@

$(CHECKOV_VENV)/.ready: requirements/checkov.lock
	@local/needs.sh $(PYTHON)
	@$(QUIETLY) "Install the scanner of Terraform files" $(call make_venv,$(CHECKOV_VENV),requirements/checkov.lock)
	@touch $@

node_modules/.ready: package-lock.json
	@local/needs.sh node
	@$(QUIETLY) "Install the validator of state machines" npm ci --no-fund --no-audit
	@touch $@

.PHONY: setup
setup: $(VENV)/.ready $(ENGINE_VENV)/.ready ## Make the Python environments

.PHONY: lock
lock: ## Write the lock files anew
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file requirements/dev.lock
	uv pip compile requirements/engine.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file requirements/engine.lock
	uv pip compile pyproject.toml --group bench --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file requirements/bench.lock
	uv pip compile requirements/checkov.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file requirements/checkov.lock

# --- What ships ---

.PHONY: package
package: ## Build the Lambda zips for AWS (build/code.zip, build/layer.zip); ARCHITECTURE=x86_64 for others than arm64
	@local/needs.sh $(PYTHON)
	$(PYTHON) lambda_src/package.py --out $(BUILD) $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

.PHONY: package-local
package-local: setup
	@$(QUIETLY) "Pack the Lambda functions for this machine" $(RUN) lambda_src/package.py --out $(BUILD) --local

.PHONY: release
release: ## Build a release into dist/, and its manifest terraform/release.json; TAG=v… checks the tag first
	@local/needs.sh $(PYTHON)
	$(PYTHON) -m release.build $(if $(TAG),--tag "$(TAG)")

.PHONY: publish
publish: ## Put the zips of dist/ into a bucket for all installations: make publish BUCKET=… PREFIX=…
	@test -n "$(BUCKET)" || { echo "BUCKET is not set: make publish BUCKET=my-artifacts PREFIX=bedrock-batch/"; exit 2; }
	@$(MAKE) --no-print-directory $(VENV)/.ready
	@$(RUN) -m release.publish --bucket "$(BUCKET)" --prefix "$(PREFIX)"

define AFTER_DEPLOY

The state is $(EXAMPLE)/terraform.tfstate; keep it. README.md goes on with "The first run". Or, with a table, a model
and a prompt of yours, upload the table and start a run:

aws s3 cp reviews.csv "s3://$$(terraform -chdir=$(EXAMPLE) output -raw runs_bucket_name)/datasets/"
aws stepfunctions start-execution --name first-run \
  --state-machine-arn "$$(terraform -chdir=$(EXAMPLE) output -raw run_state_machine_arn)" \
  --input '{"s3_uri": "s3://'"$$(terraform -chdir=$(EXAMPLE) output -raw runs_bucket_name)"'/datasets/reviews.csv", "model_id": "amazon.nova-lite-v1:0", "prompt_id": "sentiment"}'
endef
export AFTER_DEPLOY

.PHONY: deploy
deploy: ## Apply the module to your AWS account: make deploy VARS=my.tfvars
	@test -n "$(VARS)" || { echo "VARS is not set: make deploy VARS=my.tfvars. $(EXAMPLE)/README.md shows such a file."; exit 2; }
	@test -f "$(VARS)" || { echo "VARS=$(VARS): there is no such file. $(EXAMPLE)/README.md shows one."; exit 2; }
	@local/needs.sh $(PYTHON) terraform
	$(MAKE) package
	terraform -chdir=$(EXAMPLE) init -input=false
	terraform -chdir=$(EXAMPLE) apply -var-file=$(abspath $(VARS))
	@echo "$$AFTER_DEPLOY"

# --- The local AWS ---

.PHONY: demo
demo: needs-terraform setup package-local ## Deploy to a local AWS and run 2,500 rows through it: no account, no cost
	@PYTHONPATH=client/src $(RUN) -m local.demo

# --- Checks ---

# Files in the order of their names: else those with few tests come last, and Terraform's take minutes. In the last
# command, each process has a local AWS and an installation of its own.
.PHONY: test
test: needs-all setup package-local node_modules/.ready $(BENCH_VENV)/.ready $(CHECKOV_VENV)/.ready ## Everything CI runs
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	terraform fmt -check -recursive
	$(RUN) -m mypy
	PYTHONPATH=lambda_src $(VENV)/bin/lint-imports --no-logo
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/e2e --ignore tests/soak
	PYTHONPATH=lambda_src:. $(BENCH_VENV)/bin/python -m bench --check --folder $(BUILD)/bench
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/soak tests/e2e

.PHONY: soak
soak: needs-terraform setup package-local ## A thousand runs with drawn faults (two hours): SOAK_FIRST=… for others
	SOAK_SCHEDULES=$${SOAK_SCHEDULES:-1000} $(RUN) -m pytest tests/soak

PAGES := $(BUILD)/browser
.PHONY: pages check-browser picture
pages: $(VENV)/.ready node_modules/.ready
	@CHROMIUM="$(CHROMIUM)" local/needs.sh node chromium
	rm -rf $(PAGES)
	PYTHONPATH=lambda_src:. $(RUN) -m tests.browser.draw $(PAGES)

check-browser: pages ## Look at report.html in Chromium: phone and desk, light and dark, accessible, no request (a minute)
	CHROMIUM="$(CHROMIUM)" node tests/browser/check.mjs $(PAGES)

picture: pages ## Take the picture of report.html that the README shows
	CHROMIUM="$(CHROMIUM)" node tests/browser/picture.mjs $(PAGES)/good.html docs/images/report.png

.PHONY: docs
docs: $(VENV)/.ready ## Write the pages and tables that come from the schema, the module, the errors and the client
	$(RUN) docs/run_input_table.py
	$(RUN) docs/error_tables.py
	$(RUN) docs/module_tables.py
	$(RUN) docs/client_reference.py

LONG := tests/long tests/asl/test_scale.py tests/e2e
.PHONY: check-long
check-long: needs-terraform setup package-local ## What `make test` has no time for: the upgrade, 200,000 and 2.2 million rows
	$(RUN) -m pytest -m long -s $(LONG)

# --- Speed ---

.PHONY: bench
bench: $(BENCH_VENV)/.ready ## Measure the data path against pandas, orjson and DuckDB: make bench ARGS="--rows 500000"
	PYTHONPATH=lambda_src:. $(BENCH_VENV)/bin/python -m bench $(ARGS)

.PHONY: clean
clean: ## Remove everything that was built or installed here
	rm -rf $(BUILD) dist $(VENV) $(ENGINE_VENV) $(BENCH_VENV) $(CHECKOV_VENV) node_modules
	find . -name .terraform -type d -prune -exec rm -rf {} +
