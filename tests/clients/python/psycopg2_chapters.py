# SPDX-License-Identifier: Apache-2.0
"""psycopg 2: simple queries alone, parameters written into the text; BEGIN in front of the first one by itself."""

import io
import select
import threading
import time

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras
import psycopg2.pool

import contract
import kinds

BY_ID = "SELECT id, name, price, added FROM items WHERE id = %s"


def connect(url, autocommit=True, **kwargs):
    session = psycopg2.connect(url, **kwargs)
    session.autocommit = autocommit
    return session


def query(session, statement, values=None):
    with session.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else [cursor.statusmessage]


def connect_chapter(url):
    session = connect(url, application_name="two", options="-c datestyle=german")
    info = session.info
    seen = [info.server_version, session.encoding, info.dbname, info.user, info.transaction_status,
            info.parameter_status("DateStyle"), query(session, "SHOW application_name"),
            query(session, "SELECT k_date::text FROM kinds ORDER BY id")]
    session.set_client_encoding("LATIN1")
    seen.append(query(session, "SELECT name FROM items WHERE id = 1"))
    session.close()
    return seen


def types(url):
    session = connect(url)
    psycopg2.extras.register_uuid(conn_or_curs=session)
    psycopg2.extras.register_ipaddress(session)
    other = connect(url)
    psycopg2.extras.register_composite("pair", other, globally=True)  # reads the catalog
    other.close()
    seen = []
    for column in ("*", *kinds.COLUMNS):
        with session.cursor() as cursor:
            try:
                cursor.execute(f"SELECT {column} FROM kinds ORDER BY id")
                seen += [column, cursor.description, [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row)
                                                     for row in cursor.fetchall()]]
            except (psycopg2.Error, ValueError) as error:
                seen += [column, str(error)]
    session.close()
    return seen


def round_trip(url):
    session = connect(url)
    seen = []
    query(session, "TRUNCATE kinds_back")
    query(session, "INSERT INTO kinds_back (id) SELECT id FROM kinds")
    for column in kinds.COLUMNS:
        for row in (1, 2, 3):
            try:
                value = query(session, f"SELECT {column} FROM kinds WHERE id = %s", [row])[0][0]
                query(session, f"UPDATE kinds_back SET {column} = %s WHERE id = %s", [value, row])
                seen += query(session, f"SELECT {column}::text FROM kinds_back WHERE id = %s", [row])
            except (psycopg2.Error, ValueError) as error:
                seen.append((column, str(error)))
    session.close()
    return seen


def searches(url):
    session = connect(url)
    seen = []
    for column in kinds.SEARCHED:
        if column != "k_uuid":
            value = query(session, f"SELECT {column} FROM kinds WHERE id = 1")[0][0]
            seen += [column, query(session, f"SELECT id FROM kinds WHERE {column} = %s", [value])]
    seen += query(session, "SELECT id FROM items WHERE id = ANY(%s)", [[1, 2, 3]])
    seen += query(session, "SELECT id FROM items WHERE id IN %s", [(4, 5)])
    session.close()
    return seen


def prepared(url):
    """By hand, as there is no other way."""
    session = connect(url)
    query(session, "PREPARE by_id (int) AS SELECT name FROM items WHERE id = $1")
    seen = [query(session, "EXECUTE by_id (%s)", [i]) for i in range(1, 6)]
    query(session, "DEALLOCATE by_id")
    session.close()
    return seen


def read_blocks(url):
    """All but the session's first, in whose front the settings are asked for."""
    session = connect(url, autocommit=False)
    seen = []
    for i in range(1, 8):
        with session:
            seen += query(session, BY_ID, [i])
    seen += query(session, BY_ID, [8])
    session.rollback()
    session.close()
    return seen


def transactions(url):
    session = connect(url, autocommit=False)
    query(session, "DELETE FROM written")
    session.commit()
    seen = []
    for name in ("one", "two"):
        try:
            with session:
                query(session, "INSERT INTO written VALUES (1, %s)", [name])
        except psycopg2.errors.UniqueViolation as error:
            seen.append(str(error))
        seen += query(session, "SELECT * FROM written")
        session.rollback()
    for level in ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"):
        session.set_session(isolation_level=level, readonly=True, deferrable=False)
        seen += query(session, "SELECT name FROM items WHERE id = 1")
        seen += query(session, "SHOW transaction_isolation")
        session.rollback()
    session.close()
    return seen


def batches(url):
    session = connect(url)
    query(session, "TRUNCATE copied")
    rows = [(i, str(i)) for i in range(500)]
    with session.cursor() as cursor:
        psycopg2.extras.execute_values(cursor, "INSERT INTO copied (id, v) VALUES %s", rows)
        psycopg2.extras.execute_batch(cursor, "UPDATE copied SET v = %s WHERE id = %s", [(v + "!", i) for i, v in rows])
        cursor.execute("SELECT 1; SELECT name FROM items WHERE id = 1; SELECT 3")
        seen = cursor.fetchall()
    seen += query(session, "SELECT count(*), sum(length(v)) FROM copied")
    session.close()
    return seen


