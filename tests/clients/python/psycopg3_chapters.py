# SPDX-License-Identifier: Apache-2.0
"""psycopg 3: text and binary results, server-side preparation, pipelines, cursors of both kinds, COPY, async."""

import threading
import time

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

import contract
import kinds

BY_ID = "SELECT id, name, price, added FROM items WHERE id = %s"


def connect(url, **kwargs):
    return psycopg.connect(url, autocommit=True, **kwargs)


def connect_chapter(url):
    with connect(url, application_name="psycopg", options="-c statement_timeout=60s") as session:
        info = session.info
        return [info.server_version, info.encoding, info.dbname, info.user, info.transaction_status,
                info.parameter_status("DateStyle"), info.timezone,
                session.execute("SHOW application_name").fetchall(),
                session.execute("SHOW statement_timeout").fetchall(),
                session.execute("SELECT name FROM items WHERE id = 1").fetchall()]


def types(url):
    seen = []
    with connect(url) as session:
        for binary in (False, True):
            for column in ("*", *kinds.COLUMNS):
                cursor = session.cursor(binary=binary)
                try:
                    cursor.execute(f"SELECT {column} FROM kinds ORDER BY id")
                    seen += [column, [c.type_code for c in cursor.description], cursor.fetchall()]
                except (psycopg.Error, ValueError) as error:  # a date that Python has not
                    seen += [column, str(error)]
    return seen


def round_trip(url):
    seen = []
    with connect(url) as session:
        session.execute("TRUNCATE kinds_back")
        session.execute("INSERT INTO kinds_back (id) SELECT id FROM kinds")
        for column in kinds.COLUMNS:
            for mark in ("%s", "%b", "%t"):
                for row in (1, 2, 3):
                    try:
                        value = session.execute(f"SELECT {column} FROM kinds WHERE id = %s", [row]).fetchone()[0]
                        session.execute(f"UPDATE kinds_back SET {column} = {mark} WHERE id = %s", [value, row])
                        seen += session.execute(f"SELECT {column}::text FROM kinds_back WHERE id = %s", [row])
                    except (psycopg.Error, ValueError) as error:
                        seen.append((column, mark, str(error)))
    return seen


def searches(url):
    seen = []
    with connect(url) as session:
        for column in kinds.SEARCHED:
            value = session.execute(f"SELECT {column} FROM kinds WHERE id = 1").fetchone()[0]
            for mark in ("%s", "%b") if column != "k_enum" else ("%s",):
                seen += [column, session.execute(f"SELECT id FROM kinds WHERE {column} = {mark}", [value]).fetchall()]
    return seen


def prepared(url):
    with connect(url, prepare_threshold=2) as session:
        seen = [session.execute(BY_ID, [i]).fetchall() for i in range(1, 11)]
        seen += [session.execute(BY_ID, [i], prepare=True, binary=True).fetchall() for i in range(1, 11)]
        return seen


def deallocation(url):
    with connect(url, prepare_threshold=0) as session:
        session.prepared_max = 3
        seen = [session.execute(f"SELECT name, {i} FROM items WHERE id = %s", [i]).fetchall() for i in range(1, 9)]
        session.execute("DEALLOCATE ALL")
        return seen + session.execute(BY_ID, [1]).fetchall()


def read_blocks(url):
    """All but the session's first, in whose front the settings are asked for, and that which prepares the statement."""
    with psycopg.connect(url, row_factory=dict_row) as session:
        seen = []
        for i in range(1, 6):
            with session.transaction():
                seen += session.execute(BY_ID, [i]).fetchall()
        session.execute(BY_ID, [6])
        session.commit()
        session.execute(BY_ID, [7])
        session.rollback()
        return seen


def transactions(url):
    seen = []
    with psycopg.connect(url) as session:
        session.execute("DELETE FROM written")
        session.commit()
        with session.transaction():
            session.execute("INSERT INTO written VALUES (1, 'one')")
            try:
                with session.transaction():
                    session.execute("INSERT INTO written VALUES (2, 'two')")
                    raise KeyError
            except KeyError:
                pass
            seen += session.execute("SELECT * FROM written ORDER BY id").fetchall()
        seen += session.execute("SELECT * FROM written ORDER BY id").fetchall()
        session.rollback()
        session.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        seen += session.execute("SELECT count(*) FROM written").fetchall()
        session.commit()
        session.read_only = True
        try:
            session.execute("DELETE FROM written")
        except psycopg.errors.ReadOnlySqlTransaction as error:
            seen.append(str(error))
    return seen


