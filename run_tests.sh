#!/usr/bin/env bash
# Checks everything on a fresh Debian machine: linter, formatter, strict types, import contract, tests.
#
#   ./run_tests.sh [PYTEST ARGUMENTS]     e.g. ./run_tests.sh tests/models -k deadline
#   ./run_tests.sh --slow                 also the tests that take minutes, all that is generated and simulated, and those
#                                         of the embedded engine (PyTorch)
#
# Installs what is missing (Debian packages as root or through sudo), its own virtual environment and a real Ollama
# server with smollm2:135m under .tests/, and nothing elsewhere. Every check runs, whatever the ones before it found; the
# exit status is that of the first that failed, and pytest's closing line comes last.
#
# SMALLENOUGH_MBPP    the MBPP file for the tests that read it (default: ../shared/data/mbpp.jsonl where it exists)
# PYTHON              the interpreter to build the environment with (default: python3)
# TORCH               how pip shall name PyTorch, for --slow (default: torch==2.13.0; see requirements.txt)
set -euo pipefail
{ : <&0; } 2>/dev/null || exec </dev/null

cd "$(dirname "${BASH_SOURCE[0]}")"
root=$PWD
unset PYTHONPATH PYTHONHOME
unset PYTHONDONTWRITEBYTECODE # with it, each of the many processes would compile all that it imports
started=$SECONDS
say() { printf '==> %s\n' "$*"; }
die() { printf '==> %s\n' "$*" >&2; exit 1; }

source tests/ollama_server.sh
installing=''
stop_all() { [[ -z $installing ]] || kill "$installing" 2>/dev/null || true; stop_ollama; }
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

install_debian_packages() {
  local missing=() as_root=()
  command -v "${PYTHON:-python3}" >/dev/null || missing+=(python3)
  "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
  command -v bwrap >/dev/null || missing+=(bubblewrap)
  echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null || missing+=(gcc libc6-dev)
  command -v git >/dev/null || missing+=(git)
  ((${#missing[@]})) || return 0

  command -v apt-get >/dev/null || die "missing: ${missing[*]}; install them (these are Debian's names) and start again"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || die "missing: ${missing[*]}; run as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get -qq update </dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}" </dev/null
}

pip() { .tests/venv/bin/python -m pip -qq --disable-pip-version-check "$@" 9>&-; }

# The environment is made anew when pyproject.toml, the interpreter or the folder changes, so that what is no longer
# declared is no longer there.
environment_is_current() {
  wanted=$({ cat pyproject.toml; "${PYTHON:-python3}" -VV; pwd -P; } | sha256sum | cut -d ' ' -f 1)
  [[ $(cat .tests/venv/made-for 2>/dev/null) == "$wanted" ]]
}

make_environment() {
  say "making the virtual environment .tests/venv (a minute or two)"
  "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die "Python 3.10 or newer is needed"
  "${PYTHON:-python3}" -m venv --clear .tests/venv
  pip install --upgrade pip # the one that comes with Python takes twice as long for what follows
}

# Uncompiled: most modules are never imported, and Python compiles those that are.
install_packages() {
  pip install --no-compile --editable '.[dev]'
  echo "$wanted" >.tests/venv/made-for
}

install_ollama() {
  PYTHON=$root/.tests/venv/bin/python exec tests/install_ollama.sh .tests/ollama >.tests/install_ollama.log 2>&1 9>&-
}

mkdir -p .tests
exec 9>.tests/lock # closed for what is started below, so that nothing that outlives this run keeps the lock
flock -n 9 || { say "waiting for another run in this folder"; flock 9; }
install_debian_packages
current=1
environment_is_current || { make_environment; current=''; }
say "installing a real Ollama server into .tests/ollama"
install_ollama &
installing=$!
[[ $current ]] || install_packages
wait "$installing" || die "$(<.tests/install_ollama.log)"
installing=''
tail -n 1 .tests/install_ollama.log
start_ollama "$root/.tests/ollama" "$root/.tests/ollama.log" 9>&-
say "ready after $((SECONDS - started)) s; Ollama listens on $ollama_url"

export SMALLENOUGH_TEST_OLLAMA=$ollama_url SMALLENOUGH_TEST_ALL=1
if [[ -z ${SMALLENOUGH_MBPP:-} && -f ../shared/data/mbpp.jsonl ]]; then
  SMALLENOUGH_MBPP=$(cd ../shared/data && pwd)/mbpp.jsonl
  export SMALLENOUGH_MBPP
fi
export PATH=$root/.tests/venv/bin:$PATH
if [[ " $* " == *' --slow '* ]]; then
  say "installing the embedded engine"
  pip install --no-compile "${TORCH:-torch==2.13.0}"
  pip install --no-compile --editable '.[dev,hf]'
  export SMALLENOUGH_TEST_CACHE=$root/.tests/cache
fi

status=0 failed=()
check() {
  local began=$SECONDS code=0
  say "$*"
  "$@" 9>&- || code=$?
  ((code == 0)) && return 0
  ((status)) || status=$code
  failed+=("$1${2:+ $2}")
  say "failed after $((SECONDS - began)) s: $*"
}

check ruff check .
check ruff format --check .
MYPY_NUM_WORKERS=$(nproc) check mypy
check lint-imports --no-logo
say "checks done after $((SECONDS - started)) s${failed:+; failed: $(IFS=,; echo "${failed[*]}")}"
workers=$(($(nproc) < 7 ? $(nproc) + 1 : 8)) # many tests wait for processes most of the time
say "pytest --numprocesses $workers --dist loadgroup $*"
code=0
pytest --numprocesses "$workers" --dist loadgroup "$@" 9>&- || code=$?
((status)) || status=$code
exit "$status"
