#!/bin/sh
# Pins every dependency with its hashes. Releases younger than a week are left out: bad ones are usually found by then.
set -eu
cd "$(dirname "$0")/.."
flags="--universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 --quiet"
before=$(date -d '7 days ago' +%F)
uv pip compile pyproject.toml --group build $flags --exclude-newer "$before" -o requirements.lock
uv pip compile pyproject.toml --group build --group dev $flags --exclude-newer "$before" -c requirements.lock -o requirements-dev.lock
