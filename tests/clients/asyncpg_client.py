# SPDX-License-Identifier: Apache-2.0
"""asyncpg, which speaks the protocol by itself, in binary, over prepared statements.

Usage: asyncpg_client.py PORT ADMIN_PORT ORIGIN_PORT session|pool
"""

import asyncio
import datetime
import decimal
import sys
import uuid

import asyncpg

import routes

PORT, ADMIN, ORIGIN = (int(arg) for arg in sys.argv[1:4])


async def connect(port=PORT):
    return await asyncpg.connect(host="127.0.0.1", port=port, user="postgres",
                                 database="postgres", ssl=False)


async def value(session, sql, *args):
    """The first column of the first row, of all of them: fetchval() would ask for one row."""
    rows = await session.fetch(sql, *args)
    return rows[0][0]


async def eventually(check):
    for _ in range(500):
        if await check():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{check.__name__} never came true")


async def until_hit(session, sql, *args):
    async def hit():
        before = routes.read(ADMIN)
        await session.fetch(sql, *args)
        return (routes.read(ADMIN) - before)["hit"] == 1
    await eventually(hit)


async def check_prepared(session):
    statement = await session.prepare("SELECT name FROM items WHERE id = $1")
    await until_hit(session, "SELECT name FROM items WHERE id = $1", 100)
    with routes.expect(ADMIN, miss=1, hit=4):
        for _ in range(5):
            assert [r[0] for r in await statement.fetch(1)] == ["item 1"]
    with routes.expect(ADMIN, hit=1):
        assert await value(session, "SELECT name FROM items WHERE id = $1", 1) == "item 1"
    rows = await statement.fetch(999)
    assert rows == [], rows


async def check_types(session):
    sql = "SELECT * FROM kinds WHERE id = $1"
    first, = await session.fetch(sql, 1)
    await until_hit(session, sql, 1)
    with routes.expect(ADMIN, hit=1):
        again, = await session.fetch(sql, 1)
    assert first == again
    assert again["n"] == decimal.Decimal("12.50")
    assert again["b"] == b"\x00\xff"
    assert again["u"] == uuid.UUID("5e0c3b1e-4a7e-4b68-9d2d-0a4f1b2c3d4e")
    assert again["a"] == [1, None, 3]
    assert again["at"] == datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)
    assert again["nothing"] is None
    for column, wanted in [("n", decimal.Decimal("12.5")), ("u", again["u"]), ("at", again["at"]),
                          ("d", datetime.date(2024, 2, 29)), ("flag", True), ("big", 2**40)]:
        sql = f"SELECT id FROM kinds WHERE {column} = $1"
        await until_hit(session, sql, wanted)
        with routes.expect(ADMIN, hit=1):
            assert await value(session, sql, wanted) == 1, column


async def check_invalidation(session, origin):
    sql = "SELECT name FROM items WHERE id = $1"
    await until_hit(session, sql, 2)
    await origin.execute("UPDATE items SET name = 'changed' WHERE id = 2")

    async def sees_it():
        return await value(session, sql, 2) == "changed"
    await eventually(sees_it)
    await until_hit(session, sql, 2)
    assert await value(session, sql, 2) == "changed"


async def check_transactions(session):
    sql = "SELECT name FROM items WHERE id = $1"
    await until_hit(session, sql, 3)
    try:
        async with session.transaction():
            with routes.expect(ADMIN, hit=1):
                assert await value(session, sql, 3) == "item 3"
            await session.execute("UPDATE items SET name = 'mine' WHERE id = 3")
            assert await value(session, sql, 3) == "mine"
            raise KeyError("undo")
    except KeyError:
        pass
    assert await value(session, sql, 3) == "item 3"
    async with session.transaction(isolation="repeatable_read"):
        assert await value(session, sql, 3) == "item 3"
    async with session.transaction():
        async for row in session.cursor("SELECT id FROM items ORDER BY id", prefetch=10):
            if row["id"] == 25:
                break


