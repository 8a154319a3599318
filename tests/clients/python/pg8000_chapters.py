# SPDX-License-Identifier: Apache-2.0
"""pg8000, which speaks the protocol itself: a statement with values in three exchanges (Parse, Describe, then Bind and
Execute), one without in a simple query. Its own interface and that of the DB-API, which begins a block by itself."""

import io
import socket
import threading
import time
import urllib.parse

import pg8000.dbapi
import pg8000.exceptions
import pg8000.native

import contract
import kinds

BY_ID = "SELECT id, name, price, added FROM items WHERE id = :id"


def address(url, **kwargs):
    parts = urllib.parse.urlparse(url)
    return {"user": parts.username, "host": parts.hostname, "port": parts.port, "database": parts.path[1:]} | kwargs


def connect(url, **kwargs):
    return pg8000.native.Connection(**address(url, **kwargs))


def refusal(work):
    try:
        return work()
    except pg8000.exceptions.DatabaseError as error:
        return sorted((key, value) for key, value in error.args[0].items())
    except pg8000.exceptions.InterfaceError as error:
        return str(error)


def connect_chapter(url):
    session = connect(url, application_name="eight", startup_params={"DateStyle": "German", "TimeZone": "Asia/Tokyo"})
    seen = [sorted((name, value) for name, value in session.parameter_statuses.items()),
            session.run("SHOW application_name"), session.run("SELECT added::text FROM items WHERE id = 1"),
            session.run("SELECT added::text FROM items WHERE id = :id", id=2)]
    session.close()
    seen.append(refusal(lambda: connect(url, database="absent")))
    seen.append(refusal(lambda: connect(url, user="nobody")))
    seen.append(refusal(lambda: connect(url, startup_params={"DateStyle": "none"})))
    return seen


def described(session):
    return [(c["name"], c["type_oid"], c["format"], c["type_modifier"], c["column_attrnum"]) for c in session.columns]


def types(url):
    session = connect(url)
    seen = []
    for column in kinds.COLUMNS:
        try:
            seen += session.run(f"SELECT {column} FROM kinds ORDER BY id")
            seen += session.run(f"SELECT {column} FROM kinds WHERE id < :id ORDER BY id", id=10)
            seen.append(described(session))
        except (ValueError, TypeError) as error:
            seen.append((column, str(error)))
    session.close()
    return seen


def round_trip(url):
    session = connect(url)
    seen = []
    session.run("TRUNCATE kinds_back")
    session.run("INSERT INTO kinds_back (id) SELECT id FROM kinds")
    for column in kinds.COLUMNS:
        for row in (1, 2, 3):
            try:
                value = session.run(f"SELECT {column} FROM kinds WHERE id = :id", id=row)[0][0]
                session.run(f"UPDATE kinds_back SET {column} = :value WHERE id = :id", value=value, id=row)
                seen += session.run(f"SELECT {column}::text FROM kinds_back WHERE id = :id", id=row)
            except (pg8000.exceptions.DatabaseError, ValueError, TypeError) as error:
                seen.append((column, str(error)))
    session.close()
    return seen


def searches(url):
    session = connect(url)
    seen = []
    for column in kinds.SEARCHED:
        value = session.run(f"SELECT {column} FROM kinds WHERE id = 1")[0][0]
        seen += [column, refusal(lambda c=column, v=value: session.run(f"SELECT id FROM kinds WHERE {c} = :v", v=v))]
    seen += session.run("SELECT id FROM items WHERE id = ANY(:ids)", ids=[1, 2, 3])
    session.close()
    return seen


def parameters(url):
    session = connect(url)
    seen = []
    for i in range(1, 11):
        seen += session.run(BY_ID, id=i)
        seen.append((session.row_count, described(session)))
    seen += session.run("SELECT count(*), sum(price) FROM items WHERE owner_id = :a AND price > :b", a=3, b=1)
    seen += session.run("SELECT name FROM items WHERE id = :id", id=4, types={"id": pg8000.native.INTEGER})
    session.close()
    return seen


