# SPDX-License-Identifier: Apache-2.0
"""Makes conversations from a seed: the schema they run over, reads that are repeated so that they
are answered from memory, and everything else that a client may do in between."""

import random

SCHEMA = """
CREATE TABLE s (id int PRIMARY KEY, i int, b bigint, t text, n numeric, ts timestamp,
    tz timestamptz, d date, bo bool, by bytea, ia int[], ta text[], f float8, c char(5), u uuid);
CREATE TABLE k (id int PRIMARY KEY, g int, name text);
CREATE TABLE e (id int PRIMARY KEY, x text);
CREATE TABLE m (id int PRIMARY KEY, v text, q int CHECK (q < 1000));
CREATE TABLE z (id int PRIMARY KEY, a int);
CREATE VIEW sv AS SELECT id, t, n FROM s WHERE bo;
CREATE SCHEMA other;
CREATE TABLE other.m (id int PRIMARY KEY, v text, q int);
CREATE ROLE limited;
GRANT SELECT ON s, k TO limited;
CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql AS
    $$BEGIN RAISE NOTICE 'a notice'; RETURN 1; END$$;
CREATE FUNCTION add_m(i int) RETURNS int LANGUAGE sql AS
    $$INSERT INTO m VALUES (i, 'f', i) RETURNING q$$;
CREATE FUNCTION forget(name text) RETURNS void LANGUAGE plpgsql AS
    $$BEGIN EXECUTE format('DEALLOCATE %I', name); END$$;
CREATE FUNCTION set_style(style text) RETURNS text LANGUAGE sql AS
    $$SELECT set_config('DateStyle', style, false)$$;
CREATE FUNCTION noisy_constant(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    $$BEGIN RAISE NOTICE 'folded'; RETURN i; END$$;
"""

FILL = """
TRUNCATE s, k, e, m, z, other.m;
INSERT INTO s SELECT g, nullif(g, 3), g * 10000000000, nullif('text ' || g, 'text 4'), g / 7.0,
    timestamp '2024-01-31 12:00:00.5' + g * interval '1 day', timestamptz '2024-06-30 23:30:00+00'
    + g * interval '1 hour', date '2023-12-30' + g, g % 2 = 0, decode(lpad(to_hex(g * 77), 4, '0'),
    'hex'), array[g, NULL, g + 1], array['a"b', 'c,' || g, NULL], g / 3.0::float8, 'c' || g,
    ('00000000-0000-0000-0000-' || lpad(g::text, 12, '0'))::uuid FROM generate_series(1, 12) g;
INSERT INTO s (id) VALUES (13);
INSERT INTO k SELECT g, g % 10, 'name ' || g FROM generate_series(1, 1000) g;
INSERT INTO m SELECT g, 'm' || g, g FROM generate_series(1, 5) g;
INSERT INTO other.m SELECT g, 'other' || g, g FROM generate_series(1, 5) g;
INSERT INTO z SELECT g, g FROM generate_series(1, 3) g;
"""

# Between two conversations: what they may have left behind, on both servers.
RESET = ("TRUNCATE m, other.m, z; "
         "INSERT INTO m SELECT g, 'm' || g, g FROM generate_series(1, 5) g; "
         "INSERT INTO other.m SELECT g, 'other' || g, g FROM generate_series(1, 5) g; "
         "INSERT INTO z SELECT g, g FROM generate_series(1, 3) g")
REFILL = "UPDATE s SET t = nullif('text ' || id, 'text 4') WHERE id < 13"
REDEFINE = ("DROP SCHEMA IF EXISTS postgres CASCADE; DROP TABLE IF EXISTS z, nt CASCADE; "
            "CREATE TABLE z (id int PRIMARY KEY, a int); GRANT SELECT ON s, k TO limited; "
            "CREATE OR REPLACE VIEW sv AS SELECT id, t, n FROM s WHERE bo")

INT, TEXT, NUMERIC, BOOL, BIGINT = 23, 25, 1700, 16, 20
LONG_NAME = "a_name_that_is_so_long_that_postgresql_shortens_it_and_tells_so_in_a_notice"

