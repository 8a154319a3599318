# SPDX-License-Identifier: Apache-2.0
"""Writes a conversation as a protocol script of tests/scripts, with PostgreSQL's answers."""

import itertools
import pathlib
import shlex
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "scripts"))

import language  # noqa: E402
import wire  # noqa: E402

WIDTH = 100
RUN_MIN = 16  # bytes
ROWS_MAX = 20  # that are written of one answer


def plain(text):
    return text.isprintable() and text == text.strip() and "\\n" not in text and not any(
        "\ud800" <= c <= "\udfff" for c in text)


def name_of(name):
    return shlex.quote(name) if name else "-"


def value_of(value):
    if value is None:
        return "NULL"
    if isinstance(value, str) and value and plain(value) and value != "NULL" and not (
            value.startswith("0x") or set(value) & set(", '\"\\")):
        return value
    return "0x" + wire.value_bytes(value).hex()


def numbers(name, values):
    return [f"{name}={','.join(map(str, values))}"] if values else []


def words_of(message):
    """The message in the language, or None where that has no words for it."""
    tag = message[0]
    if any(isinstance(part, str) and not plain(part) for part in message[1:]):
        return None
    if tag in ("Q", "d", "f"):
        return f"{tag} {message[1]}".rstrip()
    if tag == "P":
        return f"P {name_of(message[1])} {','.join(map(str, message[3]))} | {message[2]}"
    if tag == "B":
        values = [f"values={','.join(map(value_of, message[4]))}"] if message[4] else []
        return " ".join(["B", name_of(message[1]), name_of(message[2]), *values,
                         *numbers("formats", message[3]), *numbers("results", message[5])])
    if tag in ("D", "C"):
        return f"{tag} {message[1]} {name_of(message[2])}"
    if tag == "E":
        return f"E {name_of(message[1])} {message[2]}"
    return tag if tag in ("H", "S", "c", "X", "shut") else None


def digits_of(data):
    """Hexadecimal, with long runs of a byte counted."""
    words = [""]
    for byte, run in itertools.groupby(data):
        count = len(list(run))
        if count < RUN_MIN:
            words[-1] += f"{byte:02x}" * count
        else:
            words += [f"{byte:02x}*{count}", ""]
    return " ".join(filter(None, words))


def line_of(message):
    words = words_of(message)
    try:
        if words is not None and wire.build(language.message_of(words)) == wire.build(message):
            return f"> {words}"
    except (ValueError, IndexError, KeyError):
        pass
    return f"> bytes {digits_of(wire.build(message))}"


def answers_of(messages):
    lines, line, rows = [], "<", 0
    for message in messages:
        rows = rows + 1 if message[0] in "Dd" else 0
        if rows == ROWS_MAX:
            lines.append("# and more of them")
        if rows >= ROWS_MAX:
            continue
        token = language.token_of(message)
        if len(line) + len(token) >= WIDTH and line != "<":
            lines.append(line)
            line = "<"
        line += " " + token
    return lines + [line]


def beginning(conversation):
    if "startup_bytes" in conversation:
        return []
    pairs = [f"{key}={value}" for key, value in conversation["startup"][2:]]
    version = conversation.get("version", 0x30000)
    if version != 0x30000:
        pairs.append(f"version={version >> 16}.{version & 0xFFFF}")
    return ["connect " + " ".join(map(shlex.quote, pairs))] if pairs else []


def text_of(conversation, difference):
    """A difference's answers are known up to the step in which it is."""
    lines = ["== " + difference.signature(), *beginning(conversation)]
    greeting = []
    if "startup_bytes" in conversation:
        greeting = ["> startup " + digits_of(bytes.fromhex(conversation["startup_bytes"]))]
    answers = difference.answers[1:]
    for number, step in enumerate(conversation["steps"]):
        if step.get("elsewhere"):
            lines.append("elsewhere " + step["elsewhere"])
        if step["send"] or greeting:
            lines += greeting + [line_of(message) for message in step["send"]]
            greeting = []
            if number < len(answers):
                lines += answers_of(answers[number])
            if step.get("cuts") is not None:
                lines.append("# in several pieces")
        if step.get("pause", 0) > 0.02:
            lines.append(f"pause {step['pause']}")
    if conversation.get("end"):
        lines += [line_of(message) for message in conversation["end"]] + ["> shut"]
    return "\n".join(lines)
