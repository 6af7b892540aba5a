# Sourced, not run: starts and stops an Ollama server that tests/install_ollama.sh has installed.
#
#   start_ollama DIR LOG    sets ollama_pid and ollama_url once the server listens on a free loopback port
#   stop_ollama             ends it and its model runners; does nothing where none was started
#
# The system picks the port while the server binds it, so no other program can take it in between. The server gets a
# session of its own, so that Ctrl-C reaches the tests and not the server below them; and where the calling shell is
# killed and can't run its trap, the kernel ends the server.

ollama_pid='' ollama_url=''

start_ollama() {
  local dir=$1 log=$2 port='' _
  : >"$log" # now, so that the loop below finds neither no file nor the port of an earlier run
  OLLAMA_HOST=127.0.0.1:0 setpriv --pdeathsig TERM setsid "$dir/ollama" serve >"$log" 2>&1 </dev/null &
  ollama_pid=$!
  for _ in {1..300}; do
    port=$(sed -n 's/.*Listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$log")
    [[ -n $port ]] && break
    if ! kill -0 "$ollama_pid" 2>/dev/null; then break; fi
    sleep 0.1
  done
  if [[ -z $port ]]; then
    echo "the Ollama server in $dir did not start; its log:" >&2
    tail -n 20 "$log" >&2
    stop_ollama
    return 1
  fi
  ollama_url=http://127.0.0.1:$port
  # Its threads wait for each other, and compute nothing meanwhile, where the tests take a core from one of them.
  { echo -10 >"/proc/$ollama_pid/autogroup"; } 2>/dev/null || true # as far as the system lets us
}

stop_ollama() {
  local pid=$ollama_pid _
  ollama_pid='' ollama_url=''
  [[ -n $pid ]] || return 0
  kill -TERM "$pid" 2>/dev/null || true
  for _ in {1..100}; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
