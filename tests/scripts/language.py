# SPDX-License-Identifier: Apache-2.0
"""Protocol scripts: what a client sends, what it gets, and the routes that its queries take.

A file holds several scripts; each begins with a line `== what it shows` and plays in sessions of
its own. Blank lines and lines that begin with # mean nothing. A step sends some messages:

    > Q sql                                     Query
    > P name types | sql                        Parse; - is the unnamed one, types are oids
    > B portal statement values=1,NULL,0x0001 formats=0,1 results=1        Bind
    > D P portal    > D S statement    > C P portal    > C S statement     Describe, Close
    > E portal limit                            Execute
    > H    > S    > X    > c    > d text    > f text                       Flush ... CopyFail
    > bytes 440000270a 00*9990                anything; of these the last 9990 times
    > shut                                    the client sends no more
    > startup 000000080000...                 first in a session: in place of its startup packet; what
                                              answers it is said too

then says all that comes back, on as many lines as one likes,

    < 1 2 T[id:23/0 v:25/0] D[1|one] D[2|NULL] C[SELECT 2] s n I 3 t[23] E[42P01] N[text] S[name=value] A[channel load] Z[I] EOF

and at will the routes that pgcache counts for it, all of them (a bar: whichever comes first):

    ! hit=1 bypass:row_limit=1 miss|bypass:after_write=1

Between steps:

    @name           the following steps are of another session (opened when first named)
    connect a=b     startup parameters of the session that is opened next, quoted as in a shell;
                    version=3.2 is that of the protocol
    elsewhere sql   somebody else's statement, applied by pgcache when the script goes on
    pause seconds
    cancel          a request to cancel what the session does
    settle          all that this session wrote is applied, and pgcache knows it
    settle configuration
                    and it knows that no configuration was reloaded up to now

{slow 300} is a number, of a time that must be longer where pgcache is slower.
"""

import re
import shlex

import servers
import wire

PATIENT = re.compile(r"\{slow ([0-9.]+)\}")


class Step:
    def __init__(self, line):
        self.line = line
        self.session = ""
        self.send = []
        self.expect = []  # tokens
        self.routes = None
        self.answered = False
        self.last_line = 0  # of what is sent
        self.action = None  # (word, rest) instead


class Script:
    def __init__(self, name, path, line):
        self.name, self.path, self.line = name, path, line
        self.steps = []


def name_of(word):
    return "" if word == "-" else word


def value_of(word):
    if word == "NULL":
        return None
    if word.startswith("0x"):
        return ["hex", word[2:]]
    return word


def items(text):
    return [] if text == "" else text.split(",")


def message_of(text):
    tag, _, rest = text.partition(" ")
    if tag in ("Q", "d", "f"):
        return [tag, rest.replace("\\n", "\n")]
    if tag == "P":
        head, _, sql = rest.partition("|")
        words = head.split()
        types = [int(oid) for oid in items(words[1])] if len(words) > 1 else []
        return [tag, name_of(words[0]), sql.strip(), types]
    words = shlex.split(rest)
    if tag == "B":
        more = dict(word.split("=", 1) for word in words[2:])
        return [tag, name_of(words[0]), name_of(words[1]),
                [int(f) for f in items(more.get("formats", ""))],
                [value_of(v) for v in items(more["values"])] if "values" in more else [],
                [int(f) for f in items(more.get("results", ""))]]
    if tag in ("D", "C"):
        return [tag, words[0], name_of(words[1])]
    if tag == "E":
        return [tag, name_of(words[0]), int(words[1]) if len(words) > 1 else 0]
    if tag in ("H", "S", "X", "c", "shut"):
        return [tag]
    if tag in ("bytes", "startup"):
        parts = (word.partition("*") for word in rest.split())
        return [tag, "".join(digits * int(times or 1) for digits, _, times in parts)]
    raise ValueError(f"no such message: {text}")


def tokens_of(text):
    """Messages of a `<` line: a letter, perhaps with brackets that may hold anything but ]."""
    out, at = [], 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        end = at + 1
        while end < len(text) and text[end] not in " [":
            end += 1
        if end < len(text) and text[end] == "[":
            end = text.index("]", end) + 1
        out.append(text[at:end])
        at = end
    return out


def read(path):
    scripts, step, session = [], None, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = PATIENT.sub(lambda m: f"{float(m[1]) * servers.local.patience():g}", line.rstrip())
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            scripts.append(Script(line[3:], path, number))
            step, session = None, ""
        elif line.startswith("> "):
            if step is None or step.answered:
                step = Step(number)
                step.session = session
                scripts[-1].steps.append(step)
            step.send.append(message_of(line[2:]))
            step.last_line = number
        elif line.startswith("<"):
            step.expect += tokens_of(line[1:])
            step.answered = True
        elif line.startswith("!"):
            step.answered = True
            step.routes = {k: int(v) for k, v in (w.split("=") for w in line[1:].split())}
        elif line.startswith("@"):
            session, step = line[1:], None
        else:
            word, _, rest = line.partition(" ")
            step = Step(number)
            step.session, step.action = session, (word, rest)
            scripts[-1].steps.append(step)
            step = None
    return scripts


def printable(data):
    text = data.decode("latin-1")
    plain = all(" " <= c <= "~" and c not in "|[]\\" for c in text)
    return text if plain else "\\x" + data.hex()


def columns_of(body):
    out, at = [], 2
    while at < len(body):
        end = body.index(b"\0", at)
        kind = int.from_bytes(body[end + 7:end + 11], "big")
        form = int.from_bytes(body[end + 17:end + 19], "big")
        out.append(f"{body[at:end].decode('utf-8', 'replace')}:{kind}/{form}")
        at = end + 19
    return " ".join(out)


def row_of(body):
    out, at = [], 2
    while at + 4 <= len(body):
        length = int.from_bytes(body[at:at + 4], "big", signed=True)
        at += 4
        out.append("NULL" if length < 0 else printable(body[at:at + max(0, length)]))
        at += max(0, length)
    return "|".join(out)


def token_of(message):
    """One message of a server as a script writes it."""
    tag, body = message
    if tag == "T":
        return f"T[{columns_of(body)}]"
    if tag == "D":
        return f"D[{row_of(body)}]"
    if tag == "t":
        oids = [str(int.from_bytes(body[i:i + 4], "big")) for i in range(2, len(body), 4)]
        return f"t[{','.join(oids)}]"
    if tag == "E":
        return f"E[{wire.fields(body).get('C')}]"
    if tag == "N":
        return f"N[{wire.fields(body).get('M')}]"
    if tag in ("C", "Z"):
        return f"{tag}[{body.rstrip(bytes(1)).decode()}]"
    if tag == "S":
        name, value = (part.decode() for part in body.split(b"\0")[:2])
        return f"S[{name}]" if name == "server_version" else f"S[{name}={value}]"
    if tag == "A":
        return "A[" + " ".join(part.decode() for part in body[4:].split(b"\0")[:2]) + "]"
    if tag == "d":
        return f"d[{printable(body.rstrip())}]"
    if tag == "answer":
        return f"answer[{printable(body)}]"
    return tag