# (text with $n, types, makers of values)
READS = [
    ("SELECT id, t FROM s WHERE id = $1", [INT], ["int"]),
    ("SELECT * FROM s WHERE id = $1", [INT], ["int"]),
    ("SELECT i, n, ts FROM s WHERE id < $1 ORDER BY id", [INT], ["int"]),
    ("SELECT t FROM s WHERE t = $1", [TEXT], ["text"]),
    ("SELECT id FROM s WHERE n > $1 ORDER BY id", [NUMERIC], ["numeric"]),
    ("SELECT id, bo FROM s WHERE bo = $1 ORDER BY id", [BOOL], ["bool"]),
    ("SELECT v, q FROM m WHERE id = $1", [INT], ["int"]),
    ("SELECT count(*), sum(q) FROM m WHERE q >= $1", [INT], ["int"]),
    ("SELECT k.name, s.t FROM k JOIN s ON s.id = k.g WHERE k.id = $1", [INT], ["int"]),
    ("SELECT $1::text, id FROM s WHERE id = 1", [TEXT], ["text"]),
    ("SELECT id, by, ia, ta FROM s WHERE id IN ($1, $2) ORDER BY id", [INT, INT], ["int", "int"]),
    ("SELECT t, $2::int FROM s WHERE i = $1", [INT, INT], ["int", "int"]),
    ("SELECT 10 / (q - $1) FROM m ORDER BY id", [INT], ["int"]),
    ("SELECT id FROM k ORDER BY id LIMIT $1", [BIGINT], ["int"]),
    ("SELECT id, name FROM k ORDER BY id LIMIT 2", [], []),
    ("SELECT id FROM k WHERE g < $1 ORDER BY id LIMIT 6", [INT], ["int"]),
    ("SELECT * FROM s ORDER BY id", [], []),
    ("SELECT * FROM k ORDER BY id", [], []),
    ("SELECT id, name FROM k WHERE g = 3 ORDER BY id", [], []),
    ("SELECT * FROM e", [], []),
    ("SELECT FROM s", [], []),
    ("SELECT FROM e", [], []),
    ("TABLE m ORDER BY id", [], []),
    ("VALUES (1, 'a'), (2, NULL)", [], []),
    ("SELECT 1 AS one, NULL, 'x'", [], []),
    ("SELECT * FROM m ORDER BY id", [], []),
    ("SELECT * FROM z ORDER BY id", [], []),
    ("SELECT a FROM z WHERE id = 2", [], []),
    ("SELECT count(*) FROM z", [], []),
    ("SELECT tz, ts, d, f, n FROM s WHERE id < 4 ORDER BY id", [], []),
    ("SELECT by, ia FROM s WHERE id = 5", [], []),
    ("SELECT * FROM sv ORDER BY id", [], []),
    ("WITH x AS (SELECT id FROM m WHERE q > 2) SELECT count(*) FROM x", [], []),
    ("SELECT id FROM m UNION SELECT id FROM z ORDER BY 1", [], []),
    ("SELECT array_agg(id ORDER BY id) FROM s", [], []),
    ("SELECT t AS " + LONG_NAME + " FROM s WHERE id = 1", [], []),
    ("SELECT t FROM s WHERE t = 'a\\\\b' OR id = 2", [], []),
    ("SELECT E'a\\nb', t FROM s WHERE id = 2 -- a comment", [], []),
    ("/* c */ SELECT interval '1 day 2 hours', id FROM s WHERE id = 6", [], []),
]

NOT_CACHED = [
    "SELECT 1/0", "SELECT noisy()", "SELECT * FROM absent", "SELECT nothing FROM s", "SELEC 1",
    "", " -- only a comment\n", ";", "SELECT 'unfinished", "SELECT current_setting('DateStyle')",
    "SELECT 1; SELECT 2", "SELECT t FROM s WHERE id = 1; SELECT 1/0; SELECT 3",
    "SELECT t FROM s WHERE id = 2; SELECT t FROM s WHERE id = 2",
    "SELECT pg_backend_pid() > 0", "SELECT count(*) FROM pg_prepared_statements",
    "SELECT name FROM pg_prepared_statements ORDER BY 1", "SELECT name FROM pg_cursors ORDER BY 1",
    "SELECT 'abc'::int", "SHOW DateStyle", "SHOW transaction_isolation", "SHOW TimeZone",
    "EXPLAIN (COSTS OFF) SELECT * FROM s WHERE id = 1", "SELECT * FROM s FOR UPDATE",
    "SELECT t FROM s WHERE id = 1 FOR SHARE", "SELECT now() IS NOT NULL",
    "SELECT set_config('DateStyle', 'German', false)", "SELECT set_config('TimeZone', 'Asia/Tokyo',"
    " true)", "SELECT add_m(77)", "VACUUM z", "ANALYZE m",
]

