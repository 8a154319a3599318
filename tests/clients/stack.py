# SPDX-License-Identifier: Apache-2.0
"""A private PostgreSQL with the clients' schema and a pgcache in front of it, for one client program."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

from local import as_postgres, bad_end, bin_folder, free_port, patience  # noqa: E402


class Stack(contextlib.AbstractContextManager):
    """Ports are free ones, unless they are given. Leaving it raises OSError when pgcache did not end well."""

    def __init__(self, binary, origin_port=None, port=None):
        self._binary = binary
        self._bin = bin_folder()
        self._processes = {}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pgcache-clients-"))
        try:
            self.origin = self._start_postgres(origin_port or free_port())
            self.pgcache, self.admin = self._start_pgcache(port or free_port())
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        ends = {name: self._end(process) for name, process in reversed(self._processes.items())}
        complaint = bad_end(ends["pgcache"], self.log(None)) if "pgcache" in ends else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        if complaint:
            raise OSError(complaint)

    def _end(self, process):
        """Its exit status, or None when it had to be killed."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            return process.wait(20 * patience())
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None

    def log(self, bytes_max=4000):
        """The end of pgcache's log, or all of it (None)."""
        return (self.folder / "pgcache.log").read_text(errors="replace")[-(bytes_max or 0):]

    def _spawn(self, name, command):
        with open(self.folder / f"{name}.log", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        self._processes[name] = process
        return process

    def _start_postgres(self, port):
        data = self.folder / "data"
        os.chmod(self.folder, 0o755)
        data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        subprocess.run(as_postgres([self._bin / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                                    "--locale=C.UTF-8", "--no-sync"]), check=True, stdout=subprocess.DEVNULL)
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": data,
                    "wal_level": "logical", "max_connections": 200, "fsync": "off", "timezone": "UTC",
                    "autovacuum": "off", "max_prepared_transactions": 10}
        options = [arg for name, value in settings.items() for arg in ("-c", f"{name}={value}")]
        server = self._spawn("postgres", as_postgres([self._bin / "postgres", "-D", data, *options]))
        url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._wait(server, lambda: self.psql(url, "-c", "SELECT 1"))
        self.psql(url, "-f", str(HERE / "schema.sql"))
        return url

    def psql(self, url, *arguments):
        done = subprocess.run([self._bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", url, *arguments],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise OSError(done.stderr)

    def _start_pgcache(self, port):
        admin = free_port()
        if admin == port:
            admin += 1
        process = self._spawn("pgcache", [self._binary, "run", "--origin", self.origin,
                                          "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"])
        admin_url = f"http://127.0.0.1:{admin}"
        self._wait(process, lambda: urllib.request.urlopen(admin_url + "/readyz", timeout=2).close())
        return f"postgresql://postgres@127.0.0.1:{port}/postgres", admin_url

    def _wait(self, process, probe):
        deadline = time.monotonic() + 60
        while True:
            try:
                return probe()
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    logs = "\n".join(log.read_text(errors="replace")[-2000:] for log in self.folder.glob("*.log"))
                    raise OSError(f"not started: {error}\n{logs}") from error
                time.sleep(0.05)
