#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures pgcache beside a direct connection and PgBouncer, all on this machine, in one run.

Starts its own PostgreSQL, PgBouncer and pgcache on free ports in a private folder and removes them
afterwards. Every figure is the median of alternating rounds: in each round every contender runs once, so
that a noisy moment hits all alike. CPU per query is what the proxy's own process used (user and system),
from /proc, divided by the queries it handled in that round.

    ./dev bench [--json FILE] [--rounds N] [--seconds S] [--clients 1,16] [--only simple,prepared]
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))

from local import as_postgres, bin_folder, free_port  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
KEYS = 1000  # of the hit workload: all of them fit and are warmed
MODES = ("simple", "extended", "prepared")
ROWS, ROW_BYTES = 200_000, 115

SCRIPTS = {
    "hit": f"\\set aid random(1, {KEYS})\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n",
    "miss": "\\set aid random(1, 2000000000)\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n",
    "bypass": f"\\set aid random(1, {KEYS})\n"
    "SELECT /* pgcache: off */ abalance FROM pgbench_accounts WHERE aid = :aid;\n",
    "large": "SELECT * FROM large;\n",
}
# contender -> (which server, which script)
CONTENDERS = {
    "direct": ("direct", "hit"),
    "pgbouncer": ("pgbouncer", "hit"),
    "pgcache hit": ("pgcache", "hit"),
    "pgcache miss": ("pgcache", "miss"),
    "pgcache bypass": ("pgcache", "bypass"),
}