WRITES = [
    "INSERT INTO m VALUES (6, 'six', 6)", "UPDATE m SET v = v || '!' WHERE id = 2",
    "DELETE FROM m WHERE id = 3 RETURNING *", "INSERT INTO m VALUES (1, 'double', 1)",
    "UPDATE m SET q = q + 1 RETURNING id, q", "INSERT INTO m VALUES (7, 'big', 5000)",
    "DELETE FROM m WHERE false", "TRUNCATE m", "UPDATE z SET a = a + 1",
    "INSERT INTO m SELECT g, 'g', g FROM generate_series(20, 25) g RETURNING q",
    "WITH x AS (DELETE FROM m WHERE id = 4 RETURNING v) SELECT * FROM x",
    "INSERT INTO m VALUES (2, 'up', 2) ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING v",
    "MERGE INTO m USING z ON m.id = z.id WHEN MATCHED THEN UPDATE SET q = z.a",
    "DO $$BEGIN UPDATE m SET v = 'do' WHERE id = 5; END$$",
]

DEFINITIONS = [
    "ALTER TABLE z ADD COLUMN more text DEFAULT 'd'", "ALTER TABLE z RENAME COLUMN a TO aa",
    "ALTER TABLE z ALTER COLUMN a TYPE text USING a::text", "DROP TABLE z",
    "CREATE TABLE z (id int PRIMARY KEY, a text)", "CREATE TABLE nt AS SELECT 1 AS x",
    "CREATE TABLE IF NOT EXISTS z (id int PRIMARY KEY, a int)", "DROP TABLE IF EXISTS nt",
    "ALTER TABLE z DROP COLUMN a", "CREATE TEMP TABLE tt (id int); INSERT INTO tt VALUES (1)",
    "CREATE TEMP TABLE m (id int, v text, q int)", "DROP TABLE pg_temp.m", "SELECT * FROM tt",
    "CREATE INDEX ON z (id)", "ALTER TABLE z RENAME TO nt",
]

SETTINGS = [
    "SET DateStyle = 'German'", "SET DateStyle = 'SQL, DMY'", "SET TimeZone = 'Europe/Berlin'",
    "SET extra_float_digits = 0", "SET bytea_output = 'escape'", "SET IntervalStyle = 'iso_8601'",
    "SET search_path = other, public", "SET search_path = public", "RESET ALL", "DISCARD ALL",
    "SET standard_conforming_strings = off", "SET client_encoding = 'LATIN1'", "RESET DateStyle",
    "SET client_encoding = 'SQL_ASCII'", "SET ROLE limited", "RESET ROLE", "DISCARD PLANS",
    "SET nonsense = 1", "SET DateStyle = 'nonsense'", "SET application_name = 'renamed'",
    "SET client_min_messages = error", "SET LOCAL DateStyle = 'German'", "DISCARD TEMP",
    "SET pgcache.mode = 'off'", "RESET pgcache.mode", "SET SESSION AUTHORIZATION limited",
    "RESET SESSION AUTHORIZATION", "SET default_transaction_isolation = 'serializable'",
    "SET plan_cache_mode = force_generic_plan", "SET array_nulls = off",
    "SET IntervalStyle = sql_standard",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE", "RESET TimeZone",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET search_path = pg_temp, public",
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET search_path = ''",
    "SET DateStyle = 'German'; SET TimeZone = 'UTC'", "SET LOCAL search_path = other",
]

BLOCKS = [
    "BEGIN", "BEGIN", "BEGIN", "START TRANSACTION", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK",
    "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "BEGIN ISOLATION LEVEL REPEATABLE READ",
    "BEGIN READ ONLY", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "COMMIT AND CHAIN",
    "SET TRANSACTION READ ONLY", "SET TRANSACTION READ WRITE", "ABORT", "END",
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION DEFERRABLE",
    "BEGIN; SELECT t FROM s WHERE id = 1", "COMMIT; BEGIN", "LOCK TABLE m", "ROLLBACK AND CHAIN",
    "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "SET CONSTRAINTS ALL DEFERRED",
]

