# Owns a throw-away server for scripts that test it from outside: the demonstration company on its own Postgres in a temporary
# folder. Source it, call `demo_start`; it stops by itself when the script ends.
#   demo_start BINARY [ARGUMENT...]   sets demo_data (the folder, with demo.json) once the server answers
#   demo_alive                        whether it still runs

demo_data=$(mktemp -d)
demo_server=

demo_stop() {
  if [ -n "$demo_server" ] && kill -TERM "$demo_server" 2>/dev/null; then wait "$demo_server" || true; fi
  # Under root the cluster may lie elsewhere, linked from here.
  if [ -L "$demo_data/postgres" ]; then rm -rf -- "$(dirname "$(readlink "$demo_data/postgres")")"; fi
  rm -rf -- "$demo_data"
}
trap demo_stop EXIT
trap 'exit 130' INT TERM

demo_alive() { kill -0 "$demo_server" 2>/dev/null; }

demo_log() { tail -n 20 "$demo_data/server.out" "$demo_data/server.log" >&2; }

demo_start() {
  local binary=$1
  shift
  env -u DATABASE_URL -u VEZ_DATABASE_URL VEZ_RATE_LIMIT=off \
    "$binary" demo --port 0 --data-dir "$demo_data" "$@" >"$demo_data/server.out" 2>"$demo_data/server.log" &
  demo_server=$!
  # The first start hashes a password for each agent; two minutes are plenty on any machine.
  local try
  for try in {1..1200}; do
    if ! demo_alive; then break; fi
    if [ -s "$demo_data/demo.json" ]; then return 0; fi
    sleep 0.1
  done
  echo "the server did not start:" >&2
  demo_log
  return 1
}
