# SPDX-License-Identifier: Apache-2.0
"""Plays one conversation at a server, compares two plays, and shortens a conversation that shows a
difference.

A conversation is {"startup": [[name, value], ...], "steps": [step, ...]}, with at will "version",
"prelude" (hexadecimal, a request in front of the startup packet, answered by one byte) and "end"
(messages that are sent last, and then the client shuts its side without a Terminate); a step is
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
HANG = 5.0 * servers.local.patience()  # pgcache owes something for this long: a hang
LAST_DOUBT = 0.6 * servers.local.patience()  # before two plays are called different, both get this long to say more


class Peer:
    def __init__(self, port, conversation):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.reader = wire.Reader()
        self.eof = False
        self.outgoing = wire.startup(conversation["startup"], conversation.get("version", 0x30000))
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


def play_direct_step(peer, step, has_pause):
    before = len(peer.messages())
    wanted = sum(1 for m in step["send"] if m[0] in wire.SYNCHRONIZING)
    peer.send(pieces_of(step))

    def done():
        new = peer.messages()[before:]
        if new and new[-1][0] == "G":
            return True
        return wanted > 0 and sum(1 for tag, _ in new if tag == "Z") >= wanted

    # An answer that is long in coming (a lock, a sleep) is waited for if one must come.
    peer.read_until(done, 10, QUIET if wanted == 0 or has_pause else 3 * QUIET)


class Difference:
    def __init__(self, step, kind, direct, proxied):
        self.step, self.kind, self.direct, self.proxied = step, kind, direct, proxied

    def signature(self):
        """What stays the same while the conversation is shortened."""
        def brief(messages):
            if not messages:
                return "nothing"
            tag, body = messages[0]
            return tag + (wire.fields(body).get("C", "") if tag in "EN" and body else "")
        return f"{self.kind} {brief(self.direct)} {brief(self.proxied)}"


def accepted(direct, proxied):
    """The known difference, in failed blocks: a statement or portal that memory alone knows is
    refused when it is prepared, with the same error from another place in PostgreSQL's source."""
    tag, body = proxied[0] if proxied else ("", b"")
    if tag == "E" and direct and direct[0][0] == "E":
        theirs, ours = ({code: text for code, text in wire.fields(each).items() if code not in "LR"}
                        for each in (direct[0][1], body))
        return theirs == ours and ours.get("C") == "25P02"
    return False


def play(stack, conversation):
    """(a Difference or None, how many steps were compared)"""
    ports = (stack.direct.port, stack.pgcache.port)
    peers = [Peer(port, conversation) for port in ports]
    try:
        return compare(stack, conversation, *peers)
    finally:
        for peer in peers:
            peer.close()


def compare(stack, conversation, direct, proxied):
    compared = 0
    steps = [{"send": []}] + conversation["steps"]
    for number, step in enumerate(steps):
        if step.get("elsewhere"):
            stack.both(step["elsewhere"])
            if step["elsewhere"].split()[0] in ("CREATE", "ALTER", "DROP", "GRANT", "REVOKE"):
                time.sleep(stack.DEFINITIONS_SECONDS)
        if number == 0:
            direct.read_until(lambda: any(t in "ZE" for t, _ in direct.messages()), 10)
            if any(t == "E" for t, _ in direct.messages()):
                direct.drain(QUIET)
        else:
            play_direct_step(direct, step, bool(step.get("pause")))
            proxied.send(pieces_of(step))
        proxied.read_until(lambda: len(proxied.messages()) >= len(direct.messages()), HANG)
        proxied.turn(0)
        if differ(direct, proxied, compared):
            direct.drain(LAST_DOUBT)
            wanted = len(direct.messages())
            proxied.read_until(lambda: len(proxied.messages()) >= wanted, HANG)
            proxied.drain(LAST_DOUBT / 2)
        found = differ(direct, proxied, compared)
        if found is not None:
            rest = direct.messages()[found:], proxied.messages()[found:]
            if accepted(*rest):
                return None, number
            kind = "hang" if len(rest[1]) == 0 and not proxied.eof else "bytes"
            return Difference(number - 1, kind, *rest), number
        compared = len(direct.messages())
        if direct.eof:
            return None, number
        if step.get("pause"):
            time.sleep(step["pause"])
    return finish(conversation.get("end", []), direct, proxied, len(steps))


def finish(last, direct, proxied, number):
    """After a Terminate, or after the last word of a client that shuts its side, what is owed is
    still answered; then both must be closed."""
    compared = len(direct.messages())
    data = b"".join(map(wire.build, last or [["f", "the end"], ["X"]]))  # CopyFail: out of a COPY
    for peer in (direct, proxied):
        peer.send([data])
        if last and not peer.eof:
            peer.socket.shutdown(socket.SHUT_WR)
        peer.read_until(lambda: False, HANG)
    found = differ(direct, proxied, compared)
    if found is None:
        return None, number
    return Difference(number - 1, "end", direct.messages()[found:],
                      proxied.messages()[found:]), number


def differ(direct, proxied, start):
    """The first message that is not the same, or None."""
    ours, theirs = direct.messages(), proxied.messages()
    for at in range(start, max(len(ours), len(theirs))):
        if at >= len(ours) or at >= len(theirs) or ours[at] != theirs[at]:
            return at
    if direct.reader.rest != proxied.reader.rest:
        return len(ours)
    return None


def shorten(stack, conversation, signature, reset, deadline):
    """Leaves out whole steps, then single messages, then details, while the difference stays."""

    def fails(steps):
        reset()
        candidate = dict(conversation, steps=steps)
        for _ in range(2):  # what the first play loads, the second may hit
            difference, _ = play(stack, candidate)
            if difference is not None:
                return difference.signature() == signature
        return False

    steps = conversation["steps"]
    if not fails(steps):
        return None
    width = max(1, len(steps) // 2)
    while width >= 1 and time.monotonic() < deadline:
        at = len(steps) - width
        while at >= 0 and time.monotonic() < deadline:
            candidate = steps[:at] + steps[at + width:]
            if fails(candidate):
                steps = candidate
            at -= width
        width //= 2
    for number in reversed(range(len(steps))):
        for at in reversed(range(len(steps[number]["send"]))):
            if time.monotonic() > deadline:
                break
            send = steps[number]["send"]
            step = dict(steps[number], send=send[:at] + send[at + 1:])
            candidate = steps[:number] + [step] + steps[number + 1:]
            if fails(candidate):
                steps = candidate
        for detail in ("cuts", "pause", "elsewhere"):
            if steps[number].get(detail) is None:
                continue
            step = {k: v for k, v in steps[number].items() if k != detail}
            candidate = steps[:number] + [step] + steps[number + 1:]
            if fails(candidate):
                steps = candidate
    return dict(conversation, steps=[s for s in steps if s["send"] or s.get("elsewhere")])
