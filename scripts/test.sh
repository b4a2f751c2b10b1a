#!/usr/bin/env bash
# The short test suite, in two halves side by side: each has about as much to do, and two processor cores are the least
# that this program is made for. With arguments it is one run of pytest: scripts/test.sh tests/unit -k charges
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pytest=(.venv/bin/python -m pytest -m "not long")

if [ "$#" -gt 0 ]; then
    exec "${pytest[@]}" "$@"
fi

apart=(tests/bad_days tests/contracts tests/e2e tests/soak)
log="$(mktemp)"
"${pytest[@]}" -o cache_dir=.pytest_cache/apart "${apart[@]}" >"$log" 2>&1 </dev/null &
other=$!
trap 'kill "$other" 2>/dev/null; rm -f "$log"' EXIT

first=0
"${pytest[@]}" "${apart[@]/#/--ignore=}" || first=$?
second=0
wait "$other" || second=$?
echo "== ${apart[*]}, which ran beside"
cat "$log"
exit "$((first > second ? first : second))"
