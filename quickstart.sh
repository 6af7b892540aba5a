#!/usr/bin/env bash
# From a fresh machine to a first comparison in MLflow: a model as it is, a smaller one as it is and with branching.
#
#   ./quickstart.sh            installs into .venv what it needs, runs the comparison, shows the table
#   ./quickstart.sh --serve    then opens the MLflow UI on it (--port 5001: where 5000 is taken)
#
# Where an Ollama server answers (at OLLAMA_HOST, else localhost:11434) its two smallest models are compared; else the
# embedded engine's two, which come as Python packages. Safe to run again: what is there is kept, and a start that was
# broken off continues. Needs Linux or macOS and Python 3.10 or newer; no GPU, no account.
#
# What models write runs in bubblewrap, which is installed where apt-get can do it. Where it can't be had (on macOS you
# are asked):
#   ./quickstart.sh --sandbox subprocess     runs it with limits, but not isolated
#
# PYTHON   the interpreter to build .venv with (default: python3)
# TORCH    how pip shall name PyTorch (default: torch==2.13.0; its CPU build where there is no NVIDIA driver)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
unset PYTHONPATH PYTHONHOME
unset PYTHONDONTWRITEBYTECODE # with it, every start of a program compiles all that it imports again
readonly begun=$SECONDS
say() { printf '==> %s\n' "$*"; }
die() { printf '==> %s\n' "$*" >&2; exit 1; }

