# SPDX-License-Identifier: Apache-2.0
"""Makes conversations of a client that makes mistakes: messages out of order, with wrong names,
counts, formats and lengths, spoilt bytes and SQL, COPY that is not one, odd startup packets, ends in
the middle of something. In between the same reads are asked for again and again, so that mistakes
meet answers from memory."""

import struct

import damage
import generate
import wire

NAMES_OF_STATEMENTS = ["", "", "", "s0", "s1", "s2", "sq", "absent", "S0", "a b", "s'0", 's"0', "ü",
                       "\udcff", "n" * 70, "n" * 63, "p0"]
NAMES_OF_PORTALS = ["", "", "", "p0", "p1", "c", "absent", "P0", "a b", "p'0", "ü", "\udcff",
                    "n" * 70, "n" * 63, "s0"]
LIMITS = [0, 0, 0, 1, 2, 3, 13, 14, 1000, -1, -2, 0x7FFFFFFF, -0x80000000]
BINARY = ["", "00", "0001", "000001", "00000001", "00000002", "0000000001", "0000000000000001", "ff",
          "ffffffff", "7fffffff", "746578742032", "c3", "0000000000020000"]
VALUES = [None, "1", "2", "1 ", " 2", "", "x", "1.0", "1e0", "-1", "2147483648", "t", "true",
          "text 2", "NULL", "0x1", "\udcff", "'", "''", "a\\b", "ü", "{1}", "1'; SELECT 2 --"]
TYPES = [0, 16, 20, 21, 23, 25, 26, 701, 705, 1043, 1700, 2278, 1007, 99999, -1]
STATEMENTS = [
    "SELECT $1", "SELECT $1::int", "SELECT $2::int", "SELECT $1::int + $3::int", "SELECT $1, $1",
    "SELECT 1 WHERE $1", "INSERT INTO m VALUES ($1, $2, $3)", "UPDATE m SET v = $1 WHERE id = $2",
    "SELECT v FROM m WHERE id = ANY ($1)", "SELECT id FROM s WHERE id = $1 OR t = $2 ORDER BY id",
    "DELETE FROM m WHERE id = $1 RETURNING v", "SELECT $1::text || $1::text", "SHOW $1", "BEGIN $1",
    "EXECUTE s0($1)", "SET DateStyle = $1", "VALUES ($1)", "SELECT v FROM m LIMIT $1", "SELECT $0",
    "SELECT id FROM s ORDER BY id", "SELECT id FROM k ORDER BY id", "SELECT v FROM m ORDER BY id"]
