# SPDX-License-Identifier: Apache-2.0
"""psycopg 3 over libpq: text and binary, prepared statements, pipelines, server-side cursors, COPY.

Usage: psycopg_client.py PORT ADMIN_PORT ORIGIN_PORT
"""

import datetime
import sys
import time

import psycopg

import routes

PORT, ADMIN, ORIGIN = (int(arg) for arg in sys.argv[1:4])
READ = "SELECT name FROM items WHERE id = %s"


def connect(port=PORT):
    return psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres "
                           "sslmode=disable gssencmode=disable", autocommit=True)


def until_hit(session, sql, args, **options):
    for _ in range(500):
        before = routes.read(ADMIN)
        value = session.execute(sql, args, **options).fetchall()
        if (routes.read(ADMIN) - before)["hit"] == 1:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{sql}: never a hit")


def check_reads(session):
    until_hit(session, READ, (60,))
    with routes.expect(ADMIN, miss=1, hit=3):
        for _ in range(4):
            assert session.execute(READ, (61,)).fetchone() == ("item 61",)
    with routes.expect(ADMIN, miss=1, hit=2):
        for _ in range(3):
            assert session.execute(READ, (62,), binary=True).fetchone() == ("item 62",)
    until_hit(session, READ, (63,), prepare=True)
    with routes.expect(ADMIN, hit=3):
        for _ in range(3):
            assert session.execute(READ, (63,), prepare=True).fetchone() == ("item 63",)
    row = until_hit(session, "SELECT d, flag, a FROM kinds WHERE id = %s", (1,))[0]
    assert row == (datetime.date(2024, 2, 29), True, [1, None, 3]), row


def check_pipeline(session):
    for number in (70, 71):
        until_hit(session, READ, (number,))
    with session.pipeline():
        first = session.execute(READ, (70,))
        second = session.execute(READ, (71,))
        assert first.fetchone() == ("item 70",)
        assert second.fetchone() == ("item 71",)
    try:
        with session.pipeline():
            session.execute(READ, (70,))
            session.execute("SELECT 1 / %s", (0,))
            session.execute(READ, (71,))
        raise AssertionError("no error")
    except psycopg.errors.DivisionByZero:
        pass
    assert session.execute(READ, (70,)).fetchone() == ("item 70",)


def check_transactions(session):
    until_hit(session, READ, (64,))
    with session.transaction():
        with routes.expect(ADMIN, hit=1):
            assert session.execute(READ, (64,)).fetchone() == ("item 64",)
    with session.transaction(force_rollback=True):
        session.execute("UPDATE items SET name = 'undone' WHERE id = 64")
        assert session.execute(READ, (64,)).fetchone() == ("undone",)
        with session.transaction():
            session.execute("DELETE FROM items WHERE id = 64")
    assert session.execute(READ, (64,)).fetchone() == ("item 64",)
    with session.transaction():
        with session.cursor(name="server_side") as cursor:
            cursor.execute("SELECT id FROM items ORDER BY id")
            assert cursor.fetchmany(3) == [(1,), (2,), (3,)]


def check_writes_and_copy(session):
    for number in range(100):
        session.execute("UPDATE counters SET n = %s WHERE id = 2", (number,))
        got = session.execute("SELECT n FROM counters WHERE id = %s", (2,)).fetchone()
        assert got == (number,), (got, number)
    session.execute("TRUNCATE copied")
    with session.cursor().copy("COPY copied FROM STDIN") as copy:
        for number in range(1000):
            copy.write_row((number, "copied"))
    assert session.execute("SELECT count(*) FROM copied").fetchone() == (1000,)
    with session.cursor().copy("COPY copied TO STDOUT") as copy:
        assert sum(1 for _ in copy.rows()) == 1000


def main():
    with connect() as session:
        check_reads(session)
        check_pipeline(session)
        check_transactions(session)
        check_writes_and_copy(session)
    print("psycopg", psycopg.__version__, "ok")


main()
