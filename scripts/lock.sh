#!/usr/bin/env bash
# Rewrites the three lock files (`make lock`): exact versions with hashes, for every platform and for
# Python 3.11 and later. They carry no index address, so they install from whichever index pip is set to.
# Only wheels are admitted, but for the Upstox SDK, which is published as source only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile() {
    .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet \
        --only-binary :all: --no-binary upstox-python-sdk "$@"
}

compile --output-file requirements.lock
compile --extra dev --constraint requirements.lock --output-file requirements-dev.lock
.venv/bin/uv pip compile --group build --constraint requirements-dev.lock --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet \
    --only-binary :all: --output-file requirements-build.lock

if grep -nE '://|--(extra-)?index-url|--find-links| @ ' requirements*.lock; then
    echo "a lock file names an address" >&2
    exit 1
fi
