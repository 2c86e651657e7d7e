#!/bin/sh
# Writes the lock files anew from pyproject.toml and model.in: names, versions and hashes, nothing else.
set -eu
cd "$(dirname "$0")/.."
lock() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate "$@"; }
lock pyproject.toml --extra openai --extra mlflow --extra documentos --extra llamadas -o requirements/runtime.txt
lock pyproject.toml --extra openai --extra mlflow --extra documentos --extra llamadas --group dev -o requirements/dev.txt
lock --no-config requirements/ajuste.in -c requirements/runtime.txt -o requirements/ajuste.txt
lock requirements/model.in -o requirements/model.txt