def simple(url):
    session = connect(url)
    seen = [session.run(f"SELECT name FROM items WHERE id = {i}") for i in range(1, 11)]
    session.close()
    return seen


def prepared(url):
    session = connect(url)
    statement = session.prepare(BY_ID)
    seen = [statement.run(id=i) for i in range(1, 11)]
    statement.close()
    session.close()
    return seen


def read_blocks(url):
    """Of the DB-API: it prepares everything first, also BEGIN and COMMIT, by which the block comes to the origin."""
    session = pg8000.dbapi.connect(**address(url))
    cursor = session.cursor()
    seen = []
    for i in range(1, 8):
        cursor.execute("SELECT name, price FROM items WHERE id = %s", (i,))
        seen += [cursor.fetchone(), cursor.rowcount, cursor.description]
        session.commit()
    session.close()
    return seen


def transactions(url):
    session = pg8000.dbapi.connect(**address(url))
    cursor = session.cursor()
    cursor.execute("DELETE FROM written")
    session.commit()
    seen = []
    for name in ("one", "two"):
        seen.append(refusal(lambda n=name: cursor.execute("INSERT INTO written VALUES (1, %s)", (n,)) and None))
        seen.append(refusal(lambda: cursor.execute("SELECT * FROM written") and None))
        seen.append(refusal(session.commit))
        session.rollback()
        cursor.execute("SELECT * FROM written")
        seen.append(cursor.fetchall())
        session.rollback()
    cursor.execute("SAVEPOINT s")
    seen.append(refusal(lambda: cursor.execute("INSERT INTO written VALUES (1)") and None))
    cursor.execute("ROLLBACK TO SAVEPOINT s")
    cursor.execute("SELECT * FROM written")
    seen.append(cursor.fetchall())
    session.commit()
    session.autocommit = True
    cursor.execute("START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY")
    cursor.execute("SELECT name FROM items WHERE id = 1")
    seen += [cursor.fetchall(), refusal(lambda: cursor.execute("DELETE FROM written") and None)]
    cursor.execute("ROLLBACK")
    session.close()
    return seen


def batches(url):
    session = pg8000.dbapi.connect(**address(url))
    session.autocommit = True
    cursor = session.cursor()
    cursor.execute("TRUNCATE copied")
    cursor.executemany("INSERT INTO copied (id, v) VALUES (%s, %s)", [(i, str(i)) for i in range(200)])
    seen = [cursor.rowcount]
    cursor.execute("SELECT 1; SELECT name FROM items WHERE id = 1")
    seen.append(cursor.fetchall())
    cursor.execute("SELECT count(*), sum(length(v)) FROM copied")
    seen.append(cursor.fetchall())
    session.close()
    return seen


def copy(url):
    session = connect(url)
    session.run("TRUNCATE copied")
    text = "".join(f"{i}\tv{i}\t{i}.5\n" for i in range(2000))
    session.run("COPY copied FROM STDIN", stream=io.StringIO(text))
    seen = [session.row_count]
    for form in ("", "WITH (FORMAT csv, HEADER)", "WITH (FORMAT binary)"):
        to = io.BytesIO()
        session.run(f"COPY (SELECT * FROM copied ORDER BY id) TO STDOUT {form}", stream=to)
        seen.append(to.getvalue())
    seen.append(refusal(lambda: session.run("COPY copied FROM STDIN", stream=io.StringIO("1\tagain\t2\n"))))
    seen += session.run("SELECT count(*) FROM copied")
    session.run("COPY copied (id) FROM STDIN", stream=["5000\n", "5001\n"])
    seen += session.run("SELECT count(*) FROM copied")
    session.close()
    return seen


