# SPDX-License-Identifier: Apache-2.0
"""SQLAlchemy over psycopg 3 or asyncpg: Core and ORM. Every read is in a block that it begins by itself and rolls
back or commits; the pool rolls back what it gets back.

Usage: as all programs, with the name of the driver in $CLIENT_DRIVER.
"""

import asyncio
import datetime
import decimal
import os
import time

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext import asyncio as sa_asyncio

import contract

DRIVER = os.environ["CLIENT_DRIVER"]


class Base(orm.DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owners"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    items: orm.Mapped[list["Item"]] = orm.relationship(back_populates="owner", order_by="Item.id")


class Item(Base):
    __tablename__ = "items"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str]
    price: orm.Mapped[decimal.Decimal]
    added: orm.Mapped[datetime.datetime]
    owner_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("owners.id"))
    owner: orm.Mapped[Owner] = orm.relationship(back_populates="items")

    def __repr__(self):
        return f"Item({self.id}, {self.name}, {self.price!r}, {self.added!r}, {self.owner_id})"


class Written(Base):
    __tablename__ = "written"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    name: orm.Mapped[str | None]


def engine(url, **options):
    return sa.create_engine(url.replace("postgresql", f"postgresql+{DRIVER}"), **options)


def connect(url):
    """The dialect asks the server at its first connection; in the reflection, for all of the catalog."""
    db = engine(url)
    with db.connect() as session:
        seen = [db.dialect.server_version_info, db.dialect.default_schema_name,
                session.execute(sa.text("SELECT name FROM items WHERE id = :id"), {"id": 1}).all()]
    meta = sa.MetaData()
    meta.reflect(db, only=["items", "owners", "written", "copied"])
    for table in meta.sorted_tables:
        seen += [table.name, [repr(column) for column in table.columns], [k.name for k in table.foreign_keys]]
    db.dispose()
    return seen


def core(url):
    """Five blocks of one read each; the pool's rollback ends them."""
    db = engine(url)
    seen = []
    warm(db)
    for i in range(1, 6):
        with db.connect() as session:
            seen += session.execute(sa.select(Item.id, Item.name, Item.price, Item.added).where(Item.id == i)).all()
    db.dispose()
    return seen


def warm(db):
    """The session's first block, in whose front the settings are asked for. What the dialect asks the server first
    counts as a possible write, whose effect is waited for."""
    with db.connect() as session:
        session.execute(sa.text("SELECT 1"))
    time.sleep(0.3)


def orm_reads(url):
    db = engine(url)
    warm(db)
    seen = []
    for i in range(1, 4):
        with orm.Session(db, expire_on_commit=False) as session:
            seen.append(session.get(Item, i))
            seen.append(session.get(Item, i).owner.name)
            session.commit()
    with orm.Session(db, expire_on_commit=False) as session:
        query = sa.select(Owner).options(orm.selectinload(Owner.items)).where(Owner.id < 3).order_by(Owner.id)
        seen += [(owner.name, owner.items) for owner in session.scalars(query)]
        joined = sa.select(Item).options(orm.joinedload(Item.owner)).order_by(Item.id.desc()).limit(3)
        seen += [(item, item.owner.name) for item in session.scalars(joined)]
        seen += session.execute(sa.select(Owner.name, sa.func.count(), sa.func.sum(Item.price)).join(Owner.items)
                                .group_by(Owner.name).having(sa.func.count() > 5).order_by(Owner.name)).all()
        seen += session.execute(sa.select(sa.exists().where(Item.name == "item 5"))).all()
        seen += session.scalars(sa.select(Item).where(Item.id.in_([3, 1, 2])).order_by(Item.id)).all()
    db.dispose()
    return seen


def autocommit(url):
    db = engine(url, isolation_level="AUTOCOMMIT")
    warm(db)
    seen = []
    for i in range(1, 6):
        with db.connect() as session:
            seen += session.execute(sa.select(Item.name).where(Item.id == i)).all()
    db.dispose()
    return seen


