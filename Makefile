# `make run` and `make test` set up what is missing first; both can be repeated at any time.
PYTHON ?= python3
PORT ?= 8910
DATA ?= .ontask/data

.PHONY: help setup run test lint unit bench clean

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
	@.venv/bin/python -m pytest -n 2 --dist worksteal

bench: setup ## Measure speed; prints a table and writes bench/results.json
	@.venv/bin/python -m bench

clean: ## Remove everything but people's data
	rm -rf .venv node_modules chalicelib/static/vendor .ontask/setup .ontask/node .ontask/browser .ontask/test
