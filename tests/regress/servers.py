# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL with the database of the suites, and pgcache in front of it."""
import collections
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from local import as_postgres, bad_end, free_port, patience  # noqa: E402

SETTINGS = {
    "listen_addresses": "127.0.0.1", "wal_level": "logical", "max_prepared_transactions": "10",
    "max_connections": "100", "fsync": "off", "log_min_messages": "fatal", "log_statement": "none",
    "autovacuum": "on", "max_wal_senders": "10", "max_replication_slots": "10",
}
# What pg_regress sets of a database that it makes itself.
DATABASE_SETTINGS = {"lc_messages": "C", "lc_monetary": "C", "lc_numeric": "C", "lc_time": "C",
                     "bytea_output": "hex", "timezone_abbreviations": "Default"}
SAMPLE = re.compile(r'^pgcache_queries_total\{(.*)\} (\S+)$', re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')


def own(path):
    if os.getuid() == 0:
        call("chown", "-R", "postgres:", path)


def call(*command, **kwargs):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **kwargs)
    if done.returncode != 0:
        raise OSError(f"{command}: exit {done.returncode}: {done.stderr.strip()[-1500:]}")
    return done.stdout


def wait_for(probe, what, seconds=60):
    deadline = time.monotonic() + seconds * patience()
    while True:
        try:
            return probe()
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"regress: {what} did not start: {error}") from error
            time.sleep(0.1)


class Process:
    def __init__(self, command, log):
        with open(log, "ab") as file:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                                            start_new_session=True)

    def stop(self):
        """Its exit status, or None when it had to be killed."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30 * patience())
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return None


class Postgres:
    """A new cluster in a folder, running."""

    def __init__(self, suites, folder, template):
        self.suites, self.folder, self.port = suites, pathlib.Path(folder), free_port()
        if not template.exists():
            template.mkdir()
            own(template)
            call(*as_postgres([suites.bin / "initdb", "-D", template / "data", "-A", "trust", "-U", "postgres",
                              "-N", "-E", "UTF8", "--locale=C"]), cwd="/")
        call("cp", "-a", template / "data", self.folder / "data")
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        self.process = Process(as_postgres([suites.bin / "postgres", "-D", self.folder / "data",
                                           f"--port={self.port}", f"--unix_socket_directories={self.folder}/data",
                                           *options]), self.folder / "postgres.log")
        wait_for(lambda: self.psql("postgres", "SELECT 1"), "PostgreSQL")

    def psql(self, database, *statements):
        commands = [part for statement in statements for part in ("-c", statement)]
        return call(self.suites.bin / "psql", "-XAtq", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres",
                    "-v", "ON_ERROR_STOP=1", "-d", database, *commands)

    def create(self, database):
        self.psql("postgres", f'CREATE DATABASE "{database}" TEMPLATE template0',
                  *(f"ALTER DATABASE \"{database}\" SET {name} TO '{value}'"
                    for name, value in DATABASE_SETTINGS.items()))

    def stop(self):
        call(*as_postgres([self.suites.bin / "pg_ctl", "-D", self.folder / "data", "-m", "fast", "stop"]), cwd="/")
        self.process.process.wait(30)


class Pgcache:
    def __init__(self, binary, postgres, database, options):
        self.port, self.admin = free_port(), free_port() + 1
        url = f"postgresql://postgres@127.0.0.1:{postgres.port}/{database}"
        self.log, self.complaint = postgres.folder / "pgcache.log", ""
        # The suites list all event triggers, schemas and functions of their database.
        self.process = Process([binary, "run", "--origin", url, "--listen", f"127.0.0.1:{self.port}",
                                "--admin", f"127.0.0.1:{self.admin}", "--ddl-trigger", "false", *options],
                               self.log)
        wait_for(lambda: self.get("/readyz"), "pgcache")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=10) as answer:
            return answer.read().decode()

    def routes(self):
        """Queries by route, and by route:reason."""
        counts = collections.Counter()
        for labels, value in SAMPLE.findall(self.get("/metrics")):
            named = dict(LABEL.findall(labels))
            counts[named["route"]] += int(float(value))
            if named.get("reason"):
                counts[named["route"] + ":" + named["reason"]] += int(float(value))
        return counts

    def definitions_pending(self):
        return "\npgcache_definitions_pending 0\n" not in self.get("/metrics")

    def stop(self):
        """Keeps why it did not end well."""
        self.complaint = bad_end(self.process.stop(), self.log.read_text(errors="replace"))
