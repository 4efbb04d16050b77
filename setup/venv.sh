#!/bin/sh
# Make .venv hold exactly what a lock file names: `setup/venv.sh requirements.lock`.
# Does nothing while the lock, the interpreter and the checkout's place are the same as at the last time.
set -eu
lock="$1"
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
venv="$root/.venv"

stamp_of() { "$venv/bin/python" -c '
import hashlib, sys
print(sys.version.split()[0], sys.argv[1], hashlib.sha256(open(sys.argv[2], "rb").read()).hexdigest())' "$root" "$1"; }

is_current() { [ -f "$venv/.stamp-$1" ] && [ "$(cat "$venv/.stamp-$1")" = "$(stamp_of "$1")" ]; }

find_python() {
    for name in python3 python3.13 python3.12 python3.11 python3.14 /usr/bin/python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    echo "setup: Python 3.11 or newer is needed and was not found: install it, then try again" >&2
    return 1
}

make_venv() {
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >/dev/null
        else
            echo "setup: $python has no 'venv': install it (Debian, Ubuntu: apt install python3-venv), then try again" >&2
            return 1
        fi
    fi
    "$python" -m venv --clear "$venv"
}

"$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || make_venv
# The development lock holds everything that the other one holds.
if is_current requirements-dev.lock || is_current "$lock"; then exit 0; fi

echo "setup: installing $lock into .venv" >&2
"$venv/bin/python" -c 'import pip' 2>/dev/null || "$venv/bin/python" -m ensurepip >/dev/null
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-input \
    --no-deps --require-hashes -r "$lock"
# pip leaves this out where PYTHONDONTWRITEBYTECODE is set, and every start would compile a thousand files anew;
# a file that this Python cannot compile (a template, a newer syntax) is nobody's import.
"$venv/bin/python" -m compileall -qq -j 0 "$venv/lib" || :
# The program itself runs from the checkout: no build step, nothing to download.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$root" >"$site/infraguardian.pth"
printf '#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/python" -m cli "$@"\n' >"$venv/bin/infraguardian"
chmod +x "$venv/bin/infraguardian"
stamp_of "$lock" >"$venv/.stamp-$lock"