def batches(url):
    seen = []
    with connect(url) as session:
        session.execute("TRUNCATE copied")
        with session.cursor() as cursor:
            cursor.executemany("INSERT INTO copied VALUES (%s, %s) RETURNING v", [(i, str(i)) for i in range(50)],
                               returning=True)
            seen.append(cursor.fetchall())
        with session.pipeline() as pipeline:
            cursors = [session.execute("SELECT v FROM copied WHERE id = %s", [i]) for i in range(20)]
            pipeline.sync()
            session.execute("UPDATE copied SET v = 'changed' WHERE id = 3")
            cursors.append(session.execute("SELECT v FROM copied WHERE id = 3"))
        seen += [cursor.fetchall() for cursor in cursors]
        try:
            with session.pipeline():
                session.execute("SELECT 1 / 0")
                session.execute("SELECT 1")
        except psycopg.Error as error:
            seen.append((error.sqlstate, str(error)))
        seen += session.execute("SELECT count(*) FROM copied").fetchall()
    return seen


def pipelined_reads(url):
    """A Sync behind each read: what is answered from memory is answered so in a pipeline too."""
    seen = []
    with connect(url, prepare_threshold=None) as session, session.pipeline() as pipeline:
        for i in range(1, 11):
            cursor = session.execute(BY_ID, [i])
            pipeline.sync()
            seen += cursor.fetchall()
    return seen


def pipelines_of_reads(url):
    """Each ends with a Sync and a Flush."""
    seen = []
    with connect(url, prepare_threshold=None) as session:
        for i in range(1, 6):
            with session.pipeline():
                cursors = [session.execute(BY_ID, [i]), session.execute(BY_ID, [i + 1])]
            seen += [cursor.fetchall() for cursor in cursors]
    return seen


def cursors(url):
    seen = []
    with psycopg.connect(url) as session:
        with session.cursor(name="by hand") as cursor:
            cursor.itersize = 7
            cursor.execute("SELECT id, name FROM items ORDER BY id")
            seen += [row for row in cursor]
        with session.cursor(name="scrolled", scrollable=True) as cursor:
            cursor.execute("SELECT id FROM items ORDER BY id")
            cursor.scroll(10)
            seen += cursor.fetchmany(5)
            cursor.scroll(0, mode="absolute")
            seen += cursor.fetchmany(2)
        session.rollback()
        session.autocommit = True
        seen += list(session.cursor().stream("SELECT id FROM items WHERE id < %s ORDER BY id", [10]))
        with session.cursor(name="held", withhold=True) as cursor:
            cursor.execute("SELECT id FROM items ORDER BY id")
            seen += cursor.fetchmany(3)
    return seen


def copy(url):
    seen = []
    with connect(url) as session, session.cursor() as cursor:
        session.execute("TRUNCATE copied")
        with cursor.copy("COPY copied FROM STDIN") as to:
            for i in range(1000):
                to.write_row((i, f"v\t{i}\n", i * 0.5))
        seen.append(cursor.statusmessage)
        with cursor.copy("COPY copied (id, v) FROM STDIN (FORMAT BINARY)") as to:
            to.set_types(["int4", "text"])
            for i in range(1000, 1500):
                to.write_row((i, "x" * (i % 700)))
        for form in ("TEXT", "CSV", "BINARY"):
            with cursor.copy(f"COPY (SELECT * FROM copied ORDER BY id) TO STDOUT (FORMAT {form})") as source:
                seen.append(b"".join(bytes(block) for block in source))
        try:
            with cursor.copy("COPY copied FROM STDIN") as to:
                to.write_row((1, "again", None))
        except psycopg.Error as error:
            seen.append((error.sqlstate, str(error)))
        try:
            with cursor.copy("COPY copied FROM STDIN") as to:
                raise KeyError
        except KeyError:
            pass
        seen += session.execute("SELECT count(*), sum(length(v)) FROM copied").fetchall()
    return seen


