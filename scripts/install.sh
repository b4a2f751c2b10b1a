#!/usr/bin/env bash
# Makes or brings up to date .venv from the lock files, every download checked against its hash.
# Usage: scripts/install.sh run|dev
#   run  what the program needs
#   dev  that and what tests, lint, types and docs need
# The Makefile keeps a stamp for each, so this runs only when a lock file or pyproject.toml has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

kind="${1:-run}"
case "$kind" in
    run) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) echo "usage: scripts/install.sh run|dev" >&2; exit 2 ;;
esac

if [ "$(uname -s)" != Linux ] && [ "$(uname -s)" != Darwin ]; then
    echo "tradetui runs on Linux and macOS; on Windows, inside WSL" >&2
    exit 1
fi

# A moved or half-made environment is made again; so is one of a Python that is too old.
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 ||
    ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    python="$(bash scripts/find-python.sh)"
    echo "making .venv with $python"
    "$python" -m venv --clear .venv
fi

pip() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"
}

# The build tools come first, from their own hashed lock, so that building the Upstox SDK (published as
# source only) and the project itself needs nothing unpinned: hence no build isolation. Everything else
# must be a wheel.
echo "installing from $lock"
pip install --quiet --require-hashes --no-deps --only-binary :all: -r requirements-build.lock
pip install --quiet --require-hashes --no-deps --no-build-isolation --use-pep517 \
    --only-binary :all: --no-binary upstox-python-sdk -r "$lock"
pip install --quiet --no-deps --no-index --no-build-isolation --editable .

touch .venv/.stamp-run
if [ "$kind" = dev ]; then
    touch .venv/.stamp-dev
fi
