#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the protocol scripts of this folder (language.py says what they look like) at a PostgreSQL
server and through pgcache at a second one that holds the same. Both must answer as the script says,
byte for byte the same but for keys, process numbers and the oids of new objects, and pgcache's
queries must take the routes that it says.

    run.py --binary PGCACHE [--only PART_OF_A_NAME] [--record] [FILE]...

--record writes what PostgreSQL answered, and the routes, into the files: read the difference.

Exit status: 0 all as the scripts say; 1 something else, or a pgcache that did not end well; 2 the test
itself could not run.
"""

import argparse
import os
import pathlib
import shlex
import signal
import socket
import struct
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "conversations"))

import language  # noqa: E402
import play  # noqa: E402
import servers  # noqa: E402
import wire  # noqa: E402

QUIET = 0.01 * servers.local.patience()  # nothing more comes; what comes later is seen in the next step
HANG = 8.0 * servers.local.patience()
WIDTH = 100
REQUESTS = ("0000000804d2162f", "0000000804d21630")  # for encryption: a single byte answers them


class KeyReader(wire.Reader):
    key = b""

    def normal(self, tag, body):
        if tag == "K":
            self.key = body
        return super().normal(tag, body)


class Session:
    """The same session at both servers."""

    def __init__(self, stack, parameters, startup_bytes=None):
        opening = {"startup": [["user", "postgres"], ["database", "postgres"]]}
        if startup_bytes is not None:
            opening["startup_bytes"] = startup_bytes
            opening["singles"] = int(startup_bytes.startswith(REQUESTS))
        for name, value in parameters:
            if name == "version":
                major, minor = value.split(".")
                opening["version"] = int(major) << 16 | int(minor)
            else:
                opening["startup"].append([name, value])
        self.peers = []
        for port in (stack.direct.port, stack.pgcache.port):
            peer = play.Peer(port, opening)
            peer.reader = KeyReader(opening.get("singles", 0))
            if startup_bytes is None:
                peer.read_until(lambda p=peer: any(t in "ZE" for t, _ in p.messages()), 10)
            self.peers.append(peer)
        self.read = [0 if startup_bytes is not None else len(p.messages()) for p in self.peers]
        self.ports = (stack.direct.port, stack.pgcache.port)

    def exchange(self, which, step):
        """What comes back, raw; until as much has come as is owed, or nothing comes any more."""
        peer = self.peers[which]
        peer.send([b"".join(map(wire.build, step.send))])
        if ["shut"] in step.send:
            peer.shut()
        start = self.read[which]
        owed = sum(map(wire.owes_ready, step.send))
        wanted = len(step.expect)

        def done():
            new = peer.messages()[start:]
            if wanted:
                return len(new) >= wanted
            return owed > 0 and sum(1 for tag, _ in new if tag in "ZG") >= owed

        peer.read_until(done, HANG if owed or wanted else 0.3)
        peer.drain(QUIET if wanted else 5 * QUIET)
        self.read[which] = len(peer.messages())
        return peer.messages()[start:]

    def cancel(self):
        for port, peer in zip(self.ports, self.peers):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as request:
                body = struct.pack("!I", 80877102) + peer.reader.key
                request.sendall(struct.pack("!I", len(body) + 4) + body)
                request.recv(1)

    def close(self):
        for peer in self.peers:
            peer.close()


class Player:
    # As long as a server may take to tell its processes of a reload, and some looks at it behind that.
    CONFIGURATION_SECONDS = 0.5 * servers.local.patience()

    def __init__(self, stack, record):
        self.stack, self.record = stack, record
        self.failures = []
        self.recorded = {}  # path to [(first line, last line, after line, new lines)]
        self.steps = 0
        self.warmer = Session(stack, [])

    def warm(self):
        """Until what is loaded can be hit: tables are tracked, and snapshots see the reset."""
        probe = language.Step(0)
        probe.send = [["Q", "SELECT count(*) FROM t, w, k"]]

        def tracked():
            before = self.stack.pgcache.routes().get("hit", 0)
            self.warmer.exchange(1, probe)
            return self.stack.pgcache.routes().get("hit", 0) > before

        servers.wait_until(tracked, "the tables are not tracked", 20)

    def play(self, script):
        self.stack.both((HERE / "reset.sql").read_text())
        self.warm()
        sessions, parameters = {}, []
        try:
            for step in script.steps:
                if step.action and step.action[0] == "connect":
                    parameters = [pair.split("=", 1) for pair in shlex.split(step.action[1])]
                    continue
                if step.action and step.action[0] in ("elsewhere", "pause"):
                    self.act(step, None)
                    continue
                if step.session not in sessions:
                    startup = None
                    if step.send and step.send[0][0] == "startup":
                        startup = step.send.pop(0)[1]
                    sessions[step.session] = Session(self.stack, parameters, startup)
                    parameters = []
                if step.action:
                    self.act(step, sessions[step.session])
                elif not self.check(script, step, sessions[step.session]) and not self.record:
                    return
        finally:
            for session in sessions.values():
                session.close()

    def act(self, step, session):
        word, rest = step.action
        if word == "elsewhere":
            self.stack.both(rest)
        elif word == "pause":
            time.sleep(float(rest))
        elif word == "cancel":
            session.cancel()
        elif word == "settle":
            if rest == "configuration":
                time.sleep(self.CONFIGURATION_SECONDS)
            self.settle(session)
        else:
            raise RuntimeError(f"no such directive: {word}")

    def settle(self, session):
        """Until a read of the session is no longer held back by what it wrote or may have defined."""
        self.stack.settle()
        # Might have written anything: so the probe waits for all that the session wrote before.
        anything = language.Step(0)
        anything.send = [["Q", "SELECT set_config('scripts.settled', '', false)"]]
        for peer in (0, 1):
            session.exchange(peer, anything)
        probe = language.Step(0)
        probe.send = [["Q", "SELECT 'settled' FROM public.t LIMIT 1"]]
        reasons = ("bypass:after_write", "bypass:definitions")

        def over():
            before = self.stack.pgcache.routes()
            session.exchange(1, probe)
            after = self.stack.pgcache.routes()
            return all(after.get(key, 0) == before.get(key, 0) for key in reasons)

        session.exchange(0, probe)
        servers.wait_until(over, "the session's writes are not applied", 10, 0.005)

    def check(self, script, step, session):
        self.steps += 1
        before = self.stack.pgcache.routes()
        direct = session.exchange(0, step)
        proxied = session.exchange(1, step)
        after = self.stack.pgcache.routes()
        routes = {k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)}
        got = [[language.token_of(m) for m in messages] for messages in (direct, proxied)]
        if self.record:
            self.note(step, got[0], routes)
        problems = []
        expect = got[0] if self.record else step.expect
        for who, tokens in zip(("PostgreSQL", "pgcache"), got):
            if tokens != expect:
                problems.append(f"{who}: {' '.join(tokens)}")
        if not problems and not same(direct, proxied):
            problems += [f"PostgreSQL: {direct}", f"pgcache: {proxied}"]
        if problems:
            problems.insert(0, f"expected: {' '.join(expect)}")
        if not self.record and step.routes is not None and not agree(routes, step.routes):
            problems.append(f"routes: {routes}, expected {step.routes}")
        if not problems:
            return True
        place = f"{script.path.name}:{step.line}: {script.name}"
        print("\n  ".join([place, *problems]), flush=True)
        self.failures.append(place)
        return False

    def note(self, step, tokens, routes):
        lines, line = [], "<"
        for token in tokens:
            if len(line) + len(token) >= WIDTH and line != "<":
                lines.append(line)
                line = "<"
            line += " " + token
        lines.append(line)
        if step.routes and agree(routes, step.routes):
            routes = step.routes  # with its bars
        if routes:
            lines.append("! " + " ".join(f"{k}={v}" for k, v in sorted(routes.items())))
        self.recorded[step.last_line] = lines

    def write(self, path):
        """The recorded answers in place of the old ones."""
        out, dropping = [], False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if dropping and line[:1] in "<!" and line:
                continue
            dropping = False
            out.append(line)
            if number in self.recorded:
                out += self.recorded[number]
                dropping = True
        path.write_text("\n".join(out) + "\n")
        self.recorded = {}


def agree(routes, wanted):
    """Where several are named, by a bar between them, their sum counts."""
    left = dict(routes)
    for names, count in wanted.items():
        if sum(left.pop(name, 0) for name in names.split("|")) != count:
            return False
    return not left


def same(direct, proxied):
    """Equal bytes; of errors the place in PostgreSQL's source may be another."""
    def plain(message):
        tag, body = message
        if tag not in "EN" or not body:
            return message
        return tag, {k: v for k, v in wire.fields(body).items() if k not in "LR"}

    def alike(ours, theirs):
        return play.equal(ours, theirs) or plain(ours) == plain(theirs)
    return len(direct) == len(proxied) and all(map(alike, direct, proxied))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.environ.get("PGCACHE_BINARY"))
    parser.add_argument("--only", default="")
    parser.add_argument("--pg-bin", default=servers.BIN, help="the folder of PostgreSQL's programs")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--part", help="K/N: of the scripts each Nth, from the Kth on")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    if not options.binary:
        print("say which program with --binary or $PGCACHE_BINARY", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    stack, status = None, 2
    try:
        stack = servers.Stack(options.binary, (HERE / "schema.sql").read_text(),
                              programs=options.pg_bin)
        player = Player(stack, options.record)
        part, parts = map(int, (options.part or "1/1").split("/"))
        count = number = 0
        for path in options.files or sorted(HERE.glob("*.pgs")):
            for script in language.read(path):
                number += 1
                if options.only in script.name and number % parts == part % parts:
                    player.play(script)
                    count += 1
            if options.record:
                player.write(path)
        print(f"{count} scripts, {player.steps} steps, {len(player.failures)} failures")
        status = 1 if player.failures or not count else 0
    except (RuntimeError, OSError) as error:
        print(f"the test could not run: {error}", file=sys.stderr)
        if stack is not None and stack.pgcache is not None:
            print(stack.log_tails(), file=sys.stderr)
    finally:
        if stack is not None and not stack.stop():
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
