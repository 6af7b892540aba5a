#!/usr/bin/env bash
# From a fresh machine to a first comparison in MLflow: two models, as they are and with adaptive branching.
#
#   ./quickstart.sh            installs into .venv what it needs, runs the comparison, shows the table
#   ./quickstart.sh --serve    then opens the MLflow UI on it
#
# Where an Ollama server answers (at OLLAMA_HOST, else localhost:11434) its two smallest models are compared; else the
# embedded engine's two, which come as Python packages. Safe to run again: what is there is kept, and a start that was
# broken off continues. Needs Linux or macOS and Python 3.10 or newer; no GPU, no account.
#
# What models write runs in bubblewrap, which is installed where apt-get can do it. Where it can't be had, as on macOS:
#   ./quickstart.sh --sandbox subprocess     runs it with limits, but not isolated
#
# PYTHON             the interpreter to build .venv with (default: python3)
# QUICKSTART_TORCH   how pip shall name PyTorch (default: torch==2.13.0; its CPU build where there is no NVIDIA driver)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
unset PYTHONPATH PYTHONHOME
readonly engine_models=(huggingface:smollm2:135m huggingface:gemma3:270m-base)
readonly begun=$SECONDS
say() { printf '==> %s\n' "$*"; }
die() { printf '==> %s\n' "$*" >&2; exit 1; }

serve='' sandbox=bubblewrap
while (($#)); do
  case $1 in
    --serve) serve=1 ;;
    --sandbox) sandbox=${2:-}; shift $(($# > 1)) ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit ;;
    *) die "unknown: $1; ./quickstart.sh --help tells what there is" ;;
  esac
  shift
done
[[ $sandbox == bubblewrap || $sandbox == subprocess ]] || die "--sandbox ${sandbox:-(nothing)}: it is bubblewrap or subprocess"

# Prints the server's two smallest models, the smaller one first; nothing where none answers.
ollama_models() {
  "$python" - <<'PYTHON'
import json, os, urllib.request

host = os.environ.get("OLLAMA_HOST") or "127.0.0.1:11434"
url = host if "//" in host else f"http://{host}"
if not url.rsplit(":", 1)[-1].strip("/").isdigit():
    url = url.rstrip("/") + ":11434"
try:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url.replace("//0.0.0.0", "//127.0.0.1") + "/api/tags", timeout=3) as answer:
        models = json.load(answer)["models"]
    sized = sorted((model["size"], model["name"]) for model in models if "embed" not in model["name"])
    print("\n".join(name for _, name in sized[:2]))
except (OSError, ValueError, KeyError, TypeError):
    pass
PYTHON
}

# What is missing of the system's own packages, by Debian's names.
missing_packages() {
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  [[ $sandbox != bubblewrap ]] || command -v bwrap >/dev/null || echo bubblewrap
}

install_packages() {
  local as_root=()
  ((EUID == 0)) || as_root=(sudo)
  "${as_root[@]}" apt-get -qq update </dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends "$@" </dev/null >/dev/null
}

can_install_packages() { command -v apt-get >/dev/null && { ((EUID == 0)) || command -v sudo >/dev/null; }; }

pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }

# A plain `torch` for Linux brings CUDA, several gigabytes. The build `+cpu` of the same version goes before it. What
# torch needs comes with the rest, from the usual index alone.
install_torch() {
  local more=()
  if [[ $(uname) == Linux ]] && ! command -v nvidia-smi >/dev/null; then
    more=(--extra-index-url https://download.pytorch.org/whl/cpu --retries 1)
  fi
  pip install --no-compile --no-deps "$torch" ${more[@]+"${more[@]}"}
}

# Uncompiled: most modules are never imported, and Python compiles those that are.
make_environment() {
  local wanted
  wanted=$({ cat pyproject.toml; echo "$extras $torch"; "$python" -VV; pwd -P; } | cksum)
  [[ $(cat .venv/quickstart 2>/dev/null) == "$wanted" ]] && return 0
  .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear .venv || die "no virtual environment could be made in .venv"
  pip install --upgrade pip || true # the one that comes with Python takes twice as long for what follows
  [[ -z $extras ]] || install_torch || die "PyTorch could not be installed; look above for why, and start this again: what is there is kept"
  pip install --no-compile --editable ".$extras" || die "the installation failed; look above for why, and start this again: what is there is kept"
  echo "$wanted" >.venv/quickstart
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

# ------------------------------------------------------------------------------------------ what this will do

python=${PYTHON:-python3} torch=${QUICKSTART_TORCH:-torch==2.13.0}
command -v "$python" >/dev/null || die "$python is not there; install Python 3.10 or newer, or name one: PYTHON=python3.12 ./quickstart.sh"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
  die "$("$python" --version) is too old; name a Python 3.10 or newer: PYTHON=python3.12 ./quickstart.sh"
[[ -w . ]] || die "$PWD can't be written; put the project where you may write"
[[ $sandbox == subprocess || $(uname) == Linux ]] ||
  die "bubblewrap needs Linux; ./quickstart.sh --sandbox subprocess runs what models write with limits, but not isolated"
packages=()
while IFS= read -r package; do packages+=("$package"); done < <(missing_packages)
if ((${#packages[@]})) && ! can_install_packages; then
  die "missing: ${packages[*]} (Debian's names); install them as root and start this again (./quickstart.sh --help tells how to do without bubblewrap)"
fi

models=() extras=''
while IFS= read -r model; do models+=("$model"); done < <(ollama_models)
say "this will, in $PWD:"
((!${#packages[@]})) || say "  - install Debian packages: ${packages[*]}"
if ((${#models[@]})); then
  say "  - install smallenough into .venv (Python packages, downloaded the first time)"
  say "  - compare what your Ollama server has: ${models[*]}"
else
  extras='[hf]'
  models=("${engine_models[@]}")
  say "  - install smallenough with its embedded engine into .venv (Python packages with $torch, downloaded the first time)"
  say "  - download the weights of ${models[*]} (331 MB the first time), since no Ollama server with a model answers"
fi
say "  - run each model on 6 small Python tasks, as it is and with branching, and write all of it to MLflow in mlruns/"
[[ $sandbox == bubblewrap ]] || say "  - run what the models write with limits, but NOT isolated (--sandbox subprocess)"

# ------------------------------------------------------------------------------------------------- doing it

((!${#packages[@]})) || install_packages "${packages[@]}"
make_environment
say "installed after $((SECONDS - begun)) s"

options=(--quick-test --limit 6 --max-tokens 96 --strategy single --strategy branching:width=1,max_depth=1 --experiment quickstart --yes)
[[ $sandbox == bubblewrap ]] || options+=(--sandbox "$sandbox")
for model in "${models[@]}"; do options+=(--model "$model"); done
if [[ -n $extras ]]; then
  pull_models
  options+=(--concurrency 6)
  say "the models are ready after $((SECONDS - begun)) s"
fi
printf '==> .venv/bin/smallenough run'
printf ' %q' "${options[@]}"
printf '\n'
.venv/bin/smallenough run "${options[@]}"

say "done after $((SECONDS - begun)) s; every inference is a run in MLflow. Look at them: .venv/bin/smallenough ui"
[[ -z $serve ]] || exec .venv/bin/smallenough ui
