# SPDX-License-Identifier: Apache-2.0
"""Protocol 3 messages: building those of a client, reading those of a server.

A client message is a list whose first item is its tag, so that a conversation can be printed,
stored as JSON and shortened:

    ["Q", sql]                                  Query
    ["P", name, sql, [type oid, ...]]           Parse
    ["B", portal, statement, [parameter format, ...], [value, ...], [result format, ...]]   Bind
    ["D" | "C", "S" | "P", name]                Describe, Close
    ["E", portal, row limit]                    Execute
    ["H"] ["S"] ["c"] ["X"]                     Flush, Sync, CopyDone, Terminate
    ["d", text] ["f", text]                     CopyData, CopyFail
    ["F", oid, [value, ...], result format]     FunctionCall
    ["raw", tag, hexadecimal body]              anything else in a frame
    ["bytes", digits]                           any bytes
    ["shut"]                                    nothing: the client shuts its sending side

A value is None, a text, or ["hex", digits]. A text may hold a byte that is no UTF-8 as a lone
surrogate (Python's surrogateescape).
"""

import struct

FIRST_USER_OID = 16384
# Each is answered by a ReadyForQuery, unless an error or a COPY swallows it.
SYNCHRONIZING = ("S", "Q", "F")


def be16(value):
    return struct.pack("!H", value & 0xFFFF)


def be32(value):
    return struct.pack("!I", value & 0xFFFFFFFF)


def encoded(text):
    return text.encode("utf-8", "surrogateescape")


def cstring(text):
    return encoded(text) + b"\0"


def value_bytes(value):
    return bytes.fromhex(value[1]) if isinstance(value, list) else encoded(value)


def counted(value):
    if value is None:
        return be32(-1)
    data = value_bytes(value)
    return be32(len(data)) + data


def frame(tag, body=b""):
    return tag.encode() + be32(len(body) + 4) + body


def build(message):
    tag = message[0]
    if tag == "Q":
        return frame(tag, cstring(message[1]))
    if tag == "P":
        types = b"".join(be32(oid) for oid in message[3])
        return frame(tag, cstring(message[1]) + cstring(message[2]) + be16(len(message[3])) + types)
    if tag == "B":
        _, portal, statement, formats, values, results = message
        return frame(tag, cstring(portal) + cstring(statement)
                     + be16(len(formats)) + b"".join(map(be16, formats))
                     + be16(len(values)) + b"".join(map(counted, values))
                     + be16(len(results)) + b"".join(map(be16, results)))
    if tag in "DC":
        return frame(tag, message[1].encode() + cstring(message[2]))
    if tag == "E":
        return frame(tag, cstring(message[1]) + be32(message[2]))
    if tag in "HScX":
        return frame(tag)
    if tag == "d":
        return frame(tag, encoded(message[1]))
    if tag == "f":
        return frame(tag, cstring(message[1]))
    if tag == "F":
        _, oid, values, result = message
        return frame(tag, be32(oid) + be16(0) + be16(len(values))
                     + b"".join(map(counted, values)) + be16(result))
    if tag == "raw":
        return frame(message[1], bytes.fromhex(message[2]))
    if tag == "bytes":
        return bytes.fromhex(message[1])
    if tag == "shut":
        return b""
    raise ValueError(f"no such message: {message}")


def owes_ready(message):
    """Whether a ReadyForQuery answers it, unless an error or a COPY swallows it."""
    if message[0] == "bytes":
        return bytes.fromhex(message[1])[:1] in (b"S", b"Q", b"F")
    return message[0] in SYNCHRONIZING


def startup(parameters, version=0x30000):
    body = be32(version) + b"".join(cstring(k) + cstring(v) for k, v in parameters) + b"\0"
    return be32(len(body) + 4) + body


class Reader:
    """Cuts a server's bytes into messages, with everything replaced that two equal servers do not
    have in common: keys, process numbers, and the oids of objects that are not built in. The first
    `singles` bytes are answers of their own, to requests for encryption."""

    def __init__(self, singles=0):
        self.singles = singles
        self.rest = b""
        self.messages = []  # (tag, body)
        self.oids = {}

    def feed(self, data):
        self.rest += data
        at = 0
        while self.singles and at < len(self.rest):
            self.messages.append(("answer", self.rest[at:at + 1]))
            self.singles -= 1
            at += 1
        while len(self.rest) - at >= 5:
            length = struct.unpack_from("!I", self.rest, at + 1)[0]
            if len(self.rest) - at < length + 1:
                break
            tag = chr(self.rest[at])
            self.messages.append((tag, self.normal(tag, self.rest[at + 5:at + 1 + length])))
            at += length + 1
        self.rest = self.rest[at:]

    def oid(self, data):
        value = struct.unpack("!I", data)[0]
        if value < FIRST_USER_OID:
            return data
        return be32(0x40000000 + self.oids.setdefault(value, len(self.oids)))

    def normal(self, tag, body):
        if tag == "K":
            return b"KEY"
        if tag == "A":
            return b"PID!" + body[4:]
        if tag == "t":
            return body[:2] + b"".join(self.oid(body[i:i + 4]) for i in range(2, len(body), 4))
        if tag == "T":
            out, at = body[:2], 2
            while at < len(body):
                end = body.index(b"\0", at) + 1
                out += (body[at:end] + self.oid(body[end:end + 4]) + body[end + 4:end + 6]
                        + self.oid(body[end + 6:end + 10]) + body[end + 10:end + 18])
                at = end + 18
            return out
        return body


NAMES = {"1": "ParseComplete", "2": "BindComplete", "3": "CloseComplete", "n": "NoData",
         "s": "PortalSuspended", "I": "EmptyQueryResponse", "C": "CommandComplete",
         "D": "DataRow", "T": "RowDescription", "t": "ParameterDescription",
         "Z": "ReadyForQuery", "E": "ErrorResponse", "N": "NoticeResponse",
         "S": "ParameterStatus", "A": "NotificationResponse", "G": "CopyInResponse",
         "H": "CopyOutResponse", "d": "CopyData", "c": "CopyDone", "V": "FunctionCallResponse",
         "R": "Authentication", "K": "BackendKeyData", "v": "NegotiateProtocolVersion",
         "EOF": "(connection closed)"}


def fields(body):
    """The fields of an ErrorResponse or NoticeResponse."""
    return {part[:1].decode("latin-1"): part[1:].decode("utf-8", "replace")
            for part in body.split(b"\0") if part}


def decode_row(body):
    out, at = [], 2
    while at + 4 <= len(body):
        length = struct.unpack_from("!i", body, at)[0]
        at += 4
        if length < 0:
            out.append("NULL")
            continue
        out.append(repr(body[at:at + length])[1:])
        at += length
    return ", ".join(out)


def describe(message):
    """One server message for a human being."""
    tag, body = message
    name = NAMES.get(tag, tag)
    if tag in "EN" and body:
        found = fields(body)
        extra = [f"{key}={found[key]!r}" for key in "DHPF" if key in found]
        return f"{name} {found.get('S')} {found.get('C')} {found.get('M')!r} {' '.join(extra)}"
    if tag == "D":
        return f"{name} ({decode_row(body)})"[:300]
    if tag == "T":
        columns, at = [], 2
        while at < len(body):
            end = body.index(b"\0", at)
            oid, number, kind, size, mod, form = struct.unpack_from("!IhIhih", body, end + 1)
            columns.append(f"{body[at:end].decode('utf-8', 'replace')}:{kind}/f{form}")
            at = end + 19
        return f"{name} ({', '.join(columns)})"[:400]
    return f"{name} {body!r}"[:300]
