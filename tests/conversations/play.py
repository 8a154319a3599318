# SPDX-License-Identifier: Apache-2.0
"""Plays one conversation at two servers and compares what they answer.

A conversation is {"startup": [[name, value], ...], "steps": [step, ...]}, with at will "version",
"prelude" (hexadecimal, a request in front of the startup packet, answered by one byte),
"startup_bytes" (hexadecimal, in place of a startup packet, with "singles", how many single bytes
answer it) and "end" (messages that are sent last, and then the client shuts its side without a
Terminate); a step is
{"send": [message, ...]} with, at will, "cuts" (a seed: the bytes go out in random pieces), "pause"
(seconds to wait afterwards), and "elsewhere" (a statement that another client executes first).
"""

import random
import select
import socket
import time

import servers
import wire

QUIET = 0.05      # a server that has said nothing for this long waits for us
ENDS = 5.0 * servers.local.patience()  # a server closes the connection of a client that has left
OPEN = 0.1        # it may keep silent for longer where the client does not demand an answer
LAST_DOUBT = 0.6 * servers.local.patience()  # before two plays are called different, both get this long to say more


class Peer:
    def __init__(self, port, conversation):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.reader = wire.Reader(conversation.get("singles", 0))
        self.eof = False
        self.outgoing = wire.startup(conversation["startup"], conversation.get("version", 0x30000))
        if "startup_bytes" in conversation:
            self.outgoing = bytes.fromhex(conversation["startup_bytes"])
        if conversation.get("prelude"):
            self.socket.setblocking(True)
            self.socket.sendall(bytes.fromhex(conversation["prelude"]))
            self.reader.messages.append(("answer", self.socket.recv(1)))
            self.socket.setblocking(False)

    def messages(self):
        return self.reader.messages

    def turn(self, timeout):
        """Reads and writes what is possible; true if something was read."""
        if self.eof:
            time.sleep(min(timeout, 0.01))
            return False
        writers = [self.socket] if self.outgoing else []
        readable, writable, _ = select.select([self.socket], writers, [], timeout)
        try:
            if writable:
                self.outgoing = self.outgoing[self.socket.send(self.outgoing):]
        except OSError:
            self.outgoing = b""
        if not readable:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except OSError:
            data = b""
        if data:
            self.reader.feed(data)
        else:
            self.eof = True
            self.outgoing = b""
            self.reader.messages.append(("EOF", b""))
        return True

    def send(self, pieces):
        for number, piece in enumerate(pieces):
            if number:
                self.turn(0.002)
            self.outgoing += piece
            while self.outgoing and not self.eof:
                self.turn(1.0)

    def shut(self):
        """What is still on its way to us can come."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the server was faster

    def read_until(self, done, timeout, quiet=None):
        """False at the timeout; `quiet` seconds without a byte count as done."""
        deadline = time.monotonic() + timeout
        while not done() and not self.eof:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if not self.turn(left if quiet is None else min(quiet, left)) and quiet is not None:
                if not self.outgoing:
                    return True
        return True

    def drain(self, seconds):
        self.read_until(lambda: False, seconds)

    def close(self):
        self.socket.close()


def pieces_of(step):
    data = b"".join(wire.build(message) for message in step["send"])
    if step.get("cuts") is None or len(data) < 2:
        return [data]
    dice = random.Random(step["cuts"])
    cuts = sorted(dice.randrange(1, len(data)) for _ in range(dice.randint(1, 6)))
    return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]


def send_step(peer, step):
    peer.send(pieces_of(step))
    if ["shut"] in step["send"]:
        peer.shut()


def play_direct_step(peer, step, has_pause):
    before = len(peer.messages())
    wanted = sum(map(wire.owes_ready, step["send"]))
    send_step(peer, step)

    def done():
        new = peer.messages()[before:]
        if new and new[-1][0] == "G":
            return True
        return wanted > 0 and sum(1 for tag, _ in new if tag == "Z") >= wanted

    # An answer that is long in coming (a lock, a sleep) is waited for if one must come.
    if ["shut"] in step["send"]:
        peer.read_until(lambda: False, 10)  # the server closes
    else:
        peer.read_until(done, 10, QUIET if wanted == 0 or has_pause else 3 * QUIET)


class Difference:
    def __init__(self, step, kind, direct, proxied):
        self.step, self.kind, self.direct, self.proxied = step, kind, direct, proxied
        self.answers = []  # of PostgreSQL, for each step

    def signature(self):
        """What stays the same while the conversation is shortened."""
        def brief(messages):
            if not messages:
                return "nothing"
            tag, body = messages[0]
            return tag + (wire.fields(body).get("C", "") if tag in "EN" and body else "")
        return f"{self.kind} {brief(self.direct)} {brief(self.proxied)}"


def errors_of(direct, proxied):
    """The fields of two errors that stand against each other, or None."""
    if not direct or not proxied or direct[0][0] != "E" or proxied[0][0] != "E":
        return None
    return [{code: text for code, text in wire.fields(body).items() if code not in "LR"}
            for _, body in (direct[0], proxied[0])]


def accepted(direct, proxied):
    """Which known difference it is, or None.
    - In failed blocks, a statement or portal that memory alone knows is refused when it is prepared,
      with the same error from another place in PostgreSQL's source.
    - PostgreSQL loses its way (XX000) after a FunctionCall in the middle of an exchange."""
    errors = errors_of(direct, proxied)
    if direct and direct[0][0] == "E" and wire.fields(direct[0][1]).get("C") == "XX000":
        return "internal error of PostgreSQL"
    if errors is None:
        return None
    theirs, ours = errors
    if theirs == ours and ours.get("C") == "25P02":
        return "failed block"
    return None


class Outcome:
    """`steps` were compared; `accepted` is the known difference that has ended the comparison."""

    def __init__(self, steps, difference=None, accepted=None):
        self.steps, self.difference, self.accepted = steps, difference, accepted


def play(stack, conversation):
    ports = (stack.direct.port, stack.pgcache.port)
    peers = []
    try:
        for port in ports:
            peers.append(Peer(port, conversation))
        return compare(stack, conversation, *peers)
    finally:
        for peer in peers:
            peer.close()


def elsewhere(stack, number, sql):
    """Somebody else's statement. A session of ours may have locked what it needs, or redefined it:
    then in both servers, or that is a difference."""
    refused = stack.both_or_refused(sql)
    if sql.split()[0] in ("CREATE", "ALTER", "DROP", "GRANT", "REVOKE"):
        time.sleep(stack.DEFINITIONS_SECONDS)
    if refused[0] == refused[1]:
        return None
    words = ([("elsewhere", each.encode())] for each in refused)
    return Difference(number - 1, "lock", *words)


def peremptory(messages):
    """Whether the client demands an answer: an exchange is held until its Sync or a Flush, and what
    PostgreSQL says to a mistake in front of these comes with them."""
    demanded = True
    for message in messages:
        data = wire.build(message)
        tag = chr(data[0]) if data else ""
        if tag and tag in "PBDCE":
            demanded = False
        elif tag in "HS" and tag:
            demanded = demanded or len(data) == 5
        elif tag not in "Xfcd":
            demanded = True
    return demanded


def prefix(direct, proxied, start):
    """Whether, up to where the first of them ends, both have said the same. A server that nobody
    asked for its answer may keep some of it for itself when the client leaves."""
    ours, theirs = ([m for m in peer.messages()[start:] if m[0] != "EOF"]
                    for peer in (direct, proxied))
    return direct.eof and proxied.eof and all(map(equal, ours, theirs))


def compare(stack, conversation, direct, proxied):
    compared, marks = 0, []
    steps = [{"send": []}] + conversation["steps"]
    for number, step in enumerate(steps):
        if step.get("elsewhere"):
            difference = elsewhere(stack, number, step["elsewhere"])
            if difference is not None:
                return Outcome(number, difference)
        if number == 0:
            if "startup_bytes" not in conversation:
                direct.read_until(lambda: any(t in "ZE" for t, _ in direct.messages()), 10)
            if any(t == "E" for t, _ in direct.messages()):
                direct.drain(QUIET)
        else:
            play_direct_step(direct, step, bool(step.get("pause")))
            send_step(proxied, step)
        open_end = not peremptory(step["send"])
        proxied.read_until(lambda: len(proxied.messages()) >= len(direct.messages()),
                           OPEN if open_end else stack.patience)
        proxied.turn(0)
        if open_end and silent(direct, proxied, compared):
            marks.append(compared)
            continue
        if differ(direct, proxied, compared):
            direct.drain(LAST_DOUBT)
            if proxied.eof and not direct.eof:
                direct.read_until(lambda: False, ENDS)
            wanted = len(direct.messages())
            proxied.read_until(lambda: len(proxied.messages()) >= wanted, stack.patience)
            proxied.drain(LAST_DOUBT / 2)
        found = differ(direct, proxied, compared)
        marks.append(compared)
        if found is not None and open_end and prefix(direct, proxied, compared):
            return Outcome(number)
        if found is not None:
            rest = direct.messages()[found:], proxied.messages()[found:]
            known = accepted(*rest)
            if known is not None:
                return Outcome(number, accepted=known)
            kind = "hang" if len(rest[1]) == 0 and not proxied.eof else "bytes"
            difference = Difference(number - 1, kind, *rest)
            marks.append(len(direct.messages()))
            difference.answers = [direct.messages()[a:b] for a, b in zip(marks, marks[1:])]
            return Outcome(number, difference)
        compared = len(direct.messages())
        if direct.eof:
            return Outcome(number)
        if step.get("pause"):
            time.sleep(step["pause"])
    last = conversation.get("end", [])
    return finish(last, direct, proxied, len(steps), not peremptory(last) or (not last and open_end))


def finish(last, direct, proxied, number, open_end):
    """After a Terminate, or after the last word of a client that shuts its side, what is owed is
    still answered; then both must be closed."""
    compared = len(direct.messages())
    data = b"".join(map(wire.build, last or [["f", "the end"], ["X"]]))  # CopyFail: out of a COPY
    for peer in (direct, proxied):
        peer.send([data])
        if last and not peer.eof:
            peer.shut()
        peer.read_until(lambda: False, ENDS)
    found = differ(direct, proxied, compared)
    if found is None or (open_end and prefix(direct, proxied, compared)):
        return Outcome(number)
    return Outcome(number, Difference(number - 1, "end", direct.messages()[found:],
                                      proxied.messages()[found:]))


def silent(direct, proxied, start):
    """Whether all that is different is that more may come from the second."""
    return (differ(direct, proxied, start) == len(proxied.messages())
            and not direct.eof and not proxied.eof)


def equal(direct, proxied):
    """The same message. An error that pgcache makes itself, before there is a session, names no
    place in PostgreSQL's source."""
    if direct == proxied or direct[0] != "E" or proxied[0] != "E":
        return direct == proxied
    ours, theirs = (wire.fields(body) for _, body in (direct, proxied))
    for field in "FLR":
        if field not in theirs:
            ours.pop(field, None)
    return "F" not in theirs and ours == theirs


def differ(direct, proxied, start):
    """The first message that is not the same, or None."""
    ours, theirs = direct.messages(), proxied.messages()
    for at in range(start, max(len(ours), len(theirs))):
        if at >= len(ours) or at >= len(theirs) or not equal(ours[at], theirs[at]):
            return at
    if direct.reader.rest != proxied.reader.rest:
        return len(ours)
    return None
