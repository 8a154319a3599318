# SPDX-License-Identifier: Apache-2.0
"""Stands between psql and pgcache and plays each cacheable query again until it is a hit.

Every byte is relayed. When an answer is complete and pgcache says that the query is cacheable, the query
is sent again on the same connection, before the client's next, until pgcache's counters show a hit;
each further answer must be the first one, byte by byte. Outside of transaction blocks the same is done
in the extended protocol with a binary result. One test runs at a time, so the counters are this query's.

With consistency = eventual the first answer is the origin's, and hits may be late for a moment.
"""
import collections
import dataclasses
import json
import re
import socket
import struct
import threading
import time
import urllib.parse

import servers

READ = re.compile(rb"(?is)^(?:\s+|--[^\n]*\n|/\*.*?\*/|\()*(?:select|values|table|with)\b")
# pgcache found the query cacheable and does not serve it yet.
SOON = {"bypass:after_write", "bypass:tracking_pending", "fallback:tracking_wait"}
# It may not know the catalog yet, or have judged nothing: /explain tells.
PERHAPS = {"bypass:comment", "bypass:definitions", "bypass:stale", "bypass:unknown_relation",
           "bypass:unknown_function", "bypass:unknown_type", "bypass:unknown_column", "bypass:unknown_operator",
           "bypass:no_replica_identity", "bypass:untracked"}
PATIENCE = 1.5  # seconds until a hit
CATALOG_PATIENCE = 0.4  # until pgcache has read the catalog after DDL
TEMPORARY = re.compile(rb"(?i)\btemp(?:orary)?\b|\bpg_temp\b")
VACUUM = re.compile(rb"(?i)\s*vacuum\b")
OFF = b"\n/* pgcache: off */"
SSL_REQUESTS = {80877103, 80877104}
CANCEL_REQUEST = 80877102


