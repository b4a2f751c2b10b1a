#!/usr/bin/env bash
# Installs the system programs that some tests drive: tmux (end to end), a Secret Service daemon on a private
# D-Bus session (keyring). Does so only as root on a machine with apt-get; elsewhere it says what is missing
# and the tests that need it skip with that reason. Quick when everything is present; never fails the run.
set -uo pipefail

missing=()
command -v tmux >/dev/null 2>&1 || missing+=(tmux)
command -v dbus-run-session >/dev/null 2>&1 || missing+=(dbus)
command -v gnome-keyring-daemon >/dev/null 2>&1 || missing+=(gnome-keyring)

if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "note: not installed: ${missing[*]}; the tests that need them are skipped"
    exit 0
fi

echo "installing for the tests: ${missing[*]}"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
install() {
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}" >>"$log" 2>&1 </dev/null
}
if ! install; then
    # An old or absent package list is the usual cause.
    { apt-get update --quiet >>"$log" 2>&1 </dev/null && install; } || {
        echo "note: could not install ${missing[*]}; the tests that need them are skipped. Last lines:"
        tail -n 5 "$log"
    }
fi
exit 0
