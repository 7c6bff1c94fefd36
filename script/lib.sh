# Shared by the commands in this directory: `. "$(dirname "$0")/lib.sh"`.
# setup_venv FILE: makes .venv hold what requirements/FILE.txt pins, and jwtgate itself (editable).

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# apt_install COMMAND PACKAGE: makes COMMAND available, from Debian's PACKAGE, when we may.
apt_install() {
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        return 1
    fi
    say "installing $2 …"
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$2"; } >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "jwtgate needs Python 3.11 or newer, and found none. Install it, or name it: PYTHON=/path/to/python3.11 $0"
}

setup_venv() {
    local wanted=requirements/$1.txt python stamp
    exec 9>.venv.lock
    flock 9  # two commands at once must not install over each other
    python=$(find_python)
    stamp=$(cat "$wanted" pyproject.toml | cksum)
    if [ -x .venv/bin/jwtgate ] && [ "$(cat .venv/stamp-"$1" 2>/dev/null)" = "$stamp" ]; then
        exec 9>&-
        return
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && say "installing python3-venv …" &&
            { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3-venv; } >/dev/null 2>&1
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "Python's venv module is missing. Install it with: sudo apt-get install python3-venv"
    fi
    say "setting up .venv (once; a minute at most) …"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r "$wanted"
    .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
    printf '%s' "$stamp" >.venv/stamp-"$1"
    exec 9>&-
}
