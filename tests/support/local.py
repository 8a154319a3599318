# SPDX-License-Identifier: Apache-2.0
"""What programs need that start servers of their own on this machine."""

import contextlib
import os
import pathlib
import socket
import time


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