async def check_own_writes(session):
    sql = "SELECT n FROM counters WHERE id = $1"
    for i in range(100):
        await session.execute("UPDATE counters SET n = $1 WHERE id = 1", i)
        assert await value(session, sql, 1) == i


async def check_limited_portals(session):
    sql = "SELECT name FROM items WHERE id = $1"
    await until_hit(session, sql, 4)
    with routes.expect(ADMIN, hit=3):
        assert await session.fetchval(sql, 4) == "item 4"
        assert (await session.fetchrow(sql, 4))["name"] == "item 4"
        assert await value(session, sql, 4) == "item 4"
    # Where nobody has asked for all rows, too.
    with routes.expect(ADMIN, miss=1, hit=2):
        for _ in range(3):
            assert await session.fetchval(sql, 44) == "item 44"
    async with session.transaction():
        with routes.expect(ADMIN, hit=2):
            assert await session.fetchval(sql, 44) == "item 44"
            assert (await session.fetchrow(sql, 44))["name"] == "item 44"

    # The first one prepares the statement, and the second one loads. What was loaded in portions is served
    # from the next look at the origin's configuration on.
    async def served():
        before = routes.read(ADMIN)
        async with session.transaction():
            ids = [row["id"] async for row in
                   session.cursor("SELECT id FROM items WHERE id <= 30 ORDER BY id", prefetch=10)]
        assert ids == list(range(1, 31)), ids
        taken = routes.read(ADMIN) - before
        return set(taken) == {"hit"} and taken["hit"] >= 3
    await eventually(served)


async def check_errors(session):
    for sql, args, error in [
        ("SELECT nothing FROM items", (), asyncpg.UndefinedColumnError),
        ("SELECT 1 / (id - $1) FROM items WHERE id = 5", (5,), asyncpg.DivisionByZeroError),
        ("INSERT INTO items VALUES (1, 'again')", (), asyncpg.UniqueViolationError),
    ]:
        for _ in range(2):
            try:
                await session.fetch(sql, *args)
            except error:
                continue
            raise AssertionError(f"{sql}: no error")
    assert await value(session, "SELECT 1") == 1


async def check_many_statements_and_copy(session):
    await session.executemany("INSERT INTO copied VALUES ($1, $2)",
                              [(i, str(i)) for i in range(50)])
    await session.copy_records_to_table("copied", records=[(i, "x") for i in range(100, 200)])
    assert await value(session, "SELECT count(*) FROM copied") == 150
    got = await session.execute("SELECT 1; SELECT 2")
    assert got == "SELECT 1", got
    try:
        await asyncio.wait_for(session.execute("SELECT pg_sleep(20)"), 0.2)
        raise AssertionError("no time-out")
    except asyncio.TimeoutError:
        pass
    assert await value(session, "SELECT 1") == 1


async def check_pool():
    async with asyncpg.create_pool(host="127.0.0.1", port=PORT, user="postgres", ssl=False,
                                   database="postgres", min_size=5, max_size=5) as pool:
        values = await asyncio.gather(*(
            value(pool, "SELECT name FROM items WHERE id = $1", 50 + i % 7) for i in range(200)))
    assert values == [f"item {50 + i % 7}" for i in range(200)]


async def check_session():
    origin = await connect(ORIGIN)
    session = await connect()
    await check_prepared(session)
    await check_types(session)
    await check_invalidation(session, origin)
    await check_transactions(session)
    await check_own_writes(session)
    await check_limited_portals(session)
    await check_errors(session)
    await check_many_statements_and_copy(session)
    await session.close()
    await origin.close()


async def check_pool_routes():
    await until_hit(await connect(), "SELECT name FROM items WHERE id = $1", 50)
    before = routes.read(ADMIN)
    await check_pool()
    taken = routes.read(ADMIN) - before
    # Each session asks for all anew, and waits for a while after the pool's own reset statement.
    assert taken["hit"] >= 50, taken
    assert "bypass:unknown_statement" not in taken, taken


asyncio.run({"session": check_session, "pool": check_pool_routes}[sys.argv[4]]())
print("asyncpg", asyncpg.__version__, "ok")
