#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Passes far more through pgcache than it may hold, and says how much memory it took.

COPY out and in, and single rows of hundreds of megabytes, by the simple and the extended protocol and as a
parameter. Each step runs in a new session; the peak of pgcache's resident memory is reset before it (Linux:
/proc/PID/clear_refs) and must stay within --bound of what it was. A table of the figures is printed.

    tests/bench/volume.py [--copy-gib 10] [--row-mb 500] [--bound-mib 64]
"""
import argparse
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import bench

sys.path.insert(0, str(bench.ROOT / "tests/conversations"))
import wire  # noqa: E402

ROW = b"x" * (1 << 20) + b"\n"  # of COPY in


def memory_kib(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise SystemExit(f"volume: no {field} of process {pid}")


def until_ready(connection):
    """Reads up to ReadyForQuery; returns the number of bytes. An error ends the run."""
    total, buffer = 0, bytearray(1 << 20)

    def read(size):
        left, first = size, b""
        while left > 0:
            count = connection.recv_into(buffer, min(left, len(buffer)))
            if count == 0:
                raise SystemExit("volume: pgcache closed the connection")
            first = first or bytes(buffer[:200])
            left -= count
        return first

    while True:
        header = read(5)
        size = struct.unpack("!I", header[1:5])[0] - 4
        body = read(size) if size else b""
        total += 5 + size
        if header[:1] == b"E":
            raise SystemExit(f"volume: {body!r}")
        if header[:1] == b"Z":
            return total


class Volume(bench.Bench):
    def client(self, arguments, feed=None):
        """psql through pgcache; returns the number of bytes that it printed. `feed` writes its input."""
        process = subprocess.Popen([str(self.bin / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1",
                                    *self.target("pgcache")[:-1], "-d", "postgres", *arguments],
                                   stdin=subprocess.PIPE if feed else subprocess.DEVNULL, stdout=subprocess.PIPE)
        if feed:
            threading.Thread(target=feed, args=(process.stdin,), daemon=True).start()
        printed = 0
        while piece := process.stdout.read1(1 << 20):
            printed += len(piece)
        if process.wait() != 0:
            raise SystemExit(f"volume: psql {' '.join(arguments)[:200]} failed")
        return printed

    def exchange(self, *messages):
        """One exchange of a session of its own, without a driver; returns the number of bytes received."""
        with socket.create_connection(("127.0.0.1", self.ports["pgcache"])) as connection:
            connection.sendall(wire.startup([("user", "postgres"), ("database", "postgres")]))
            until_ready(connection)
            for one in messages:
                connection.sendall(one)
            return until_ready(connection)

    def extended(self, sql, parameter):
        given = wire.be16(1) + wire.be32(len(parameter)) + parameter if parameter else wire.be16(0)
        return self.exchange(wire.build(["P", "", sql, []]),
                             wire.frame("B", b"\0\0" + wire.be16(0) + given + wire.be16(0)),
                             wire.build(["E", "", 0]), wire.build(["S"]))

    def step(self, name, expected, run, bound_kib):
        pid = self.processes["pgcache"].pid
        pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
        before = memory_kib(pid, "VmRSS")
        begin, cpu = time.time(), self.cpu_seconds("pgcache")
        passed = run()
        seconds, cpu = time.time() - begin, self.cpu_seconds("pgcache") - cpu
        grown = memory_kib(pid, "VmHWM") - before
        print(f"| {name:40} | {passed / 1e6:8.0f} MB | {seconds:6.1f} s | {passed / 1e6 / seconds:6.0f} MB/s | "
              f"{cpu:5.1f} s | {before / 1024:5.1f} MiB | {grown / 1024:+5.1f} MiB |", flush=True)
        if passed < expected:
            raise SystemExit(f"volume: {name}: {passed} bytes passed instead of {expected}")
        if grown > bound_kib:
            raise SystemExit(f"volume: {name}: pgcache's memory grew by {grown} KiB, more than {bound_kib}")


def measure(volume, copy_bytes, row_bytes, bound_kib):
    volume.psql("direct", "CREATE UNLOGGED TABLE sink (v text); CREATE FUNCTION drop_row() RETURNS trigger "
                "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER t BEFORE INSERT ON sink "
                "FOR EACH ROW EXECUTE FUNCTION drop_row()")
    rows = copy_bytes // 1000
    copy_bytes = 1000 * rows

    def feed(stream):
        for _ in range(copy_bytes // len(ROW) + 1):
            stream.write(ROW)
        stream.close()

    def copy_in():
        volume.client(["-c", "COPY sink FROM STDIN"], feed)
        return (copy_bytes // len(ROW) + 1) * len(ROW)

    print("| step | passed | time | rate | CPU of pgcache | memory before | grown by |\n|---|---|---|---|---|---|---|")
    volume.step("COPY out, rows of 1 kB", copy_bytes, lambda: volume.client(
        ["-c", f"COPY (SELECT repeat('x', 999) FROM generate_series(1, {rows})) TO STDOUT"]), bound_kib)
    volume.step("COPY in, rows of 1 MiB", copy_bytes, copy_in, bound_kib)
    wide = f"SELECT repeat('x', {row_bytes})"
    volume.step("one row, simple protocol", row_bytes, lambda: volume.client(["-c", wide]), bound_kib)
    volume.step("one row, COPY out", row_bytes, lambda: volume.client(["-c", f"COPY ({wide}) TO STDOUT"]), bound_kib)
    volume.step("one row, extended protocol", row_bytes, lambda: volume.extended(wide, b""), bound_kib)
    volume.step("one parameter, extended protocol", row_bytes, lambda: volume.extended(
        "SELECT octet_length($1)", b"p" * row_bytes) + row_bytes, bound_kib)
    literal = b"SELECT octet_length('" + b"s" * row_bytes + b"')\0"
    volume.step("one statement", row_bytes, lambda: volume.exchange(wire.frame("Q", literal)) + row_bytes, bound_kib)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copy-gib", type=float, default=10)
    parser.add_argument("--row-mb", type=int, default=500)
    parser.add_argument("--bound-mib", type=int, default=64)
    parser.add_argument("--binary", type=pathlib.Path, default=bench.ROOT / "build/release/pgcache")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="pgcache-volume-")
    volume = Volume(folder, args.binary)
    try:
        volume.start_postgres()
        volume.start_pgcache()
        measure(volume, int(args.copy_gib * (1 << 30)), args.row_mb * 1_000_000, args.bound_mib * 1024)
    finally:
        volume.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