serve='' sandbox=bubblewrap port=5000
while (($#)); do
  case $1 in
    --serve) serve=1 ;;
    --port) port=${2:-}; shift $(($# > 1)) ;;
    --sandbox) sandbox=${2:-}; shift $(($# > 1)) ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"; exit ;;
    *) die "unknown: $1; ./quickstart.sh --help tells what there is" ;;
  esac
  shift
done
[[ $sandbox == bubblewrap || $sandbox == subprocess ]] || die "--sandbox ${sandbox:-(nothing)}: it is bubblewrap or subprocess"

[[ $port =~ ^[0-9]{1,5}$ ]] && ((10#$port > 0 && 10#$port < 65536)) || die "--port ${port:-(nothing)}: name a number from 1 to 65535, as in --port 5001"

# What is missing of the system's own packages, by Debian's names.
missing_packages() {
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  [[ $sandbox != bubblewrap ]] || command -v bwrap >/dev/null || echo bubblewrap
}

install_packages() {
  local as_root=()
  ((EUID == 0)) || as_root=(sudo)
  ${as_root[@]+"${as_root[@]}"} apt-get -qq update </dev/null &&
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" </dev/null >/dev/null
}

can_install_packages() { command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; }; }

pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }

# A plain `torch` for Linux brings CUDA, several gigabytes. The build `+cpu` of the same version goes before it, where
# PyTorch's own index answers (or yours has it). What torch needs comes with the rest, from the usual index alone.
install_torch() {
  local from=()
  if [[ $(uname) == Linux ]] && ! command -v nvidia-smi >/dev/null; then
    from=(--extra-index-url https://download.pytorch.org/whl/cpu --retries 1)
    ! brings_cuda "${from[@]}" ||
      say "  - PyTorch with CUDA, several gigabytes that nothing here needs: download.pytorch.org, which has it without, does not answer (Ctrl-C, and name another with TORCH, if you don't want that)"
  fi
  pip -q install --no-compile --no-deps "$torch" ${from[@]+"${from[@]}"}
}

# Whether what pip would take for PyTorch needs CUDA's packages.
brings_cuda() {
  pip -q install --dry-run --report - --no-deps "$torch" "$@" 2>/dev/null | .venv/bin/python -c '
import json, sys

found = json.load(sys.stdin)["install"]
needs = [name for one in found for name in one["metadata"].get("requires_dist", [])]
sys.exit(not any(name.startswith(("nvidia", "cuda")) for name in needs))
' 2>/dev/null
}

not_installed() {
  echo "$1 could not be installed; look above for why (the network and the disk are the usual ones; pip config list names the package index), and start this again: what is there is kept"
  command -v cc >/dev/null ||
    say "no C compiler is there, which a package without a wheel for this Python needs: install one (Debian: build-essential), or name another Python (PYTHON=python3.12 ./quickstart.sh)"
}

# Makes .venv and installs smallenough with the extras in $1 and, where there are some, PyTorch; notes what it is for, so
# that it is done once. Uncompiled: most modules are never imported, and Python compiles those that are.
install() {
  local extras=$1 made_for made_by
  made_for=$({ cat pyproject.toml; echo "$extras ${extras:+$torch}"; "$python" -VV; pwd -P; } | cksum)
  [[ $(cat ".venv/quickstart$extras" 2>/dev/null) == "$made_for" ]] && return 0
  made_by=$(type -P "$python"; "$python" -VV)
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1 || [[ $(cat .venv/made-by 2>/dev/null || echo "$made_by") != "$made_by" ]]; then
    "$python" -m venv --clear .venv || die "no virtual environment could be made in .venv; look above for why"
    echo "$made_by" >.venv/made-by
    pip install --upgrade pip || true # the one that comes with Python takes twice as long for what follows
  fi
  [[ -z $extras ]] || install_torch || die "$(not_installed "$torch")"
  pip install --no-compile --editable ".$extras" || die "$(not_installed "smallenough$extras")"
  [[ $extras || $sandbox == subprocess ]] || check_sandbox || die "bubblewrap does not work here; mend that, or take ./quickstart.sh --sandbox subprocess, which has limits but does not isolate"
  echo "$made_for" >".venv/quickstart$extras"
  say "installed smallenough$extras after $((SECONDS - begun)) s"
}

# Whether what models write can run isolated here: some systems have bubblewrap, and forbid it what it needs.
check_sandbox() {
  local found
  found=$(.venv/bin/smallenough doctor --json --url 127.0.0.1:9) || (($? == 3)) || return 1 # 3: something is missing
  .venv/bin/python -c '
import json, sys

for one in json.load(sys.stdin)["findings"]:
    if one["part"] == "sandbox bubblewrap" and one["state"] != "ok":
        sys.exit("{detail}; {mend}".format_map(one))
' <<<"$found"
}

# Prints what will be compared, a line each: where it runs, the megabytes to download, and the model; the smaller first.
# Those of the Ollama server that answers, the two smallest that write text; else the embedded engine's two smallest.
choose_models() {
  local known
  known=$(.venv/bin/smallenough models --json 2>.venv/models.log) || (($? == 3)) || { cat .venv/models.log >&2; return 1; } # 3: no server
  .venv/bin/python -c '
import json, sys

known = json.load(sys.stdin)
found = sorted(
    (model["size_bytes"], model["name"])
    for server in known["servers"]
    for model in server["models"]
    if model["size_bytes"] and not any(word in model["name"] for word in ("embed", "minilm", "bge-", "cloud"))
)
if found:
    print("\n".join(f"ollama 0 {name}" for _, name in found[:2]))
else:
    engine = sorted(known["embedded"]["models"], key=lambda model: model["disk_bytes"])[:2]
    for model in engine:
        print("engine", 0 if model["ready"] else model["download_bytes"] // 1_000_000, model["name"])
' <<<"$known"
}

# Both at once: most of the time goes into converting them, on one core each.
pull_models() {
  local model pull pulls=()
  trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
  for model in "${models[@]}"; do
    .venv/bin/smallenough models --pull "$model" >/dev/null &
    pulls+=($!)
  done
  for pull in "${pulls[@]}"; do wait "$pull" || die "a model could not be had; look above for why, and start this again"; done
  trap - EXIT
}

port_is_free() {
  "$python" -c '
import socket, sys

with socket.socket() as probe:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", int(sys.argv[1])))
' "$port" 2>/dev/null
}

# ------------------------------------------------------------------------------------------ what this will do

python=${PYTHON:-python3} torch=${TORCH:-torch==2.13.0}
command -v "$python" >/dev/null || die "$python is not there; install Python 3.10 or newer, or name one: PYTHON=python3.12 ./quickstart.sh"
"$python" --version >/dev/null || die "$python does not run; look above for why, or name another: PYTHON=python3.12 ./quickstart.sh"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  die "$("$python" --version) is too old; name a Python 3.10 or newer: PYTHON=python3.12 ./quickstart.sh"
[[ -z $serve ]] || port_is_free || die "port $port is in use, or not yours to take; name another: ./quickstart.sh --serve --port $((port + 1))"
[[ -w . ]] || die "$PWD can't be written; put the project where you may write"
if [[ $sandbox == bubblewrap && $(uname) != Linux ]]; then
  answer=''
  if [[ -t 0 ]]; then
    read -r -p "macOS has no bubblewrap: shall what models write run with limits, but not isolated? [y/N] " answer
    [[ -n $answer ]] || echo >&2
  fi
  [[ $answer == [yY]* ]] ||
    die "bubblewrap needs Linux; ./quickstart.sh --sandbox subprocess runs what models write with limits, but not isolated"
  sandbox=subprocess
fi
packages=()
while IFS= read -r package; do packages+=("$package"); done < <(missing_packages)
if ((${#packages[@]})) && ! can_install_packages; then
  die "missing: ${packages[*]} (Debian's names); install them as root and start this again (./quickstart.sh --help tells how to do without bubblewrap)"
fi

say "this will, in $PWD:"
((!${#packages[@]})) || say "  - install Debian packages: ${packages[*]}"
say "  - install smallenough into .venv (Python packages, downloaded the first time)"
say "  - choose two models: those of your Ollama server where one answers, else those of the embedded engine"
say "  - run them on 6 small Python tasks, and write all of it to MLflow in mlruns/"
[[ $sandbox == bubblewrap ]] || say "  - run what the models write with limits, but NOT isolated (--sandbox subprocess)"

# ------------------------------------------------------------------------------------------------- doing it

if ((${#packages[@]})); then
  install_packages "${packages[@]}" || die "not installed: ${packages[*]} (Debian's names); look above for why, or install them as root, and start this again"
fi
install ''

chosen=$(choose_models) || die "the models could not be looked at; look above for why"
models=() megabytes=0 engine=''
while read -r place size model; do
  models+=("$model") megabytes=$((megabytes + size))
  [[ $place == ollama ]] || engine=1
done <<<"$chosen"
options=(--small-model "${models[0]}")
((${#models[@]} == 1)) || options+=(--large-model "${models[1]}")
options+=(--strategy single --strategy branching:width=1,max_depth=1 --quick-test --limit 6 --max-tokens 64 --experiment quickstart --yes)
[[ $sandbox == bubblewrap ]] || options+=(--sandbox "$sandbox")
if [[ $engine ]]; then
  say "no Ollama server with a model answers; the embedded engine will run ${models[*]}:"
  say "  - it needs $torch and transformers in .venv (downloaded the first time)"
  say "  - weights to download: $megabytes MB"
  install '[hf]'
  pull_models
  options+=(--concurrency 6)
  say "the models are ready after $((SECONDS - begun)) s"
else
  say "your Ollama server has ${models[*]}: nothing to download"
fi
printf '==> .venv/bin/smallenough run'
printf ' %q' "${options[@]}"
printf '\n'
.venv/bin/smallenough run "${options[@]}"

say "done after $((SECONDS - begun)) s; every inference is a run in MLflow. Look at them: .venv/bin/smallenough ui"
[[ -z $serve ]] || exec .venv/bin/smallenough ui --port "$port"