def cursors(url):
    session = connect(url, autocommit=False)
    with session.cursor(name="by hand", scrollable=True) as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT id, name FROM items ORDER BY id")
        seen = list(cursor)
        cursor.scroll(3, mode="absolute")
        seen += cursor.fetchmany(4)
    session.rollback()
    session.close()
    return seen


def copy(url):
    session = connect(url)
    query(session, "TRUNCATE copied")
    with session.cursor() as cursor:
        text = "".join(f"{i}\tv{i}\t{i}.5\n" for i in range(2000))
        cursor.copy_from(io.StringIO(text), "copied")
        seen = [cursor.rowcount]
        for form in ("TEXT", "CSV HEADER"):
            to = io.StringIO()
            cursor.copy_expert(f"COPY (SELECT * FROM copied ORDER BY id) TO STDOUT {form.replace('TEXT', '')}", to)
            seen.append(to.getvalue())
        try:
            cursor.copy_from(io.StringIO("1\tagain\t2\n"), "copied")
        except psycopg2.Error as error:
            seen += [error.pgcode, str(error)]
    seen += query(session, "SELECT count(*) FROM copied")
    session.close()
    return seen


def errors(url):
    session = connect(url)
    seen = []
    for statement in ("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
                      "INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood", "SELECT * FROM absent"):
        for _ in range(2):
            try:
                query(session, statement)
            except psycopg2.Error as error:
                seen.append([getattr(error.diag, name) for name in dir(error.diag) if not name.startswith("_")])
    query(session, "DO $$ BEGIN RAISE NOTICE 'noted'; END $$")
    seen += session.notices
    session.autocommit = False
    for statement in ("SELECT 1 / 0", "SELECT name FROM items WHERE id = 1"):
        try:
            query(session, statement)
        except psycopg2.Error as error:
            seen.append((error.pgcode, session.info.transaction_status))
    session.rollback()
    session.close()
    return seen


def cancel(url):
    session = connect(url)
    timer = threading.Timer(0.3, session.cancel)
    timer.start()
    began = time.monotonic()
    try:
        query(session, "SELECT pg_sleep(30)")
        seen = []
    except psycopg2.extensions.QueryCanceledError as error:
        seen = [str(error), time.monotonic() - began < 10]
    timer.join()
    seen += query(session, "SELECT name FROM items WHERE id = 1")
    session.close()
    return seen


def notify(url):
    session, other = connect(url), connect(url)
    query(session, "LISTEN news")
    for i in range(3):
        query(other, f"NOTIFY news, 'number {i}'")
    deadline = time.monotonic() + 10
    while len(session.notifies) < 3 and time.monotonic() < deadline:
        select.select([session], [], [], 1)
        session.poll()
    seen = [(n.channel, n.payload) for n in session.notifies]
    session.close()
    other.close()
    return seen


def asynchronous(url):
    session = psycopg2.connect(url, async_=1)
    psycopg2.extras.wait_select(session)
    cursor = session.cursor()
    seen = []
    for i in range(1, 6):
        cursor.execute(BY_ID, [i])
        psycopg2.extras.wait_select(session)
        seen += cursor.fetchall()
    session.close()
    return seen


def large_objects(url):
    session = connect(url, autocommit=False)
    lob = session.lobject(mode="wb")
    oid = lob.oid
    lob.write(b"abc" * 10000)
    lob.close()
    lob = session.lobject(oid, "rb")
    seen = [len(lob.read()), lob.tell()]
    lob.unlink()
    session.commit()
    session.close()
    return seen


def pool(url):
    """The pool ends what is open when it gets a session back."""
    connections = psycopg2.pool.SimpleConnectionPool(1, 2, url)
    seen = []
    for i in range(6):
        session = connections.getconn()
        seen += query(session, BY_ID, [i % 3 + 1])
        connections.putconn(session)
    connections.closeall()
    return seen


def main():
    contract.start("psycopg 2", psycopg2.__version__.split()[0])
    contract.chapter("connect", connect_chapter)
    contract.chapter("types", types, hits=1 + len(kinds.COLUMNS))
    contract.chapter("round-trip", round_trip)
    contract.chapter("searches", searches, hits=2 * len(kinds.SEARCHED))
    contract.chapter("prepared", prepared)
    contract.chapter("read-blocks", read_blocks, hits=8, local=7)
    contract.chapter("transactions", transactions)
    contract.chapter("batches", batches)
    contract.chapter("cursors", cursors)
    contract.chapter("copy", copy)
    contract.chapter("errors", errors)
    contract.chapter("cancel", cancel)
    contract.chapter("notify", notify)
    contract.chapter("async", asynchronous, hits=5)
    contract.chapter("large-objects", large_objects)
    contract.chapter("pool", pool, hits=6, local=5)
    contract.finish()


main()