NAMED = [
    "PREPARE sq AS SELECT t FROM s WHERE id = $1", "EXECUTE sq(1)", "EXECUTE sq(2)",
    "DEALLOCATE sq", "DEALLOCATE ALL", "DEALLOCATE s0", "DEALLOCATE s1", "EXECUTE s0",
    "EXECUTE s0(1)", "PREPARE s1 AS SELECT 'from SQL'", "DECLARE c CURSOR FOR SELECT id FROM k",
    "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM s ORDER BY id", "FETCH 2 FROM c", "FETCH c",
    "DECLARE p0 CURSOR WITH HOLD FOR SELECT id FROM s ORDER BY id", "FETCH p0", "CLOSE p0",
    "MOVE 1 IN c", "CLOSE c", "CLOSE ALL", "LISTEN ch", "NOTIFY ch, 'load'", "UNLISTEN *",
    "FETCH BACKWARD 1 FROM c", "BEGIN; DECLARE c CURSOR FOR SELECT id FROM s; FETCH c",
]


class Generator:
    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.reads = self.dice.sample(READS, 4)
        self.values = {}
        self.prepared = {}  # name to read, as far as is known

    def chance(self, probability):
        return self.dice.random() < probability

    def name(self, letter):
        return "" if self.chance(0.55) else letter + str(self.dice.randrange(3))

    # --- reads

    def read(self):
        return self.dice.choice(self.reads)

    def padded(self, sql):
        """Now and then longer than a small limit of pgcache's."""
        return sql + f" /* {'long ' * 250} */" if self.chance(0.02) else sql

    def value(self, kind):
        if self.chance(0.04):
            return None
        if kind == "text" and self.chance(0.04):
            return "long" * 400
        return {"int": ["1", "2", "3", "4"], "text": ["text 2", "text 4", "", "ü'\\"],
                "numeric": ["0.5", "1.0"], "bool": ["t", "false"]}[kind][self.dice.randrange(2)
                                                                       + 2 * (kind == "int"
                                                                              and self.chance(0.2))]

    def literal(self, read):
        sql = read[0]
        for number, kind in reversed(list(enumerate(read[2], 1))):
            value = self.value(kind)
            quoted = "NULL" if value is None else value if kind in ("int", "numeric") else (
                "'" + value.replace("'", "''") + "'")
            sql = sql.replace(f"${number}", quoted)
        return self.padded(sql)

    def parse(self, read, name):
        types = list(read[1]) if self.chance(0.4) else []
        if types and self.chance(0.1):
            types[0] = self.dice.choice([0, BIGINT, TEXT, 21, 705, 99999])
        if self.chance(0.02):
            types.append(INT)
        self.prepared[name] = read
        return ["P", name, self.padded(read[0]), types]

    def bind(self, read, portal, statement):
        values = [self.value(kind) for kind in read[2]]
        formats = []
        if values and self.chance(0.25):
            formats = [1] * len(values) if self.chance(0.6) else [1]
            values = [self.binary(kind, value) for kind, value in zip(read[2], values)]
            if any(v is not None and not isinstance(v, list) for v in values):
                formats = [int(isinstance(v, list)) for v in values]
        results = self.dice.choice([[], [], [], [0], [1], [1]])
        if self.chance(0.02):
            values.append("1")
        if self.chance(0.02):
            results = self.dice.choice([[0, 1], [1] * 7, [2]])
        return ["B", portal, statement, formats, values, results]

    @staticmethod
    def binary(kind, value):
        if value is None or kind not in ("int", "text"):
            return value
        data = (int(value).to_bytes(4, "big") if kind == "int" else value.encode())
        return ["hex", data.hex()]

    def read_unit(self):
        """One read by extended messages, without its Sync."""
        read = self.read()
        known = [name for name, r in self.prepared.items() if r is not None]
        out = []
        if known and self.chance(0.45):
            statement = self.dice.choice(known)
            read = self.prepared[statement]
        else:
            statement = self.name("s")
            if statement and self.chance(0.6):
                out.append(["C", "S", statement])
            out.append(self.parse(read, statement))
            if self.chance(0.2):
                out.append(["D", "S", statement])
            if self.chance(0.35):
                out.append(self.dice.choice([["S"], ["H"]]))
        portal = "" if self.chance(0.8) else self.name("p")
        for _ in range(1 if self.chance(0.8) else self.dice.randint(2, 4)):
            out.append(self.bind(read, portal, statement))
            if self.chance(0.5):
                out.append(["D", "P", portal])
            limit = 0 if self.chance(0.8) else self.dice.choice([1, 2, 5, 100])
            out.append(["E", portal, limit])
            if limit and self.chance(0.6):
                out.append(["E", portal, self.dice.choice([0, 1, 3])])
            if portal or self.chance(0.15):
                out.append(["C", "P", portal])
        return out

    # --- anything

    def any_sql(self):
        lists = [NOT_CACHED, WRITES, DEFINITIONS, SETTINGS, BLOCKS, NAMED]
        return self.dice.choice(self.dice.choices(lists, [5, 5, 2, 4, 6, 4])[0])

    def sql_unit(self):
        """A statement that is not a repeated read, without its Sync."""
        sql = self.any_sql()
        name = self.name("w")
        out = [["P", name, sql, []], ["B", "", name, [], [], []]]
        if name:
            out.insert(0, ["C", "S", name])
        if self.chance(0.4):
            out.append(["D", "P", ""])
        out.append(["E", "", 0])
        if name == "":
            self.prepared.pop("", None)
        return out

    def odd_message(self):
        statement = self.name("s")
        portal = self.name("p")
        dice = self.dice
        return dice.choice([
            ["C", "S", statement], ["C", "P", portal], ["D", "S", statement], ["D", "P", portal],
            ["E", portal, dice.choice([0, 1, 2])], ["H"], ["S"],
            ["P", statement, dice.choice(NOT_CACHED), []], ["P", statement, "SELECT $1", [0]],
            ["P", statement, "SELECT $1::int + $2", []],
            ["B", portal, statement, [], [], []], ["B", portal, statement, [], ["1"], []],
            ["B", portal, statement, [0, 0, 0], ["1"], []], ["B", portal, "none", [], [], []],
            ["B", portal, statement, [], ["not a number"], []], ["D", "P", "none"],
            ["C", "S", "no"],
            ["B", portal, statement, [7], ["1"], []], ["B", portal, statement, [], ["1"], [9]],
            ["d", "stray"], ["c"], ["f", "stray"], ["Q", "SELECT 1"],
            ["Q", self.literal(self.read())],
            ["P", statement, "SELECT t FROM s WHERE id = $1; SELECT 2", []],
            ["raw", "E", "000000"], ["raw", "D", "5800"],
            ["raw", "S", "00"], ["raw", "C", "5a00"], ["raw", "H", "00"],
            ["F", 1397, [["hex", "fffffffb"]], 1], ["F", 1397, [None], 0], ["F", 99, [], 0],
            ["F", 598, [["hex", "00"]], 0],
        ])

    def disturb(self, unit):
        """One or two small changes to an orderly exchange."""
        unit = list(unit)
        for _ in range(self.dice.randint(1, 2)):
            at = self.dice.randrange(len(unit) + 1)
            kind = self.dice.randrange(5)
            if kind <= 1:
                unit.insert(at, self.odd_message())
            elif unit and kind == 2:
                del unit[min(at, len(unit) - 1)]
            elif unit and kind == 3:
                unit.insert(at, self.dice.choice(unit))
            elif len(unit) > 1:
                at = min(at, len(unit) - 2)
                unit[at], unit[at + 1] = unit[at + 1], unit[at]
        return unit

    def without_lone_executes(self, unit):
        """Most Executes without a Bind are left out: PostgreSQL 15 itself can crash in a failed
        block when the portal's plan is gone."""
        bound, out = set(), []
        for message in unit:
            if message[0] == "B":
                bound.add(message[1])
            if message[0] != "E" or message[1] in bound or self.chance(0.1):
                out.append(message)
        return out

    def exchange(self):
        """Messages up to where the client waits."""
        what = self.dice.random()
        if what < 0.45:
            self.prepared.pop("", None)  # a simple query ends the unnamed statement
        if what < 0.33:
            return [["Q", self.literal(self.read())]]
        if what < 0.45:
            return [["Q", self.any_sql()]]
        if what < 0.48:
            return self.copy()
        unit = self.read_unit() if what < 0.9 else self.sql_unit()
        if self.chance(0.08):
            unit += self.sql_unit() if self.chance(0.5) else self.read_unit()
        if self.chance(0.3):
            unit = self.without_lone_executes(self.disturb(unit))
        if self.chance(0.06):
            unit.append(["H"])
            return unit
        return unit + [["S"]]

    def copy(self):
        sql = self.dice.choice(["COPY m FROM STDIN", "COPY m (id, v) FROM STDIN",
                                "COPY m TO STDOUT",
                                "COPY (SELECT id, t FROM s ORDER BY id) TO STDOUT",
                                "COPY m FROM STDIN WITH CSV", "COPY absent FROM STDIN"])
        data = [["d", self.dice.choice(["30\tthirty\t3\n", "31\tx\n", "1\tdouble\t1\n", "32,y,4\n",
                                        "bad\n", "33\tz"])] for _ in range(self.dice.randint(0, 3))]
        end = self.dice.choice([["c"], ["c"], ["f", "the client fails"]])
        if self.chance(0.6):
            out = [["Q", sql]] + data + [end]
        else:
            out = [["P", "", sql, []], ["B", "", "", [], [], []], ["E", "", 0]]
            out += ([["S"]] if self.chance(0.3) else []) + data + [end, ["S"]]
            self.prepared.pop("", None)
        return self.disturb(out) + [["S"]] if self.chance(0.2) else out

    def step(self):
        step = {"send": self.exchange()}
        while self.chance(0.2):
            step["send"] = step["send"] + self.exchange()
        if self.chance(0.25):
            step["cuts"] = self.dice.randrange(1 << 30)
        if self.chance(0.15):
            step["pause"] = 0.05
        if self.chance(0.03):
            step["elsewhere"] = self.dice.choice([
                "UPDATE m SET v = 'elsewhere' WHERE id = 1", "INSERT INTO m VALUES (50, 'n', 50)"
                " ON CONFLICT DO NOTHING", "DELETE FROM m WHERE id = 2"])
        return step

    def repeated(self):
        """A read two to four times, so that the last ones are hits."""
        if self.chance(0.4):
            self.prepared.pop("", None)
            send = [["Q", self.literal(self.read())]]
        else:
            send = self.read_unit() + [["S"]]
        return [{"send": send, "pause": 0.005} for _ in range(self.dice.randint(2, 4))]

    def command(self, sql):
        """What begins or ends a block, without a Sync where it is not a simple query."""
        if self.chance(0.5):
            self.prepared.pop("", None)
            return [["Q", sql]]
        name = "" if self.chance(0.7) else self.name("w")
        out = [["P", name, sql, []], ["B", "", name, [], [], []]]
        if name:
            out.insert(0, ["C", "S", name])
        else:
            self.prepared.pop("", None)
        if self.chance(0.3):
            out.append(["D", "P", ""])
        out.append(["E", "", 0 if self.chance(0.6) else 1])
        return out

    def block(self):
        """A block around repeated reads, as frameworks make them: step by step, as a pipeline, or
        with one Sync behind it all."""
        begin = self.dice.choice(["BEGIN", "BEGIN", "begin;", "START TRANSACTION", "BEGIN READ ONLY",
                                  "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN READ WRITE"])
        end = self.dice.choice(["COMMIT", "COMMIT", "END", "ROLLBACK", "ABORT", "COMMIT AND CHAIN"])
        parts = [self.command(begin)]
        for _ in range(self.dice.randint(0, 3)):
            self.prepared.pop("", None)
            parts.append([["Q", self.literal(self.read())]] if self.chance(0.5)
                         else self.read_unit())
        if self.chance(0.25):
            parts.insert(self.dice.randrange(1, len(parts) + 1), self.exchange())
        if self.chance(0.8):
            parts.append(self.command(end))
        one_sync = self.chance(0.2)
        sent = [part if one_sync or part[-1][0] in "QSHcf" else part + [["S"]] for part in parts]
        steps = [{"send": part, "pause": 0.004} for part in sent]
        if one_sync or self.chance(0.4):
            steps = [{"send": [m for part in sent for m in part] + [["S"]] * one_sync}]
        return steps * self.dice.randint(1, 3)

    def fetching(self):
        """A block in which portals are fetched from part by part, with other things in between."""
        steps = [self.command("BEGIN")]
        portals = []
        for _ in range(self.dice.randint(1, 2)):
            portal = self.dice.choice(["", "p0", "p1", "p2"])
            read = self.read()
            self.prepared.pop("", None)
            unit = [["P", "", read[0], list(read[1])], self.bind(read, portal, "")]
            if self.chance(0.4):
                unit.append(["D", "P", portal])
            unit.append(["E", portal, self.dice.choice([1, 1, 2, 5, 100, 0])])
            portals.append(portal)
            steps.append(unit)
        for _ in range(self.dice.randint(1, 8)):
            portal = self.dice.choice(portals)
            what = self.dice.random()
            if what < 0.6:
                unit = [["E", portal, self.dice.choice([0, 1, 2, 3, 50])]]
                if self.chance(0.15):
                    unit.insert(self.dice.randrange(2), ["C", "S", "none"])
                if self.chance(0.15):
                    unit.append(["C", "P", portal])
            elif what < 0.65:
                unit = [["D", "P", portal]]
            elif what < 0.72:
                unit = self.read_unit()
            else:
                unit = self.utility(self.dice.choice(
                    ["SAVEPOINT a", "SAVEPOINT a", "ROLLBACK TO a", "ROLLBACK TO a", "RELEASE a",
                     "SAVEPOINT b", "ROLLBACK TO b", "SELECT 1/0", "ROLLBACK AND CHAIN",
                     "SET LOCAL bytea_output = 'escape'", f"MOVE 1 FROM {portal or 'p1'}",
                     "UPDATE m SET q = q + 1", f"FETCH 1 FROM {portal or 'p0'}",
                     "SELECT name FROM pg_cursors WHERE name <> '' ORDER BY 1", "CLOSE ALL",
                     f"CLOSE {portal or 'p1'}", "SET LOCAL DateStyle = 'German'",
                     "INSERT INTO m VALUES (60, 'sixty', 60)", "SELECT count(*) FROM m"]))
            steps.append(unit)
        steps.append(self.command(self.dice.choice(["COMMIT", "ROLLBACK"])))
        sent = [unit if unit[-1][0] in "QSHcf" else unit + [["S"]] for unit in steps]
        out = [{"send": unit, "pause": 0.004} for unit in sent]
        if self.chance(0.25):
            out = [{"send": [m for unit in sent for m in unit]}]
        return out * self.dice.randint(1, 3)

    @staticmethod
    def utility(sql):
        return [["C", "S", "w"], ["P", "w", sql, []], ["B", "wp", "w", [], [], []], ["E", "wp", 0],
                ["C", "P", "wp"]]

    def conversation(self):
        startup = [["user", "postgres"], ["database", "postgres"]]
        for pair in (["DateStyle", "German"], ["options", "-c TimeZone=Asia/Tokyo"],
                     ["application_name", "conversations"], ["client_encoding", "LATIN1"]):
            if self.chance(0.06):
                startup.append(pair)
        steps = []
        for _ in range(self.dice.randint(5, 14)):
            kind = self.dice.random()
            if kind < 0.4:
                steps += self.repeated()
            elif kind < 0.55:
                steps += self.block()
            elif kind < 0.67:
                steps += self.fetching()
            else:
                steps.append(self.step())
        conversation = {"startup": startup, "steps": steps}
        if self.chance(0.3):
            conversation["end"] = self.exchange()
        return conversation


def redefines(conversation):
    """Whether it may leave other tables behind than it found."""
    return mentions(conversation, ("ALTER", "DROP", "CREATE", "GRANT", "REVOKE"))


def mentions(conversation, words):
    """Whether one of the words is in a text of the conversation."""
    steps = conversation["steps"]
    messages = [m for step in steps for m in step["send"]] + conversation.get("end", [])
    texts = [bytes.fromhex(m[1]).decode("latin-1") if m[0] == "bytes" else part
             for m in messages for part in m if isinstance(part, str)]
    texts += [step["elsewhere"] for step in steps if step.get("elsewhere")]
    return any(word in text for text in texts for word in words)