def errors(url):
    seen = []
    with connect(url) as session:
        for statement, values in [
            ("SELECT nothing FROM items", []), ("SELECT 1 / (id - %s) FROM items WHERE id = 5", [5]),
            ("INSERT INTO items SELECT * FROM items", []), ("SELEC", []), ("SELECT %s::int", ["x"]),
            ("SELECT * FROM absent WHERE id = %s", [1]), ("INSERT INTO written VALUES (NULL)", []),
            ("SELECT 'x'::mood", []), ("DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'AB123', HINT = 'h', "
                                       "DETAIL = 'd', TABLE = 't'; END $$", []),
        ]:
            for prepare in (False, True):
                try:
                    session.execute(statement, values, prepare=prepare)
                except psycopg.Error as error:
                    diag = error.diag
                    seen.append([getattr(diag, name) for name in dir(diag) if not name.startswith("_")
                                 and isinstance(getattr(diag, name), str)])
        notices = []
        session.add_notice_handler(lambda diag: notices.append((diag.severity, diag.message_primary)))
        session.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$")
        seen += notices
        session.execute("BEGIN")
        for statement in ("SELECT 1 / 0", "SELECT name FROM items WHERE id = 1"):
            try:
                session.execute(statement)
            except psycopg.Error as error:
                seen.append((error.sqlstate, session.info.transaction_status))
        session.execute("ROLLBACK")
        seen += session.execute("SELECT name FROM items WHERE id = 1").fetchall()
    return seen


def cancel(url):
    seen = []
    with connect(url) as session:
        for stop in (session.cancel, session.cancel_safe):
            timer = threading.Timer(0.3, stop)
            timer.start()
            began = time.monotonic()
            try:
                session.execute("SELECT pg_sleep(30)")
            except psycopg.errors.QueryCanceled as error:
                seen.append((str(error), time.monotonic() - began < 10))
            timer.join()
        seen += session.execute("SELECT name FROM items WHERE id = 1").fetchall()
    return seen


def notify(url):
    seen = []
    with connect(url) as session, connect(url) as other:
        session.execute("LISTEN news")
        for i in range(3):
            other.execute("SELECT pg_notify('news', %s)", [f"number {i}"])
        seen += [(n.channel, n.payload) for n in session.notifies(timeout=10, stop_after=3)]
        session.execute("NOTIFY news, 'to myself'")
        seen += [(n.channel, n.payload) for n in session.notifies(timeout=10, stop_after=1)]
        session.execute("UNLISTEN *")
    return seen


def two_phases(url):
    with psycopg.connect(url) as session:
        seen = []
        for finish in (session.tpc_commit, session.tpc_rollback):
            session.tpc_begin(session.xid(1, "global", "branch"))
            session.execute("DELETE FROM written")
            session.execute("INSERT INTO written VALUES (1, 'in two phases')")
            session.tpc_prepare()
            finish()
            seen += session.execute("SELECT * FROM written").fetchall()
            session.rollback()
            seen += session.tpc_recover()
        return seen


def pool(url):
    """Each checkout ends with a rollback of what is open."""
    with ConnectionPool(url, min_size=2, max_size=2) as connections:
        seen = []
        for i in range(10):
            with connections.connection() as session:
                seen += session.execute(BY_ID, [i % 3 + 1]).fetchall()
        return seen


async def asynchronous(url):
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as session:
        cursors = [await session.execute(BY_ID, [i], binary=True) for i in range(1, 11)]
        return [await cursor.fetchall() for cursor in cursors]


def main():
    contract.start("psycopg 3", psycopg.__version__)
    contract.chapter("connect", connect_chapter)
    contract.chapter("types", types, hits=2 * (1 + len(kinds.COLUMNS)))
    contract.chapter("round-trip", round_trip)
    contract.chapter("searches", searches, hits=3 * len(kinds.SEARCHED) - 1)
    contract.chapter("prepared", prepared, hits=20)
    contract.chapter("deallocation", deallocation, hits=9)
    contract.chapter("read-blocks", read_blocks, hits=7, local=5)
    contract.chapter("transactions", transactions)
    contract.chapter("batches", batches)
    contract.chapter("pipelined-reads", pipelined_reads, hits=10)
    contract.chapter("pipelines-of-reads", pipelines_of_reads, hits=10)
    contract.chapter("cursors", cursors)
    contract.chapter("copy", copy)
    contract.chapter("errors", errors)
    contract.chapter("cancel", cancel)
    contract.chapter("notify", notify)
    contract.chapter("two-phases", two_phases)
    contract.chapter("pool", pool, hits=10, local=8)
    contract.chapter("async", asynchronous, hits=10)
    contract.finish()


main()