def pre_ping(url):
    db = engine(url, pool_pre_ping=True, pool_size=2)
    seen = []
    warm(db)
    for i in range(1, 6):
        with db.connect() as session:
            seen += session.execute(sa.select(Item.name).where(Item.id == i)).all()
    db.dispose()
    return seen


def transactions(url):
    db = engine(url)
    seen = []
    with orm.Session(db, expire_on_commit=False) as session:
        session.execute(sa.delete(Written))
        session.add_all([Written(id=i, name=f"number {i}") for i in range(20)])
        session.commit()
        try:
            with session.begin_nested():
                session.add(Written(id=5, name="again"))
        except sa.exc.IntegrityError as error:
            seen.append(str(error.orig).splitlines()[0])
        session.get(Written, 3).name = "changed"
        session.delete(session.get(Written, 4))
        session.commit()
        seen += session.execute(sa.select(Written.id, Written.name).order_by(Written.id)).all()
        seen += session.execute(sa.select(Written.id).where(Written.id == 3).with_for_update()).all()
        session.rollback()
    with db.connect().execution_options(isolation_level="REPEATABLE READ") as session:
        seen += session.execute(sa.select(Written.id, Written.name).where(Written.id == 3)).all()
    db.dispose()
    return seen


def batches(url):
    db = engine(url)
    with db.begin() as session:
        session.execute(sa.delete(Written))
        result = session.execute(sa.insert(Written).returning(Written.id, sort_by_parameter_order=True),
                                 [{"id": i, "name": str(i)} for i in range(2000)])
        seen = [len(result.all())]
        session.execute(sa.update(Written).where(Written.id == sa.bindparam("key")).values(name=sa.bindparam("new")),
                        [{"key": i, "new": f"new {i}"} for i in range(50)])
        seen += session.execute(sa.select(sa.func.count(), sa.func.max(Written.name))).all()
    db.dispose()
    return seen


def cursors(url):
    db = engine(url)
    with db.connect() as session:
        rows = session.execution_options(yield_per=10).execute(sa.select(Item.id, Item.name).order_by(Item.id))
        seen = [part for part in rows.partitions()]
    db.dispose()
    return seen


def errors(url):
    db = engine(url)
    seen = []
    for statement in ("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
                      "INSERT INTO items SELECT * FROM items", "SELECT 'x'::mood"):
        with db.connect() as session:
            try:
                session.execute(sa.text(statement))
            except sa.exc.DBAPIError as error:
                seen.append((type(error).__name__, str(error.orig)))
            seen.append(session.in_transaction())
    db.dispose()
    return seen


async def asynchronous(url):
    db = sa_asyncio.create_async_engine(url.replace("postgresql", f"postgresql+{DRIVER}"))
    seen = []
    async with sa_asyncio.AsyncSession(db) as session:
        await session.execute(sa.text("SELECT 1"))
        await session.get(Item, 1)
    for i in range(1, 6):
        async with sa_asyncio.AsyncSession(db) as session:
            seen.append(await session.get(Item, i))
    async with db.connect() as session:
        stream = await session.stream(sa.select(Item.id).order_by(Item.id))
        seen += [row async for row in stream]
    await db.dispose()
    return seen


def main():
    contract.start(f"SQLAlchemy ({DRIVER})", sa.__version__)
    if DRIVER == "asyncpg":
        contract.chapter("async", asynchronous, hits=4)
    else:
        contract.chapter("connect", connect)
        contract.chapter("core", core, hits=5, local=5)
        contract.chapter("orm", orm_reads, hits=12, local=4)
        contract.chapter("autocommit", autocommit, hits=5)
        contract.chapter("pre-ping", pre_ping, hits=9 if DRIVER == "psycopg2" else 5, local=4)
        contract.chapter("transactions", transactions)
        contract.chapter("batches", batches)
        contract.chapter("cursors", cursors)
        contract.chapter("errors", errors)
        if DRIVER == "psycopg":
            contract.chapter("async", asynchronous, hits=5, local=3)
    contract.finish()


main()
