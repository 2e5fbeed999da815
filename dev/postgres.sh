# Shell functions shared by dev/setup, dev/scratch-db and dev/sqlx-prepare: finding the machine's Postgres
# binaries and running a throw-away server on them. Source it; it does nothing by itself.
# A throw-away server never syncs to disk and listens only on a Unix socket. It must never hold data anybody wants.

# Oldest Postgres major version that Vez runs on.
PG_MAJOR_MIN=14

# Prints the folder of the newest server binaries on this machine (initdb, postgres and pg_ctl together), or fails.
pg_find_bin() {
  local best="" best_major=0 dir major
  local candidates=()
  if command -v pg_config >/dev/null 2>&1; then candidates+=("$(pg_config --bindir 2>/dev/null || true)"); fi
  if command -v initdb >/dev/null 2>&1; then candidates+=("$(dirname "$(command -v initdb)")"); fi
  for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin \
             /usr/local/opt/postgresql*/bin /Applications/Postgres.app/Contents/Versions/*/bin; do
    candidates+=("$dir")
  done
  for dir in "${candidates[@]}"; do
    [ -n "$dir" ] && [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && [ -x "$dir/pg_ctl" ] || continue
    # "postgres (PostgreSQL) 15.7 (Debian ...)" and "postgres (PostgreSQL) 17beta1" both start with the major version.
    major=$("$dir/postgres" --version 2>/dev/null | sed -E 's/^[^0-9]*([0-9]+).*/\1/')
    [ -n "$major" ] && [ "$major" -ge "$PG_MAJOR_MIN" ] || continue
    if [ "$major" -gt "$best_major" ]; then best=$dir; best_major=$major; fi
  done
  [ -n "$best" ] || return 1
  printf '%s\n' "$best"
}

# The user that runs the server: ourselves, or an unprivileged one when root asks, because Postgres refuses root.
pg_run_user() {
  if [ "$(id -u)" -ne 0 ]; then id -un
  elif id postgres >/dev/null 2>&1; then echo postgres
  else echo nobody; fi
}

# Runs a command as that user, from a folder it may read.
pg_as_user() {
  local user; user=$(pg_run_user)
  if [ "$(id -u)" -ne 0 ]; then (cd / && "$@")
  elif command -v runuser >/dev/null 2>&1; then (cd / && runuser -u "$user" -- "$@")
  else (cd / && setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups "$@"); fi
}

# pg_scratch_start DIR: makes sure that a throw-away server runs on DIR/data with its socket in DIR/socket.
pg_scratch_start() {
  local dir=$1 bin
  bin=$(pg_find_bin) || { echo "no Postgres $PG_MAJOR_MIN or newer found; run dev/setup" >&2; return 1; }
  if [ "${#dir}" -gt 80 ]; then echo "$dir: too long for a Unix socket (80 characters at most)" >&2; return 1; fi
  if [ ! -d "$dir" ]; then mkdir -p "$dir"; fi
  chmod 700 "$dir"
  if [ "$(id -u)" -eq 0 ]; then chown "$(pg_run_user)" "$dir"; fi
  if [ ! -s "$dir/data/PG_VERSION" ]; then
    pg_as_user "$bin/initdb" -D "$dir/data" -U vez --auth=trust --encoding=UTF8 --locale=C --no-sync \
      >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; return 1; }
    pg_as_user mkdir -p "$dir/socket"
    chmod 700 "$dir/socket"
  fi
  if ! pg_as_user "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; then
    # The server must not keep our output open, or a caller that reads it to its end would wait for the server's.
    pg_as_user "$bin/pg_ctl" -D "$dir/data" -l "$dir/postgres.log" -w -t 60 \
      -o "-c listen_addresses='' -c unix_socket_directories='$dir/socket' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=100" \
      start >"$dir/start.log" 2>&1 </dev/null || { cat "$dir/start.log" "$dir/postgres.log" >&2; return 1; }
  fi
}

# pg_scratch_stop DIR: stops the server of DIR at once, if it runs.
pg_scratch_stop() {
  local dir=$1 bin
  bin=$(pg_find_bin) || return 0
  if [ -s "$dir/data/postmaster.pid" ]; then
    pg_as_user "$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 20 stop >/dev/null 2>&1 || true
  fi
}

# pg_scratch_psql DIR DATABASE ARGS...: psql on that server as its owner, stopping at the first error.
pg_scratch_psql() {
  local dir=$1 database=$2 bin; shift 2
  bin=$(pg_find_bin) || return 1
  PGOPTIONS='--client-min-messages=warning' "$bin/psql" -X -q -o /dev/null -v ON_ERROR_STOP=1 -h "$dir/socket" -U vez -d "$database" "$@"
}

# pg_scratch_url DIR: the DATABASE_URL of its database.
pg_scratch_url() { printf 'postgres://vez@localhost/vez?host=%s/socket\n' "$1"; }

# pg_scratch_migrate DIR MIGRATIONS: makes the database anew and applies every migration in the order of the names.
pg_scratch_migrate() {
  local dir=$1 migrations=$2 file
  pg_scratch_psql "$dir" postgres -c 'DROP DATABASE IF EXISTS vez WITH (FORCE)' -c 'CREATE DATABASE vez' || return 1
  for file in "$migrations"/*.sql; do
    [ -e "$file" ] || continue
    # A migration with a reverse half (name.down.sql) is never applied forwards.
    case $file in *.down.sql) continue ;; esac
    pg_scratch_psql "$dir" vez -1 -f "$file" || { echo "migration $file failed" >&2; return 1; }
  done
}

# pg_migrations_sum MIGRATIONS: changes whenever a migration does.
pg_migrations_sum() { { cat "$1"/*.sql 2>/dev/null || true; } | cksum | tr ' ' '-'; }