BLOCKS = [
    "BEGIN TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "begin work", "BEGIN; COMMIT", "BEGIN;;",
    "START TRANSACTION READ WRITE, ISOLATION LEVEL READ COMMITTED", "COMMIT WORK AND NO CHAIN",
    "END TRANSACTION", "ROLLBACK TRANSACTION", "ROLLBACK TO SAVEPOINT none", "RELEASE none",
    'SAVEPOINT "a b"', "BEGIN NOT DEFERRABLE", "/* c */ BEGIN", "BEGIN READ ONLY, READ WRITE",
    "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "COMMIT AND CHAIN; ROLLBACK",
    "BEGIN ISOLATION LEVEL READ COMMITTED, ISOLATION LEVEL SERIALIZABLE", "ROLLBACK; BEGIN",
    "SET TRANSACTION SNAPSHOT 'none'", "BEGIN; SELECT 1/0; COMMIT", "BEGIN; SELECT v FROM m WHERE "
    "id = 1; COMMIT", "SELECT v FROM m WHERE id = 1; BEGIN", "BEGIN; ROLLBACK; SELECT 2", "ABORT "
    "AND CHAIN", "COMMIT PREPARED 'none'", "ROLLBACK PREPARED 'none'", "PREPARE TRANSACTION ''",
    "SAVEPOINT a; SELECT 1/0", "ROLLBACK TO a; RELEASE a", "BEGIN -- '", "BEGIN /* ; */ ;",
]
NAMED = [
    "EXECUTE s1", "EXECUTE s0('2')", "EXECUTE sq", "EXECUTE absent", "EXECUTE s2(1, 2)",
    "PREPARE s0 (int) AS SELECT v FROM m WHERE id = $1", 'PREPARE "" AS SELECT 1', "DEALLOCATE "
    "PREPARE s2", 'DEALLOCATE ""', "DEALLOCATE PREPARE ALL", "DECLARE p1 CURSOR FOR SELECT id FROM s",
    'DECLARE "p0" SCROLL CURSOR FOR SELECT id FROM s ORDER BY id', "FETCH ALL FROM p1", "FETCH 0 "
    "FROM p0", "MOVE ALL FROM c", "FETCH -1 FROM c", 'FETCH FROM ""', 'CLOSE ""', "CLOSE p1",
    "DECLARE c INSENSITIVE CURSOR FOR SELECT v FROM m ORDER BY id", "FETCH ABSOLUTE 2 FROM p0",
    "PREPARE s1 AS SELECT v FROM m ORDER BY id; EXECUTE s1", "PREPARE s2 AS BEGIN", "PREPARE s2 AS "
    "UPDATE m SET q = q + $1", "EXPLAIN EXECUTE s1", "PREPARE s1 AS SELECT $1", "CLOSE absent",
    "CREATE TEMP TABLE tx AS EXECUTE s1", "DECLARE p0 CURSOR WITH HOLD FOR SELECT 1/0",
]


