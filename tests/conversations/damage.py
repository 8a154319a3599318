# SPDX-License-Identifier: Apache-2.0
"""Spoils messages: what a client with a mistake in it would send.

spoil() leaves the frame whole, so that a server refuses the message and goes on. What fatal() makes
no server can read on from: it ends the connection."""

import struct

import wire

BYTES = [0x00, 0x01, 0x20, 0x27, 0x5C, 0x7F, 0x80, 0xC3, 0xFF]
COUNTS = [0, 1, 2, 0x7FFF, 0x8000, 0xFFFF]
LENGTHS = [-1, -2, 0, 1, 3, 5, 1000, 0x7FFFFFFF, -0x80000000]
PIECES = ["'", '"', "$$", "$a$", "/*", "*/", "--", ";", "\\", "E'", "(", ")", "[", "$1", "$2", "$0",
          "$99999", "$70000", "::", "ü", "\udcff", "\udc80", "\t", "\n", "NULL", ";;", "; BEGIN;",
          "; COMMIT;", "; SELECT 1/0;", "SELECT ", ",", "0x", "1e", "\x01", "U&'\\0041'", "''''",
          "/* ' */", "-- '\n", "$$'$$", " AS ", " FROM ", "99999999999999999999", ".", "\u00a0",
          "\ufeff", "*", "+", "=", "@", " OR true", " LIMIT 1", " OFFSET 1", " FOR UPDATE"]


def raw(data):
    return ["bytes", bytes(data).hex()]


def body_of(message):
    return bytearray(wire.build(message)[5:])


def framed(message, body):
    return raw(wire.frame(message[0], bytes(body)))


def cut(dice, message):
    body = body_of(message)
    return framed(message, body[:dice.randrange(len(body))] if body else b"\0")


def lengthen(dice, message):
    more = dice.choice([b"\0", b"x", b"\0\0", b"\0\0\0\0", b"x\0", bytes([dice.choice(BYTES)]) * 7])
    return framed(message, body_of(message) + more)


def drop_nul(dice, message):
    body = body_of(message)
    places = [i for i, byte in enumerate(body) if byte == 0]
    if places:
        del body[dice.choice(places)]
    return framed(message, body)


def insert_byte(dice, message):
    body = body_of(message)
    body.insert(dice.randrange(len(body) + 1), dice.choice(BYTES))
    return framed(message, body)


def change_byte(dice, message):
    body = body_of(message)
    if body:
        body[dice.randrange(len(body))] = dice.choice(BYTES)
    return framed(message, body)


def behind_names(message, body):
    """Where the numbers of a Bind, Parse or Execute begin."""
    at = body.index(0) + 1
    return at if message[0] == "E" else body.index(0, at) + 1


def change_number(dice, message):
    """A count, a format, the length of a value, a type or a row limit."""
    body = body_of(message)
    at = behind_names(message, body)
    if message[0] == "E":
        body[at:] = struct.pack("!i", dice.choice(LENGTHS))
    elif message[0] == "P":
        body[at:at + 2] = struct.pack("!H", dice.choice(COUNTS))
    else:
        formats = len(message[3])
        values = at + 2 + 2 * formats
        place = dice.choice(["formats", "values", "length", "results"])
        if place == "length" and message[4]:
            body[values + 2:values + 6] = struct.pack("!i", dice.choice(LENGTHS))
        elif place == "results":
            end = len(body) - 2 * len(message[5]) - 2
            body[end:end + 2] = struct.pack("!H", dice.choice(COUNTS))
        else:
            where = at if place == "formats" else values
            body[where:where + 2] = struct.pack("!H", dice.choice(COUNTS))
    return framed(message, body)


def garbled(dice, sql):
    """The text with one to three small mistakes."""
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(sql) + 1)
        end = min(len(sql), at + dice.randint(1, 8))
        kind = dice.randrange(4)
        if kind == 0:
            sql = sql[:at] + sql[end:]
        elif kind == 1:
            sql = sql[:end] + sql[at:end] + sql[end:]
        else:
            sql = sql[:at] + dice.choice(PIECES) + sql[at:]
    return sql


def spoil(dice, message):
    """The message with one mistake; another kind of message unchanged."""
    tag = message[0]
    if tag not in "QPBDECHScfF":
        return message
    if tag == "Q" and dice.random() < 0.7:
        return ["Q", garbled(dice, message[1])]
    if tag == "P" and dice.random() < 0.4:
        return ["P", message[1], garbled(dice, message[2]), message[3]]
    ways = [cut, lengthen, drop_nul, insert_byte, change_byte]
    if tag in "PBE":
        ways += [change_number] * 5
    return dice.choice(ways)(dice, message)


def with_length(data, length):
    return data[:1] + struct.pack("!I", length & 0xFFFFFFFF) + data[5:]


def fatal(dice, message):
    """Messages of which the last cannot be understood any more, or is not complete."""
    data = wire.build(message)
    kind = dice.randrange(7)
    if kind == 0:
        return [raw(bytes([dice.choice(b"\x00\x01zAKRTZptvW[\x80\xff")]) + b"\0\0\0\x04")]
    if kind == 1:
        wrong = dice.choice([0, 1, 3, -1, 0x7FFFFFFF, 0x40000000, 0x3FFFFFFF, -0x80000000])
        return [raw(with_length(data, wrong))]
    if kind == 2:  # longer than messages of this kind may be
        tag = dice.choice(["S", "H", "E", "D", "C", "c", "X"])
        return [raw(wire.frame(tag, b"\0" * dice.choice([9990, 10000, 20000])))]
    if kind == 3:  # what begins with it swallows what follows, until the end
        return [raw(with_length(data, len(data) - 1 + dice.choice([1, 2, 5, 100]))),
                ["S"], ["shut"]]
    if kind == 4:  # the rest begins in the middle of something
        return [raw(with_length(data, max(4, len(data) - 1 - dice.choice([1, 2, 3])))), ["S"],
                ["shut"]]
    if kind == 5:
        return [raw(data[:dice.randrange(1, len(data))]), ["shut"]]
    return [raw(dice.choice([
        wire.startup([("user", "postgres"), ("database", "postgres")]),
        bytes.fromhex("0000000804d2162f"), bytes.fromhex("0000000804d21630"),
        bytes.fromhex("0000001004d2162e0000000100000001"), b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello"]))]