class Wire:
    """One side: whole frames in, bytes out."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, bytearray()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def take(self, size):
        while len(self.buffer) < size:
            more = self.sock.recv(1 << 16)
            if not more:
                raise ConnectionError
            self.buffer += more
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def frame(self):
        head = self.take(5)
        return head + self.take(struct.unpack("!I", head[1:])[0] - 4)

    def startup(self):
        head = self.take(4)
        return head + self.take(struct.unpack("!I", head)[0] - 4)

    def send(self, data):
        self.sock.sendall(data)


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


def extended(sql):
    """Parse, Bind with a binary result, Describe, Execute, Sync."""
    return (message(b"P", b"\0" + sql + b"\0\0\0") + message(b"B", b"\0\0\0\0\0\0\0\1\0\1")
            + message(b"D", b"P\0") + message(b"E", b"\0\0\0\0\0") + message(b"S", b""))


def answer_of(frames):
    """What must be the same each time: not the notices, which only a computed answer repeats."""
    return [frame for frame in frames if frame[:1] not in (b"N", b"A", b"S")]


def read_answer(server, client=None):
    frames = []
    while True:
        frame = server.frame()
        if client:
            client.send(frame)
        frames.append(frame)
        if frame[:1] == b"Z":
            return frames
        if frame[:1] == b"G" and client:
            pump_copy(client, server)


def pump_copy(client, server):
    while True:
        frame = client.frame()
        server.send(frame)
        if frame[:1] in (b"c", b"f"):
            return


@dataclasses.dataclass
class Wrong:
    sql: str
    protocol: str
    first: list  # frames
    later: list

    def only_reordered(self):
        return sorted(self.first) == sorted(self.later)

    def __str__(self):
        return f"{self.protocol}: {self.sql}\n  first {b''.join(self.first)!r}\n  later {b''.join(self.later)!r}"


class Replayer:
    """A relay that replays if it is told to. In front of a VACUUM it always waits a moment: plans depend on
    which rows VACUUM finds visible to everybody, also to pgcache while it reads the catalog."""

    def __init__(self, pgcache, replays, eventual):
        self.pgcache, self.replays, self.eventual = pgcache, replays, eventual
        self.counts = collections.Counter()
        self.wrong = []
        self.lock = threading.Lock()
        self.port = servers.free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def hits(self):
        return self.counts["simple: hit"] + self.counts["binary: hit"]

    def stop(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client_socket):
        server_socket = socket.create_connection(("127.0.0.1", self.pgcache.port))
        with client_socket, server_socket:
            client, server = Wire(client_socket), Wire(server_socket)
            server.temporary = False  # whether the session may have temporary tables
            try:
                self.begin(client, server)
                while True:
                    self.exchange(client, server)
            except OSError:  # either side has gone
                return

    def begin(self, client, server):
        packet = client.startup()
        while struct.unpack("!I", packet[4:8])[0] in SSL_REQUESTS:
            client.send(b"N")
            packet = client.startup()
        server.send(packet)
        if struct.unpack("!I", packet[4:8])[0] == CANCEL_REQUEST:
            raise ConnectionError
        read_answer(server, client)

    def exchange(self, client, server):
        frame = client.frame()
        sql = frame[5:-1] if frame[:1] == b"Q" else b""
        if self.replays and READ.match(sql):
            self.exchange_read(client, server, sql)
            return
        server.temporary = server.temporary or TEMPORARY.search(sql)
        if VACUUM.match(sql):
            time.sleep(CATALOG_PATIENCE)
        server.send(frame)
        if frame[:1] in (b"Q", b"S", b"F"):
            read_answer(server, client)

    def exchange_read(self, client, server, sql):
        with self.lock:
            before = self.pgcache.routes()
            server.send(message(b"Q", sql + (OFF if self.eventual else b"") + b"\0"))
            first = read_answer(server, client)
            route = self.route_since(before)
            self.counts["first: " + route] += 1
            if any(frame[:1] in (b"E", b"G", b"H") for frame in first):
                return
            if self.may_replay(sql, route, server):
                self.replay(server, sql, "simple", message(b"Q", sql + b"\0"), answer_of(first))
                if first[-1][5:6] == b"I":
                    self.replay(server, sql, "binary", extended(sql), self.origin_binary(server, sql))

    def origin_binary(self, server, sql):
        """None: whatever the first answer is."""
        if not self.eventual:
            return None
        server.send(extended(sql + OFF))
        return answer_of(read_answer(server))

    def route_since(self, before):
        taken = self.pgcache.routes() - before
        detailed = [name for name in taken if ":" in name] or list(taken)
        return detailed[0] if len(detailed) == 1 else "unknown"

    def may_replay(self, sql, route, server):
        """Whether it is sure that another execution does no harm."""
        if route in {"hit", "miss"} | SOON:
            return True
        if route not in PERHAPS or server.temporary:
            return False
        deadline = time.monotonic() + CATALOG_PATIENCE
        while time.monotonic() < deadline:
            if self.explained_cacheable(sql):
                return True
            time.sleep(0.01)
        self.counts["not replayed: " + route] += 1
        return False

    def explained_cacheable(self, sql):
        query = urllib.parse.urlencode({"q": sql, "format": "json"})
        try:
            if self.pgcache.definitions_pending():
                return False
            return json.loads(self.pgcache.get(f"/explain?{query}"))["cacheable"]
        except OSError:
            return False

    def replay(self, server, sql, protocol, request, expected):
        deadline, route, late = time.monotonic() + PATIENCE, "", None
        while time.monotonic() < deadline:
            before = self.pgcache.routes()
            server.send(request)
            frames = read_answer(server)
            answer, route = answer_of(frames), self.route_since(before)
            if expected is None:
                expected = answer
            if any(frame[:1] == b"E" for frame in frames) and answer == expected:
                self.counts[f"{protocol}: no such form"] += 1
                return
            late = answer if answer != expected else None
            if late is not None and not self.eventual:
                break
            if route == "hit" and late is None:
                self.counts[f"{protocol}: hit"] += 1
                return
            if late is None and route not in {"miss", "hit"} | SOON | PERHAPS:
                break
            self.counts[f"{protocol}: late"] += late is not None
            time.sleep(0.01)
        if late is not None:
            self.wrong.append(Wrong(sql.decode("utf-8", "replace"), protocol, expected, late))
        self.counts[f"{protocol}: {'other answer' if late is not None else 'no hit'}, {route}"] += 1