class Disorder(generate.Generator):
    def __init__(self, seed):
        super().__init__(seed)
        self.reads = self.dice.sample(generate.READS, 3)

    # --- messages that may be right, for once

    def any_message(self):
        dice = self.dice
        statement, portal = dice.choice(NAMES_OF_STATEMENTS), dice.choice(NAMES_OF_PORTALS)
        kind = dice.randrange(12)
        if kind == 0:
            return ["P", statement, self.some_text(), self.types()]
        if kind <= 2:
            return self.wild_bind(portal, statement)
        if kind == 3:
            return ["D", dice.choice("SP"), dice.choice([statement, portal])]
        if kind == 4:
            return ["C", dice.choice("SP"), dice.choice([statement, portal])]
        if kind <= 6:
            return ["E", portal, dice.choice(LIMITS)]
        if kind == 7:
            return dice.choice([["d", "stray\n"], ["c"], ["f", "stray"], ["d", ""]])
        if kind == 8:
            return self.odd_message()
        if kind == 9:
            return ["F", dice.choice([1397, 598, 99, 0, 2**31]),
                    dice.choice([[], [None], [["hex", "fffffffb"]], [["hex", "00"]] * 2]),
                    dice.choice([0, 1, 2])]
        return dice.choice([["H"], ["S"], ["Q", self.some_text()], ["Q", self.literal(self.read())]])

    def types(self):
        return [self.dice.choice(TYPES) for _ in range(self.dice.choice([0, 0, 0, 1, 2, 3]))]

    def some_text(self):
        kind = self.dice.random()
        if kind < 0.3:
            return self.dice.choice(STATEMENTS)
        if kind < 0.5:
            return damage.garbled(self.dice, self.texts(1))
        return self.texts(1 if kind < 0.8 else self.dice.randint(2, 4))

    def texts(self, count):
        """Statements in one string, perhaps with an error in the middle."""
        parts = []
        for _ in range(count):
            kind = self.dice.random()
            parts.append(self.literal(self.read()) if kind < 0.35
                         else self.dice.choice(BLOCKS) if kind < 0.5
                         else self.dice.choice(NAMED) if kind < 0.6 else self.any_sql())
        return self.dice.choice([";", "; ", ";\n", ";;"]).join(parts)

    def wild_bind(self, portal, statement):
        dice = self.dice
        read = self.prepared.get(statement) or self.read()
        message = self.bind(read, portal, statement)
        kind = dice.randrange(6)
        if kind == 0:
            message[4] = message[4][:-1]
        elif kind == 1:
            message[4] = message[4] + [dice.choice(VALUES)]
        elif kind == 2:
            message[3] = [dice.choice([0, 1, 1, 2, -1, 255]) for _ in range(dice.randint(1, 4))]
        elif kind == 3:
            message[5] = [dice.choice([0, 1, 1, 2, -1, 257]) for _ in range(dice.randint(1, 4))]
        elif kind == 4:
            message[3] = [1]
            message[4] = [["hex", dice.choice(BINARY)] for _ in message[4]] or [["hex", "00"]]
        else:
            message[4] = [dice.choice(VALUES) for _ in message[4]]
            message[3] = []
        return message

    # --- exchanges

    def mistaken(self, unit):
        """One to three mistakes in an orderly exchange."""
        dice, unit = self.dice, list(unit)
        for _ in range(dice.choice([1, 1, 2, 3])):
            at = dice.randrange(len(unit) + 1)
            kind = dice.randrange(10)
            if kind <= 3:
                unit.insert(at, self.any_message())
            elif not unit:
                continue
            elif kind <= 6:
                at = min(at, len(unit) - 1)
                unit[at] = damage.spoil(dice, unit[at])
            elif kind == 7:
                unit = self.renamed(unit, min(at, len(unit) - 1))
            else:
                unit = self.disturb(unit)
        if self.chance(0.15):
            unit = [m for message in unit for m in ([message, ["H"]] if self.chance(0.6) else [message])]
        return self.without_lone_executes(unit)

    def renamed(self, unit, at):
        message = list(unit[at])
        if message[0] == "B":
            message[self.dice.choice([1, 2])] = self.dice.choice(NAMES_OF_STATEMENTS)
        elif message[0] in "PE":
            message[1] = self.dice.choice(NAMES_OF_PORTALS)
        elif message[0] in "DC":
            message[self.dice.choice([1, 2])] = self.dice.choice(["S", "P", "X", "s"])
        return unit[:at] + [message] + unit[at + 1:]

    def soup(self):
        """Messages in any order."""
        unit = [self.any_message() for _ in range(self.dice.randint(2, 9))]
        if self.chance(0.5):
            at = self.dice.randrange(len(unit) + 1)
            unit[at:at] = self.read_unit()
        return self.without_lone_executes(unit)

    def limited(self):
        """Executes of a portal with any limit, perhaps of one that is closed."""
        portal = self.dice.choice(["", "", "p0", "p1"])
        read = self.read()
        self.prepared.pop("", None)
        unit = [["P", "", read[0], list(read[1])], self.bind(read, portal, "")]
        for _ in range(self.dice.randint(1, 4)):
            unit.append(["E", portal, self.dice.choice(LIMITS)])
            if self.chance(0.2):
                unit.append(self.dice.choice([["C", "P", portal], ["H"], ["D", "P", portal],
                                              ["C", "S", ""], ["S"]]))
        return unit

    def copying(self):
        """COPY with what does not belong into it."""
        unit = self.copy()
        for _ in range(self.dice.randint(0, 3)):
            unit.insert(self.dice.randrange(1, len(unit) + 1), self.dice.choice([
                ["S"], ["H"], ["d", "40\tforty\t4\n"], ["d", "41\tx"], ["c"], ["f", "ü\udcff"],
                ["d", "\\.\n"], ["Q", "SELECT 1"], ["E", "", 0], ["bytes", "640000000480"],
                ["P", "", "SELECT 1", []], ["d", "\udcff\n"], ["d", "42\t\\x\t\n"], ["C", "P", ""]]))
        return unit + [["c"], ["S"]]

    def messy(self):
        kind = self.dice.random()
        if kind < 0.4:
            unit = self.mistaken(self.read_unit() if self.chance(0.7) else self.sql_unit())
        elif kind < 0.55:
            unit = self.soup()
        elif kind < 0.65:
            unit = self.limited()
        elif kind < 0.72:
            return self.copying()
        elif kind < 0.8:
            text = self.texts(self.dice.randint(2, 5))
            return [["Q", damage.garbled(self.dice, text) if self.chance(0.3) else text]]
        elif kind < 0.86:
            return [damage.spoil(self.dice, ["Q", self.literal(self.read())])]
        elif kind < 0.93:
            return [["Q", self.dice.choice(self.dice.choice([BLOCKS, NAMED]))]]
        else:
            return [part for _ in range(self.dice.randint(2, 3)) for part in self.exchange()]
        self.prepared.pop("", None)
        return unit if self.chance(0.08) else unit + [["S"]]

    def plain_reads(self):
        """As clients without mistakes do it, so that they are answered from memory."""
        read = self.read()
        self.prepared.pop("", None)
        bind = ["B", "", "", [], [self.value(kind) for kind in read[2]], [self.dice.randrange(2)]]
        send = self.dice.choice([
            [["Q", self.literal(read)]],
            [["P", "", read[0], list(read[1])], bind, ["D", "P", ""], ["E", "", 0], ["S"]]])
        return [{"send": send, "pause": 0.004} for _ in range(self.dice.randint(2, 4))]

    def messy_step(self):
        step = {"send": self.messy(), "pause": self.dice.choice([0.001, 0.004, 0.02])}
        while self.chance(0.25):
            step["send"] = step["send"] + (self.messy() if self.chance(0.5) else
                                           self.read_unit() + [["S"]])
        if self.chance(0.3):
            step["cuts"] = self.dice.randrange(1 << 30)
        return step

    # --- the other side of the table

    def elsewhere(self):
        number = self.dice.randrange(100000)
        return self.dice.choice([
            f"UPDATE m SET v = 'else {number}' WHERE id = {self.dice.randint(1, 5)}",
            f"UPDATE s SET t = 'else {number}' WHERE id = {self.dice.randint(1, 4)}",
            f"UPDATE z SET a = {number} WHERE id = 2",
            f"INSERT INTO m VALUES ({50 + number % 40}, 'n', {number % 1000}) ON CONFLICT DO NOTHING",
            "DELETE FROM m WHERE id = 2"])

    # --- the beginning and the end

    def parameters(self):
        pairs = [["user", "postgres"], ["database", "postgres"]]
        for _ in range(self.dice.choice([0, 0, 0, 1, 2])):
            pairs.append(list(self.dice.choice([
                ("DateStyle", "German"), ("options", "-c TimeZone=Asia/Tokyo"), ("options", "-c"),
                ("options", "--DateStyle=SQL -c extra_float_digits=0"), ("options", "-c nonsense=1"),
                ("options", "  -c search_path=other\\,public "), ("options", "\\"), ("options", "x"),
                ("application_name", "ü"), ("application_name", ""), ("client_encoding", "LATIN1"),
                ("client_encoding", "nonsense"), ("TimeZone", ""), ("search_path", "other, public"),
                ("datestyle", "SQL"), ("database", "postgres"), ("user", "limited"),
                ("_pq_.nonsense", "1"), ("_pq_.", ""), ("replication", "0"), ("replication", "x"),
                ("pgcache.mode", "off"), ("role", "limited"), ("work_mem", "1"), ("user ", "x"),
                ("default_transaction_isolation", "serializable"), ("application_name", "\udcff"),
                ("default_transaction_read_only", "on"), ("client_min_messages", "log"),
                ("options", "-c client_min_messages=error -c IntervalStyle=iso_8601")])))
        return pairs

    def odd_startup(self):
        """Bytes in place of a startup packet, how many single bytes answer them, and whether the
        client then waits for more."""
        good = wire.startup(self.parameters(), self.dice.choice([0x30000, 0x30002]))
        body = bytearray(good[8:])
        ssl = bytes.fromhex("0000000804d2162f")
        at = self.dice.randrange(len(body))

        def packet(content, version=0x30000, length=None):
            size = len(content) + 8 if length is None else length
            return struct.pack("!II", size & 0xFFFFFFFF, version) + bytes(content)

        return self.dice.choice([
            lambda: (packet(body[:-1]), 0), lambda: (packet(body[:-2]), 0),
            lambda: (packet(body + b"x"), 0), lambda: (packet(body + b"\0"), 0),
            lambda: (packet(body[:at]), 0), lambda: (packet(body[:at] + b"\0" + body[at:]), 0),
            lambda: (packet(b""), 0), lambda: (packet(b"\0"), 0), lambda: (packet(b"user\0\0\0"), 0),
            lambda: (packet(body, self.dice.choice([0x20000, 0x30001, 0x3FFFF, 0x40000, 0, 0x30003,
                                                    0x10000, 0xFFFFFFFF])), 0),
            lambda: (packet(body, length=self.dice.choice([0, 4, 7, 10001, 20000, -1, 0x7FFFFFFF])),
                     0),
            lambda: (good[:self.dice.randrange(1, len(good))], 0),
            lambda: (good + wire.build(["Q", "SELECT 1"]), 0), lambda: (good + good, 0),
            lambda: (ssl + good, 1), lambda: (ssl + ssl, 1),
            lambda: (ssl[:4], 0), lambda: (ssl, 1), lambda: (b"", 0), lambda: (b"\0", 0),
            lambda: (b"GET / HTTP/1.0\r\n\r\n", 0), lambda: (b"\x16\x03\x01\0\5hello", 0),
            lambda: (bytes.fromhex("0000001004d2162e0000000100000001"), 0),
            lambda: (bytes.fromhex("0000000c04d2162e00000001"), 0),
        ])()

    def ending(self):
        """The last messages, or nothing for a plain Terminate."""
        kind = self.dice.random()
        start = self.messy() if self.chance(0.5) else self.read_unit() + [["S"]]
        if kind < 0.35:
            return []
        if kind < 0.6:
            base = self.dice.choice(start + [["Q", self.literal(self.read())]])
            base = base if base[0] in "QPBDECHScfF" else ["S"]
            return (start if self.chance(0.5) else []) + damage.fatal(self.dice, base)
        if kind < 0.75:
            return start[:self.dice.randrange(len(start) + 1)] + [["shut"]]
        if kind < 0.85:
            return start + [["shut"]]
        return start[:self.dice.randrange(len(start) + 1)] + [["X"]] + self.dice.choice(
            [[], [["S"]], [["Q", "UPDATE m SET q = 0"]], [["bytes", "58"]], [["X"]]])

    def conversation(self):
        if self.chance(0.06):
            data, singles = self.odd_startup()
            return {"startup": [], "startup_bytes": data.hex(), "singles": singles, "steps": [
                {"send": [["shut"]]}]}
        conversation = {"startup": self.parameters() if self.chance(0.3) else
                        [["user", "postgres"], ["database", "postgres"]], "steps": []}
        if self.chance(0.2):
            conversation["version"] = self.dice.choice([0x30002, 0x30002, 0x30001])
        steps = conversation["steps"]
        for _ in range(self.dice.randint(2, 6)):
            steps += self.repeated() + self.plain_reads()
            steps += [self.messy_step() for _ in range(self.dice.choice([1, 1, 1, 2, 3]))]
            if self.chance(0.2):
                steps += self.block() if self.chance(0.6) else self.fetching()
            if self.chance(0.7):  # out of a block and of a COPY, so that reads are served again
                steps.append({"send": [["f", "out"], ["S"], ["Q", "ROLLBACK"]], "pause": 0.03})
            if self.chance(0.25):
                steps.append({"send": [["S"]], "elsewhere": self.elsewhere()})
        end = self.ending()
        if end:
            steps.append({"send": end})
        return conversation
