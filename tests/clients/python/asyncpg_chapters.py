# SPDX-License-Identifier: Apache-2.0
"""asyncpg: its own implementation of the protocol, binary, a named statement for every query. fetchrow() and
fetchval() ask for one row of a portal, which is not served from memory."""

import asyncio
import io
import time

import asyncpg

import contract
import kinds

BY_ID = "SELECT id, name, price, added FROM items WHERE id = $1"


def connect(url, **kwargs):
    return asyncpg.connect(url, ssl=False, **kwargs)


async def connect_chapter(url):
    session = await connect(url, server_settings={"application_name": "asyncpg", "timezone": "Asia/Tokyo"})
    seen = [session.get_server_version(), session.get_settings().TimeZone,
            await session.fetch("SHOW application_name"),
            await session.fetch("SELECT added::text FROM items WHERE id = 1")]
    await session.reset()
    await session.close()
    return seen


def shown(value):
    """Its geometric values do not tell what they hold."""
    kinds_of_points = (asyncpg.Path, asyncpg.Polygon)
    return [type(value).__name__, *value] if isinstance(value, kinds_of_points) else value


async def types(url):
    session = await connect(url)
    seen = []
    for column in kinds.COLUMNS:
        await session.fetch(f"SELECT {column} FROM kinds ORDER BY id")
    await session.fetch("SELECT 1")
    await asyncio.sleep(0.3)  # what it asks for to learn of the types counts as a possible write
    for column in kinds.COLUMNS:
        try:
            rows = await session.fetch(f"SELECT {column} FROM kinds ORDER BY id")
            seen += [column, [shown(row[0]) for row in rows]]
        except (asyncpg.PostgresError, ValueError, OverflowError) as error:
            seen += [column, str(error)]
    await session.close()
    return seen


async def round_trip(url):
    session = await connect(url)
    await session.execute("TRUNCATE kinds_back; INSERT INTO kinds_back (id) SELECT id FROM kinds")
    seen = []
    for column in kinds.COLUMNS:
        for row in (1, 2, 3):
            try:
                value = (await session.fetch(f"SELECT {column} FROM kinds WHERE id = $1", row))[0][0]
                await session.execute(f"UPDATE kinds_back SET {column} = $1 WHERE id = $2", value, row)
                seen += await session.fetch(f"SELECT {column}::text FROM kinds_back WHERE id = $1", row)
            except (asyncpg.PostgresError, ValueError, OverflowError, asyncpg.InterfaceError) as error:
                seen.append((column, str(error)))
    await session.close()
    return seen


async def searches(url):
    session = await connect(url)
    seen = []
    values = {column: (await session.fetch(f"SELECT {column} FROM kinds WHERE id = 1"))[0][0]
              for column in kinds.SEARCHED}
    await asyncio.sleep(0.3)
    for column, value in values.items():
        statement = await session.prepare(f"SELECT id FROM kinds WHERE {column} = $1")
        seen += [column, await statement.fetch(value)]
    await session.close()
    return seen


async def prepared(url):
    session = await connect(url)
    statement = await session.prepare(BY_ID)
    seen = [statement.get_parameters(), statement.get_attributes()]
    seen += [await statement.fetch(i) for i in range(1, 11)]
    seen += [await session.fetch(BY_ID, i) for i in range(1, 11)]
    await session.close()
    return seen


async def single_rows(url):
    session = await connect(url)
    seen = [await session.fetchrow(BY_ID, 1), await session.fetchval(BY_ID, 2, column=1)]
    await session.close()
    return seen


async def unnamed(url):
    """Without a cache of statements each is prepared, described and executed in three exchanges."""
    session = await connect(url, statement_cache_size=0)
    seen = [await session.fetch(BY_ID, i) for i in range(1, 6)]
    await session.close()
    return seen


async def simple(url):
    session = await connect(url)
    seen = [await session.execute("SELECT name FROM items WHERE id = 1") for _ in range(3)]
    await session.close()
    return seen


async def read_blocks(url):
    """A statement that is prepared in a block makes it known to the origin."""
    session = await connect(url)
    seen = await session.fetch(BY_ID, 1)
    for i in range(1, 7):
        async with session.transaction():
            seen += await session.fetch(BY_ID, i)
    await session.close()
    return seen


async def transactions(url):
    session = await connect(url)
    await session.execute("DELETE FROM written")
    seen = []
    async with session.transaction():
        await session.execute("INSERT INTO written VALUES (1, 'one')")
        try:
            async with session.transaction():
                await session.execute("INSERT INTO written VALUES (2, 'two')")
                raise KeyError
        except KeyError:
            pass
        seen += await session.fetch("SELECT * FROM written ORDER BY id")
    for level in ("read_committed", "repeatable_read", "serializable"):
        async with session.transaction(isolation=level, readonly=True):
            seen += await session.fetch(BY_ID, 1)
            seen += await session.fetch("SHOW transaction_isolation")
    seen += await session.fetch("SELECT * FROM written ORDER BY id")
    await session.close()
    return seen


async def batches(url):
    session = await connect(url)
    await session.execute("TRUNCATE copied")
    await session.executemany("INSERT INTO copied (id, v) VALUES ($1, $2)", [(i, "x" * i) for i in range(300)])
    seen = await session.fetchmany("UPDATE copied SET v = $2 WHERE id = $1 RETURNING id, v",
                                   [(i, str(i)) for i in range(50)])
    try:
        await session.executemany("INSERT INTO copied (id) VALUES ($1)", [(1000,), (1001,), (1,), (1002,)])
    except asyncpg.UniqueViolationError as error:
        seen.append(str(error))
    seen += await session.fetch("SELECT count(*), sum(length(v)) FROM copied")
    await session.close()
    return seen