class Bench:
    def __init__(self, folder, binary):
        self.folder = pathlib.Path(folder)
        self.binary = binary
        self.bin = bin_folder()
        self.processes = {}
        self.ports = {}

    def run(self, command, **kwargs):
        done = subprocess.run(command, capture_output=True, text=True, **kwargs)
        if done.returncode != 0:
            raise OSError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()[-1500:]}")
        return done.stdout

    def spawn(self, name, command):
        log = open(self.folder / f"{name}.log", "wb")
        self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def start_postgres(self):
        data = self.folder / "data"
        os.chmod(self.folder, 0o755)
        data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        self.run(as_postgres([str(self.bin / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "-N"]))
        port = self.ports["direct"] = free_port()
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": str(data),
                    "wal_level": "logical", "max_connections": 200, "shared_buffers": "256MB",
                    "autovacuum": "off", "log_min_messages": "error"}
        options = [arg for k, v in settings.items() for arg in ("-c", f"{k}={v}")]
        self.spawn("postgres", as_postgres([str(self.bin / "postgres"), "-D", str(data), *options]))
        self.wait(lambda: self.psql("direct", "SELECT 1"), "PostgreSQL")
        self.run([str(self.bin / "pgbench"), "-q", "-i", "-s", "1", *self.target("direct")])
        filler = ROW_BYTES - 5 - 2 - 4 - 6 - 4  # header, column count, two lengths, six digits
        self.psql("direct", "CREATE TABLE large AS SELECT 100000 + i AS id, repeat('x', %d) AS filler "
                  "FROM generate_series(1, %d) i; ALTER TABLE large ADD PRIMARY KEY (id)"
                  % (filler, ROWS))
        self.psql("direct", "VACUUM ANALYZE")

    def start_pgbouncer(self):
        port = self.ports["pgbouncer"] = free_port()
        ini = self.folder / "pgbouncer.ini"
        ini.write_text(f"[databases]\npostgres = host=127.0.0.1 port={self.ports['direct']}\n[pgbouncer]\n"
                       f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = session\n"
                       "max_client_conn = 200\ndefault_pool_size = 100\nunix_socket_dir =\n"
                       "log_connections = 0\nlog_disconnections = 0\n")
        sed = re.sub(r"^postgres = (.*)$", r"postgres = \1 user=postgres", ini.read_text(), flags=re.M)
        ini.write_text(sed)
        os.chmod(ini, 0o644)
        self.spawn("pgbouncer", as_postgres(["/usr/sbin/pgbouncer", str(ini)]))
        self.wait(lambda: self.psql("pgbouncer", "SELECT 1"), "PgBouncer")

    def start_pgcache(self):
        port, admin = self.ports["pgcache"], self.ports["admin"] = free_port(), free_port() + 1
        self.spawn("pgcache", [str(self.binary), "run", "--origin",
                               f"postgresql://postgres@127.0.0.1:{self.ports['direct']}/postgres",
                               "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}",
                               "--cache-size", "256MiB"])
        self.wait(lambda: urllib.request.urlopen(f"http://127.0.0.1:{admin}/readyz", timeout=2).read(), "pgcache")

    def wait(self, probe, what):
        deadline = time.time() + 30
        while True:
            try:
                return probe()
            except OSError as error:
                if time.time() > deadline:
                    logs = "\n".join(p.read_text(errors="replace")[-2000:] for p in self.folder.glob("*.log"))
                    raise SystemExit(f"bench: {what} did not start: {error}\n{logs}")
                time.sleep(0.1)

    def target(self, server):
        return ["-h", "127.0.0.1", "-p", str(self.ports[server]), "-U", "postgres", "postgres"]

    def psql(self, server, sql):
        return self.run([str(self.bin / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", *self.target(server)[:-1],
                         "-d", "postgres", "-c", sql])

    def cpu_seconds(self, server):
        if server == "direct":
            return 0.0
        pid = self.processes[server].pid
        if os.getuid() == 0 and server == "pgbouncer":  # runuser's child
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            pid = int(children[0]) if children else pid
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def pgbench(self, server, script, mode, clients, seconds=None, transactions=None):
        path = self.folder / f"{script}.sql"
        if not path.exists():
            path.write_text(SCRIPTS[script])
        limit = ["-T", str(seconds)] if seconds else ["-t", str(transactions)]
        before = self.cpu_seconds(server)
        out = self.run([str(self.bin / "pgbench"), "-n", "-M", mode, "-c", str(clients), "-j", "1", *limit,
                        "-f", str(path), *self.target(server)])
        cpu = self.cpu_seconds(server) - before
        done = int(re.search(r"actually processed: (\d+)", out)[1])
        tps = float(re.search(r"tps = ([\d.]+)", out)[1])
        return {"tps": tps, "cpu_us": cpu / done * 1e6, "queries": done}

    def routes(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}/metrics", timeout=5).read().decode()
        counts = {}
        for route, value in re.findall(r'pgcache_queries_total\{[^}]*route="(\w+)"[^}]*\} ([\d.e+]+)', text):
            counts[route] = counts.get(route, 0) + float(value)
        return counts

    def stop(self):
        for process in reversed(list(self.processes.values())):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def check_route(bench, contender, script, before, queries):
    """The figure is worth nothing if the queries took another route than its name says."""
    after = bench.routes()
    wanted = after.get(script, 0) - before.get(script, 0)
    if wanted < 0.98 * queries:
        delta = {r: after.get(r, 0) - before.get(r, 0) for r in after}
        raise SystemExit(f"bench: {contender}: {queries} queries, but routes were {delta}")


def measure_small(bench, modes, clients, rounds, seconds):
    results = []
    for mode in modes:
        for count in clients:
            samples = {name: [] for name in CONTENDERS}
            for _ in range(rounds):
                for name, (server, script) in CONTENDERS.items():
                    before = bench.routes()
                    if script == "hit" and server == "pgcache":  # warm, in this very mode
                        bench.pgbench(server, script, mode, 1, transactions=KEYS * 12)
                        before = bench.routes()
                    sample = bench.pgbench(server, script, mode, count, seconds=seconds)
                    if server == "pgcache":
                        check_route(bench, name, script, before, sample["queries"])
                    samples[name].append(sample)
            for name, runs in samples.items():
                results.append({"mode": mode, "clients": count, "contender": name,
                                "tps": statistics.median(r["tps"] for r in runs),
                                "cpu_us": statistics.median(r["cpu_us"] for r in runs)})
            report_group(results, mode, count)
    return results


def find(results, mode, clients, contender):
    return next(r for r in results if (r["mode"], r["clients"], r["contender"]) == (mode, clients, contender))


def report_group(results, mode, clients):
    direct = find(results, mode, clients, "direct")
    bouncer = find(results, mode, clients, "pgbouncer")
    for name in CONTENDERS:
        r = find(results, mode, clients, name)
        cpu = "" if name == "direct" else f"{r['cpu_us']:9.2f} {r['cpu_us'] / max(bouncer['cpu_us'], 1e-9):8.2f}x"
        print(f"{mode:9} {clients:7} {name:15} {r['tps']:10.0f} {r['tps'] / direct['tps']:8.2f}x {cpu}", flush=True)


def measure_large(bench, rounds):
    samples = {"direct": [], "pgbouncer": [], "pgcache": []}
    for _ in range(rounds):
        for server, runs in samples.items():
            runs.append(bench.pgbench(server, "large", "simple", 1, transactions=10))
    base = statistics.median(1 / r["tps"] for r in samples["direct"])
    results = []
    for server, runs in samples.items():
        seconds = statistics.median(1 / r["tps"] for r in runs)
        ns = statistics.median(r["cpu_us"] for r in runs) * 1000 / ROWS
        results.append({"contender": server, "seconds": seconds, "ratio": seconds / base, "cpu_ns_per_row": ns})
        print(f"{ROWS} rows of {ROW_BYTES} bytes  {server:10} {seconds * 1e3:8.1f} ms {seconds / base:6.2f}x "
              f"{'' if server == 'direct' else f'{ns:7.0f} ns CPU/row'}", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--clients", default="1,16")
    parser.add_argument("--only", default=",".join(MODES))
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/pgcache")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="pgcache-bench-")
    bench = Bench(folder, args.binary)
    try:
        bench.start_postgres()
        bench.start_pgbouncer()
        bench.start_pgcache()
        model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
        machine = f"{os.cpu_count()} x {model[1] if model else platform.machine()}"
        print(f"machine: {machine}; {bench.run([str(bench.bin / 'postgres'), '--version']).strip()}")
        print(f"medians of {args.rounds} alternating rounds of {args.seconds} s\n")
        print(f"{'mode':9} {'clients':>7} {'':15} {'queries/s':>10} {'of direct':>9} {'CPU µs':>9} {'of PgB.':>9}")
        small = measure_small(bench, args.only.split(","), [int(c) for c in args.clients.split(",")],
                              args.rounds, args.seconds)
        print()
        large = measure_large(bench, args.rounds)
        if args.json:
            args.json.write_text(json.dumps({"machine": machine, "small": small, "large": large}, indent=1))
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
