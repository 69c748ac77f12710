# `make run` and `make test` set up what is missing first; both can be repeated at any time.
PYTHON ?= python3
PORT ?= 8910
DATA ?= .ontask/data
STAGE ?=
SET ?=
SURE ?=

.PHONY: help setup run test lint unit bench deploy plan smoke unlock destroy clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Install the Python environment, the npm packages and the pages' libraries
	@$(PYTHON) local/setup.py

run: setup ## Serve the product with a sample course: make run [PORT=8910] [DATA=.ontask/data]
	@.venv/bin/python -m local.run --port $(PORT) --data $(DATA)

test: lint unit ## Lint, types and all tests, browser included

lint: setup
	@echo "Checking style and types …"
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

unit: setup
	@echo "Running the tests …"
	@.venv/bin/python -m local.browser
	@.venv/bin/python -m pytest -n 2 --dist worksteal --durations=30

bench: setup ## Measure speed; prints a table and writes bench/results.json
	@.venv/bin/python -m bench

deploy plan smoke unlock destroy: setup
	@.venv/bin/python -m infrastructure.deploy $@ --stage "$(STAGE)" --set "$(SET)" --sure "$(SURE)"

deploy: ## Put the product into your AWS account or renew it: make deploy STAGE=dev [SET="MailFrom=… AdminEmail=…"]
plan: ## Say what `make deploy` would change
smoke: ## Try everything of a stage from outside
unlock: ## Take the lock from a deployment that is dead
destroy: ## Remove a stage: make destroy STAGE=dev

clean: ## Remove everything but people's data
	rm -rf .venv node_modules chalicelib/static/vendor .ontask/setup .ontask/node .ontask/browser .ontask/test
