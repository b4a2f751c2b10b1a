#!/usr/bin/env bash
# Prints the Python that .venv is made with: $PYTHON if set, else the first of python3.11 .. python3.14,
# python3, python that is 3.11 or newer and can make an environment. Says what is missing when none is.
set -euo pipefail

usable() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3 python}; do
    if usable "$candidate"; then
        if ! "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            echo "tradetui: $candidate cannot make environments; install its venv package" \
                "(on Debian and Ubuntu: apt install python3-venv)" >&2
            exit 1
        fi
        command -v "$candidate"
        exit 0
    fi
done
if [ -n "${PYTHON:-}" ]; then
    echo "tradetui needs Python 3.11 or newer; PYTHON=$PYTHON is not one" >&2
else
    echo "tradetui needs Python 3.11 or newer, and there is none on the PATH (PYTHON=... names one)" >&2
fi
exit 1
