#!/usr/bin/env bash
# The short test suite, in three parts side by side: much of it waits for processes, and two processor cores are the
# least that this program is made for. With arguments it is one run of pytest: scripts/test.sh tests/unit -k charges
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pytest=(.venv/bin/python -m pytest -m "not long")

if [ "$#" -gt 0 ]; then
    exec "${pytest[@]}" "$@"
fi

beside=("tests/bad_days tests/contracts tests/soak" "tests/integration tests/e2e")
logs=() others=() apart=()
trap 'kill "${others[@]}" 2>/dev/null; rm -f "${logs[@]}"' EXIT
for part in "${beside[@]}"; do
    read -r -a folders <<<"$part"
    apart+=("${folders[@]/#/--ignore=}")
    log="$(mktemp)"
    logs+=("$log")
    "${pytest[@]}" -o "cache_dir=.pytest_cache/${#logs[@]}" "${folders[@]}" >"$log" 2>&1 </dev/null &
    others+=("$!")
done

worst=0
"${pytest[@]}" "${apart[@]}" || worst=$?
for number in "${!beside[@]}"; do
    code=0
    wait "${others[$number]}" || code=$?
    echo "== ${beside[$number]}, which ran beside: exit code $code"
    cat "${logs[$number]}"
    worst=$((code > worst ? code : worst))
done
exit "$worst"
