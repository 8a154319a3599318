# SPDX-License-Identifier: Apache-2.0
"""Two PostgreSQL servers that hold the same, and pgcache in front of the second."""

import ctypes
import os
import pwd
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import wire

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import local  # noqa: E402

BIN = "/usr/lib/postgresql/15/bin"
CONFIGURATION = """
listen_addresses = '127.0.0.1'
wal_level = logical
max_wal_senders = 10
max_replication_slots = 10
max_prepared_transactions = 5
max_connections = 60
shared_buffers = 32MB
fsync = off
full_page_writes = off
autovacuum = off
timezone = 'UTC'
log_timezone = 'UTC'
lock_timeout = '5s'
"""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def free_port():
    for _ in range(1000):
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_until(done, what, seconds=30.0, step=0.01):
    deadline = time.monotonic() + seconds * local.patience()
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"timeout: {what}")
        time.sleep(step)


class ServerError(RuntimeError):
    def __init__(self, body):
        super().__init__(str(wire.fields(body)))
        self.code = wire.fields(body).get("C")


class Control:
    """A connection of the test's own: simple queries only, errors raise."""

    def __init__(self, port, database="postgres"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.sendall(wire.startup([("user", "postgres"), ("database", database)]))
        self.read()

    def read(self):
        reader = wire.Reader()
        while not any(tag == "Z" for tag, _ in reader.messages):
            data = self.socket.recv(65536)
            if not data:
                raise RuntimeError(f"control connection closed: {reader.messages}")
            reader.feed(data)
        for tag, body in reader.messages:
            if tag == "E":
                raise ServerError(body)
        return reader.messages

    def query(self, sql):
        """The first column of the rows."""
        self.socket.sendall(wire.build(["Q", sql]))
        out = []
        for tag, body in self.read():
            if tag == "D":
                length = struct.unpack_from("!i", body, 2)[0]
                out.append(None if length < 0 else body[6:6 + length].decode())
        return out

    def close(self):
        self.socket.close()


class Cluster:
    def __init__(self, folder, copy_of=None, programs=BIN):
        self.folder, self.programs = folder, programs
        self.port = free_port()
        self.process = None
        self.user = "postgres" if os.geteuid() == 0 else None
        if copy_of is None:
            self.initialise()
        else:
            shutil.copytree(copy_of, folder)
        with open(os.path.join(folder, "postgresql.conf"), "w") as conf:
            conf.write(CONFIGURATION + f"unix_socket_directories = ''\nport = {self.port}\n")
        if self.user:
            record = pwd.getpwnam(self.user)
            for root, folders, files in os.walk(folder):
                for name in folders + files + ["."]:
                    os.chown(os.path.join(root, name), record.pw_uid, record.pw_gid)
        os.chmod(folder, 0o700)

    def run(self, arguments, **more):
        if self.user:
            more.update(user=self.user, group=self.user, extra_groups=[])
        return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, cwd="/", **more)

    def initialise(self):
        os.makedirs(self.folder)
        if self.user:
            record = pwd.getpwnam(self.user)
            os.chown(self.folder, record.pw_uid, record.pw_gid)
        process = self.run([f"{self.programs}/initdb", "-D", self.folder, "-U", "postgres", "-A", "trust",
                            "--no-sync", "--locale=C.UTF-8", "-E", "UTF8"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output = process.communicate()[0]
        if process.returncode != 0:
            raise RuntimeError(output.decode())

    def start(self):
        log = open(self.folder + ".log", "ab")
        self.process = self.run([f"{self.programs}/postgres", "-D", self.folder], stdout=log, stderr=log,
                                preexec_fn=die_with_parent)
        wait_until(self.answers, "PostgreSQL does not start")

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError("PostgreSQL ended: " + open(self.folder + ".log").read()[-2000:])
        try:
            Control(self.port).close()
            return True
        except (OSError, RuntimeError):
            return False

    def stop(self, how=signal.SIGINT):
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


class Pgcache:
    def __init__(self, binary, origin_port, log_path, settings=()):
        self.port, self.admin, self.log_path = free_port(), free_port(), log_path
        arguments = [binary, "run", "--origin",
                     f"postgresql://postgres@127.0.0.1:{origin_port}/postgres",
                     "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin}"]
        for setting in settings:
            arguments += ["--set", setting]
        self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL,
                                        stdout=open(log_path, "ab"), stderr=subprocess.STDOUT,
                                        preexec_fn=die_with_parent)

    def wait_ready(self):
        wait_until(self.ready, "pgcache is not ready")

    def http(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
            return answer.read().decode()

    def ready(self):
        if self.process.poll() is not None:
            raise RuntimeError("pgcache ended")
        try:
            self.http("/readyz")
            return True
        except OSError:
            return False

    def routes(self):
        """Queries by route, and bypasses and fallbacks by reason."""
        found = {}
        pattern = r'^pgcache_queries_total\{(.*)\} (\S+)'
        for labels, count in re.findall(pattern, self.http("/metrics"), re.M):
            label = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            name = ":".join(filter(None, (label.get("route"), label.get("reason"))))
            if float(count):
                found[name] = found.get(name, 0) + int(float(count))
        return found

    def count(self, metric):
        found = re.search(rf"^{metric} (\S+)", self.http("/metrics"), re.M)
        return int(float(found[1])) if found else 0

    def applied(self):
        found = re.search(r'"applied_lsn": "([0-9A-F]+)/([0-9A-F]+)"', self.http("/status"))
        return (int(found[1], 16) << 32) | int(found[2], 16) if found else 0

    def stop(self):
        """Why it did not end well, or nothing."""
        self.process.terminate()
        try:
            status = self.process.wait(20 * local.patience())
        except subprocess.TimeoutExpired:
            status = None
            self.process.kill()
            self.process.wait()
        with open(self.log_path, errors="replace") as log:
            return local.bad_end(status, log.read())


class Stack:
    """`direct` answers by itself, `origin` through pgcache."""

    # pgcache learns of other people's definitions by polling the catalog, as its manual says.
    POLL = "catalog_poll_interval=50ms"
    DEFINITIONS_SECONDS = 2  # many polls, for a machine that is busy otherwise
    # Its defaults are a second and less.
    WAITS = ("max_staleness", "load_wait_timeout", "tracking_wait_timeout")
    PATIENT = [f"{name}={local.patience()}s" for name in WAITS] if local.patience() > 1 else []
    HANG = 5.0 * local.patience()  # pgcache owes something for this many seconds: it hangs

    def __init__(self, binary, schema, settings=(), programs=BIN):
        self.folder = tempfile.mkdtemp(prefix="pgcache-conversations-")
        os.chmod(self.folder, 0o755)
        self.direct = self.origin = self.pgcache = None
        self.binary, self.settings = binary, [self.POLL, *self.PATIENT, *settings]
        self.patience = self.HANG
        try:
            self.direct = Cluster(os.path.join(self.folder, "direct"), programs=programs)
            self.direct.start()
            control = Control(self.direct.port)
            control.query(schema)
            control.close()
            self.direct.stop()
            self.origin = Cluster(os.path.join(self.folder, "origin"), self.direct.folder, programs)
            self.direct.start()
            self.origin.start()
            self.start_pgcache()
            self.controls = [Control(self.direct.port), Control(self.origin.port)]
        except BaseException:
            self.stop()
            raise

    def start_pgcache(self):
        self.pgcache = Pgcache(self.binary, self.origin.port,
                               os.path.join(self.folder, "pgcache.log"), self.settings)
        self.pgcache.wait_ready()

    def crashed(self):
        """Whether one of the PostgreSQL servers has crashed, for which pgcache is not to blame."""
        for cluster in (self.direct, self.origin):
            with open(cluster.folder + ".log", errors="replace") as log:
                if "was terminated by signal" in log.read():
                    return True
        return False

    def log_tails(self):
        tails = []
        logs = (self.pgcache.log_path, self.origin.folder + ".log", self.direct.folder + ".log")
        for path in logs:
            with open(path, errors="replace") as log:
                tails.append(f"--- {os.path.basename(path)}\n{log.read()[-1500:]}")
        return "\n".join(tails)

    def both(self, sql, settle=True):
        """Somebody else's statement, on both servers; applied by pgcache when this returns."""
        for control in self.controls:
            control.query(sql)
        if settle:
            self.settle()

    def both_or_refused(self, sql):
        """Likewise; the SQLSTATE with which each of them refuses it: for a lock that somebody holds,
        or since a table is another one now. Empty where it does not."""
        refused = []
        for control in self.controls:
            control.query("SET lock_timeout = '200ms'")
            try:
                control.query(sql)
                refused.append("")
            except ServerError as error:
                refused.append(error.code)
            control.query("RESET lock_timeout")
        self.settle()
        return refused

    def settle(self):
        high, low = self.controls[1].query("SELECT pg_current_wal_flush_lsn()")[0].split("/")
        wanted = (int(high, 16) << 32) | int(low, 16)
        wait_until(lambda: self.pgcache.applied() >= wanted, "pgcache does not apply", 20, 0.002)

    def stop(self):
        """Whether pgcache ended as it should; says why not."""
        complaint = self.pgcache.stop() if self.pgcache is not None else ""
        for part in (self.direct, self.origin):
            if part is not None:
                part.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        if complaint:
            print(complaint, flush=True)
        return not complaint