async def cursors(url):
    session = await connect(url)
    seen = []
    async with session.transaction():
        async for row in session.cursor("SELECT id, name FROM items ORDER BY id", prefetch=7):
            seen.append(row)
        cursor = await session.cursor(BY_ID, 3)
        seen += await cursor.fetch(5)
        cursor = await session.cursor("SELECT id FROM items ORDER BY id")
        await cursor.forward(10)
        seen += await cursor.fetch(3)
    await session.close()
    return seen


async def copy(url):
    session = await connect(url)
    await session.execute("TRUNCATE copied")
    seen = [await session.copy_records_to_table("copied", records=[(i, "x" * (i % 500), None) for i in range(2000)])]
    for form in ("text", "csv", "binary"):
        to = io.BytesIO()
        seen += [await session.copy_from_query("SELECT * FROM copied WHERE id > $1 ORDER BY id", 100, output=to,
                                               format=form), to.getvalue()]
    try:
        await session.copy_to_table("copied", source=io.BytesIO(b"1\tagain\t2\n"))
    except asyncpg.UniqueViolationError as error:
        seen.append(str(error))
    seen += await session.fetch("SELECT count(*) FROM copied")
    await session.close()
    return seen


async def errors(url):
    session = await connect(url)
    notices = []
    session.add_log_listener(lambda _, message: notices.append(message.message))
    seen = []
    for statement, values in [("SELECT nothing FROM items", ()), ("SELECT 1 / (id - $1) FROM items WHERE id = 5", (5,)),
                              ("INSERT INTO items SELECT * FROM items", ()), ("SELEC", ()), ("SELECT 'x'::mood", ()),
                              ("SELECT * FROM absent", ())]:
        for _ in range(2):
            try:
                await session.fetch(statement, *values)
            except asyncpg.PostgresError as error:
                seen.append(error.as_dict())
    await session.execute("DO $$ BEGIN RAISE WARNING 'careful'; END $$")
    try:
        async with session.transaction():
            try:
                await session.fetch("SELECT 1 / 0")
            except asyncpg.DivisionByZeroError:
                pass
            await session.fetch(BY_ID, 1)
    except asyncpg.PostgresError as error:
        seen.append(str(error))
    seen += await session.fetch(BY_ID, 1)
    await session.close()
    return seen + notices


async def changed_definition(url):
    """A prepared statement whose result changes its type: the driver prepares anew, or raises in a block."""
    session = await connect(url)
    await session.execute("DROP TABLE IF EXISTS moving; CREATE TABLE moving (id int PRIMARY KEY, v int);"
                          "INSERT INTO moving VALUES (1, 1)")
    seen = [await session.fetch("SELECT * FROM moving") for _ in range(2)]
    await session.execute("ALTER TABLE moving ALTER v TYPE text")
    seen += [await session.fetch("SELECT * FROM moving") for _ in range(2)]
    await session.execute("ALTER TABLE moving ADD w text")
    try:
        async with session.transaction():
            seen.append(await session.fetch("SELECT * FROM moving"))
    except asyncpg.InvalidCachedStatementError as error:
        seen.append(str(error))
    seen.append(await session.fetch("SELECT * FROM moving"))
    await session.close()
    return seen


async def cancel(url):
    session = await connect(url)
    began = time.monotonic()
    seen = []
    try:
        await session.fetch("SELECT pg_sleep(30)", timeout=0.3)
    except asyncio.TimeoutError:
        seen.append(time.monotonic() - began < 10)
    seen += await session.fetch(BY_ID, 1)
    await session.close()
    return seen


async def notify(url):
    session, other = await connect(url), await connect(url)
    got = asyncio.Queue()
    await session.add_listener("news", lambda _, pid, channel, payload: got.put_nowait((channel, payload)))
    seen = []
    for i in range(3):
        await other.execute(f"NOTIFY news, 'number {i}'")
        seen.append(await asyncio.wait_for(got.get(), 10))
    await session.close()
    await other.close()
    return seen


async def pool(url):
    """Each return to the pool resets the session, by unlocking, closing cursors, UNLISTEN and RESET ALL."""
    seen = []
    async with asyncpg.create_pool(url, ssl=False, min_size=2, max_size=2) as connections:
        for i in range(10):
            async with connections.acquire() as session:
                seen += await session.fetch(BY_ID, i % 3 + 1)
    return seen


def main():
    contract.start("asyncpg", asyncpg.__version__)
    contract.chapter("connect", connect_chapter)
    contract.chapter("types", types, hits=len(kinds.COLUMNS))
    contract.chapter("round-trip", round_trip)
    contract.chapter("searches", searches, hits=2 * len(kinds.SEARCHED) - 2)
    contract.chapter("prepared", prepared, hits=20)
    contract.chapter("single-rows", single_rows)
    contract.chapter("unnamed", unnamed, hits=5)
    contract.chapter("simple", simple, hits=3)
    contract.chapter("read-blocks", read_blocks, hits=7, local=6)
    contract.chapter("transactions", transactions)
    contract.chapter("batches", batches)
    contract.chapter("cursors", cursors)
    contract.chapter("copy", copy)
    contract.chapter("errors", errors)
    contract.chapter("changed-definition", changed_definition)
    contract.chapter("cancel", cancel)
    contract.chapter("notify", notify)
    contract.chapter("pool", pool, hits=9)
    contract.finish()


main()
