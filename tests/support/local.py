# SPDX-License-Identifier: Apache-2.0
"""What programs need that start servers of their own on this machine."""

import contextlib
import os
import pathlib
import re
import socket
import time

# How many times longer things may take with a pgcache that is built with the sanitizer named in
# $TEST_SANITIZER (the same table: patience() in sanitizer.cc).
SLOWNESS = {"address": 3, "thread": 6}
# The last line of each report of a sanitizer.
REPORT = re.compile(r"^SUMMARY: \w+Sanitizer\b.*$", re.MULTILINE)


def free_port():
    """Below the ephemeral ports, so that nobody else is given it meanwhile; another of these programs may
    still take it, and the start fails then."""
    start = 15000 + (os.getpid() * 37 + time.time_ns() // 1000) % 12000
    for port in range(start, 32000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port")


def bin_folder():
    """Of the newest PostgreSQL server that Debian's packages have installed."""
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    if not folders:
        raise OSError("no PostgreSQL server binaries (apt-get install postgresql)")
    return folders[-1]


def as_postgres(command):
    """PostgreSQL refuses to run as root."""
    command = [str(part) for part in command]
    return ["runuser", "-u", "postgres", "--", *command] if os.getuid() == 0 else command


def patience():
    """By what limits of time are multiplied."""
    return SLOWNESS.get(os.environ.get("TEST_SANITIZER"), 1)


def bad_end(status, log):
    """Why a pgcache that has ended with this status (None: it had to be killed), having been told to,
    did not end well, from the text of its log; empty when it did."""
    reasons = REPORT.findall(log)
    if status != 0:
        reasons.append("it did not end in time" if status is None else f"exit status {status}")
    if not reasons:
        return ""
    start = re.search(r"(?m)^.*(?:ERROR: \w+Sanitizer|WARNING: \w+Sanitizer|runtime error: )", log)
    told = log[start.start():][:12000] if start else log[-4000:]
    return f"pgcache did not end well: {'; '.join(reasons)}\n{told}"