def errors(url):
    session = connect(url)
    seen = []
    for statement in ("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
                      "INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood", "SELECT * FROM absent", "",
                      "INSERT INTO items VALUES (1000, 'x', 1, now(), 1000)",
                      "INSERT INTO items (id) VALUES (1000)"):
        seen += [refusal(lambda s=statement: session.run(s)) for _ in range(2)]
    for statement in ("SELECT nothing FROM items WHERE id = :id", "SELECT 1 / (id - :id) FROM items WHERE id = 5",
                      "SELECT name FROM items WHERE id = :id::int2", "SELECT name FROM items WHERE :id"):
        for value in (5, "five", None, 2 ** 40):
            seen.append(refusal(lambda s=statement, v=value: session.run(s, id=v)))
    session.run("DO $$ BEGIN RAISE NOTICE 'noted'; END $$")
    seen += [sorted(notice.items()) for notice in session.notices]
    session.run("BEGIN")
    for statement in ("SELECT 1 / 0", "SELECT name FROM items WHERE id = 1", "COMMIT"):
        seen.append(refusal(lambda s=statement: session.run(s)))
    session.close()
    return seen


def cancel(url):
    """It has no request of its own: another session ends the query. A time limit of the socket breaks the session."""
    session, other = connect(url), connect(url)
    process = session.run("SELECT pg_backend_pid()")[0][0]
    timer = threading.Timer(0.3, lambda: other.run("SELECT pg_cancel_backend(:pid)", pid=process))
    timer.start()
    began = time.monotonic()
    seen = [refusal(lambda: session.run("SELECT pg_sleep(30)")), time.monotonic() - began < 10]
    timer.join()
    seen += session.run("SELECT name FROM items WHERE id = 1")
    session.run("SET statement_timeout = 100")
    seen.append(refusal(lambda: session.run("SELECT pg_sleep(:s)", s=30.0)))
    session.close()
    other.close()
    limited = connect(url, timeout=0.5)
    try:
        limited.run("SELECT pg_sleep(30)")
    except (socket.timeout, pg8000.exceptions.InterfaceError) as error:
        seen.append(type(error).__name__)
    return seen


def notify(url):
    session, other = connect(url), connect(url)
    session.run("LISTEN news")
    for i in range(3):
        other.run("SELECT pg_notify('news', :text)", text=f"number {i}")
    deadline = time.monotonic() + 10
    while len(session.notifications) < 3 and time.monotonic() < deadline:
        session.run("SELECT 1")
    seen = [notification[1:] for notification in session.notifications]
    session.close()
    other.close()
    return seen


def queue(url):
    """Two workers, each with what the other has not."""
    one, two = connect(url), connect(url)
    one.run("TRUNCATE written")
    one.run("INSERT INTO written SELECT i, 'job' FROM generate_series(1, 10) i")
    take = "DELETE FROM written WHERE id IN (SELECT id FROM written ORDER BY id LIMIT :n FOR UPDATE SKIP LOCKED) RETURNING id"
    seen = []
    for _ in range(3):
        for session in (one, two):
            session.run("BEGIN")
        seen += [sorted(one.run(take, n=2)), sorted(two.run(take, n=2))]
        seen += one.run("SELECT count(*) FROM written")
        one.run("COMMIT")
        two.run("ROLLBACK")
        seen += two.run("SELECT count(*) FROM written")
    one.close()
    two.close()
    return seen


def main():
    contract.start("pg8000", pg8000.__version__)
    contract.chapter("connect", connect_chapter)
    contract.chapter("types", types, hits=2 * len(kinds.COLUMNS))
    contract.chapter("round-trip", round_trip)
    contract.chapter("searches", searches, hits=2 * len(kinds.SEARCHED))
    contract.chapter("parameters", parameters, hits=12)
    contract.chapter("simple", simple, hits=10)
    contract.chapter("prepared", prepared, hits=10)
    contract.chapter("read-blocks", read_blocks, hits=7)
    contract.chapter("transactions", transactions)
    contract.chapter("batches", batches)
    contract.absent("cursors", "it reads whole results")
    contract.chapter("copy", copy)
    contract.chapter("errors", errors)
    contract.chapter("cancel", cancel)
    contract.chapter("notify", notify)
    contract.chapter("queue", queue)
    contract.finish()


main()
