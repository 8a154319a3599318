#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the strict level costs: reads answered from memory, and the latency of a writer that is
# connected straight to the server, at the session level and with both ways of the strict one.
#
#   tests/bench/strict.sh PGCACHE PORT [ROUNDS] [SECONDS]
#
# PORT: of a server on 127.0.0.1 of its own (wal_level = logical, trust, user postgres), whose
# synchronous_standby_names it sets and which gets a table strict_bench.
set -euo pipefail
pgcache=$1 port=$2 rounds=${3:-3} seconds=${4:-5}
listen=$((port + 1)) admin=$((port + 2))
work=$(mktemp -d)
proxy=
server() { psql -h 127.0.0.1 -p "$port" -U postgres -Atq "$@" >/dev/null; }
names() {
  server -c "ALTER SYSTEM SET synchronous_standby_names = '$1'" -c 'SELECT pg_reload_conf()'
}
finish() {
  names '' || true
  [[ -z $proxy ]] || kill "$proxy" || true
  rm -rf "$work"
}
trap finish EXIT

names ''
server -c 'DROP TABLE IF EXISTS strict_bench' \
  -c 'CREATE TABLE strict_bench (id int PRIMARY KEY, v int)' \
  -c 'INSERT INTO strict_bench SELECT i, 0 FROM generate_series(1, 1000) i'
printf '%s\n' '\set id random(1, 1000)' 'SELECT v FROM strict_bench WHERE id = :id;' >"$work/read"
printf '%s\n' '\set id random(1, 1000)' 'UPDATE strict_bench SET v = v + 1 WHERE id = :id;' >"$work/write"

# Of pgbench's report: tps, latency average.
bench() {
  pgbench -n -M prepared -h 127.0.0.1 -U postgres -T "$seconds" "$@" postgres 2>/dev/null |
    sed -n 's/^tps = \([0-9.]*\).*/\1 a second/p; s/^latency average = //p' | paste -sd ' '
}

one_mode() {
  local label=$1 standbys=$2
  shift 2
  "$pgcache" run --origin "postgresql://postgres@127.0.0.1:$port/postgres?sslmode=disable" \
    --listen "127.0.0.1:$listen" --admin "127.0.0.1:$admin" --workers 1 --log-level error "$@" &
  proxy=$!
  sleep 1
  names "$standbys"
  until curl -sf "http://127.0.0.1:$admin/readyz" >/dev/null; do sleep 0.1; done
  bench -p "$listen" -c 4 -f "$work/read" >/dev/null
  echo "$label: reads, 1 client: $(bench -p "$listen" -c 1 -f "$work/read")"
  echo "$label: reads, 16 clients: $(bench -p "$listen" -c 16 -f "$work/read")"
  echo "$label: writes at the server, 1 client: $(bench -p "$port" -c 1 -f "$work/write")"
  echo "$label: writes at the server, 16 clients: $(bench -p "$port" -c 16 -f "$work/write")"
  names ''
  kill "$proxy"
  wait "$proxy" || true
  proxy=
}

for ((round = 0; round < rounds; ++round)); do
  one_mode session ''
  one_mode 'strict, lease' pgcache --consistency strict
  one_mode 'strict, read' '' --consistency strict --strict-verify read
done
