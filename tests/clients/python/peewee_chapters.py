# SPDX-License-Identifier: Apache-2.0
"""Peewee over psycopg 2: models, joins and prefetches, atomic blocks with savepoints, a pool, rows from a cursor."""

import urllib.parse

import peewee
import playhouse.pool
import playhouse.postgres_ext

import contract

database = peewee.DatabaseProxy()


class Owner(peewee.Model):
    name = peewee.TextField()

    class Meta:
        database = database
        table_name = "owners"


class Item(peewee.Model):
    id = peewee.IntegerField(primary_key=True)
    name = peewee.TextField()
    price = peewee.DecimalField(max_digits=10, decimal_places=2)
    added = playhouse.postgres_ext.DateTimeTZField()
    owner = peewee.ForeignKeyField(Owner, backref="items")

    class Meta:
        database = database
        table_name = "items"


class Written(peewee.Model):
    id = peewee.IntegerField(primary_key=True)
    name = peewee.TextField(null=True)

    class Meta:
        database = database
        table_name = "written"


def with_database(work, kind=peewee.PostgresqlDatabase, **kwargs):
    def run(url):
        parts = urllib.parse.urlparse(url)
        session = kind(parts.path[1:], user=parts.username, host=parts.hostname, port=parts.port, **kwargs)
        database.initialize(session)
        session.connect()
        seen = work(session)
        session.close()
        return seen
    return run


def shown(item):
    return item.id, item.name, item.price, item.added, item.owner_id


def connect(session):
    return [session.server_version, sorted(session.get_tables()), session.get_columns("items"), session.get_primary_keys("items"),
            [key for key in session.get_foreign_keys("items")], session.table_exists("absent")]


def reads(session):
    seen = [shown(Item.get_by_id(i)) for i in range(1, 6)]
    seen += [Item.get_or_none(Item.id == 1000), Item.select().where(Item.name.startswith("item 1")).count(),
             Item.select().where(Item.id == 3).exists()]
    joined = Item.select(Item, Owner).join(Owner).where(Item.price > 100).order_by(Item.id.desc()).limit(3)
    seen += [(*shown(item), item.owner.name) for item in joined]
    for owner in peewee.prefetch(Owner.select().where(Owner.id < 3).order_by(Owner.id), Item.select().order_by(Item.id)):
        seen.append((owner.name, [item.name for item in owner.items]))
    totals = (Item.select(Item.owner, peewee.fn.SUM(Item.price).alias("total"), peewee.fn.COUNT("*").alias("n"))
              .group_by(Item.owner).having(peewee.fn.COUNT("*") > 5).order_by(Item.owner))
    seen += list(totals.tuples())
    seen += list(Item.select(Item.name).where(Item.id.in_([1, 2, 3])).order_by(Item.id).dicts())
    seen += list(Item.select(Item.name).order_by(Item.id).paginate(2, 5).tuples())
    cheap = Item.select(Item.id).where(Item.price < 5).cte("cheap")
    seen += list(Item.select(Item.name).join(cheap, on=cheap.c.id == Item.id).with_cte(cheap).order_by(Item.id).tuples())
    seen += session.execute_sql("SELECT name FROM items WHERE id = %s", (7,)).fetchall()
    return seen


def read_blocks(session):
    """An atomic block inside of another is a savepoint, which the origin has to hear of."""
    seen = [shown(Item.get_by_id(1))]
    for i in range(1, 7):
        with session.atomic():
            seen.append(shown(Item.get_by_id(i)))
    return seen


def transactions(session):
    Written.delete().execute()
    seen = []
    with session.atomic():
        seen.append(Written.insert(id=1, name="one").execute())
        try:
            with session.atomic():
                Written.create(id=1)
        except peewee.IntegrityError as error:
            seen.append(str(error))
        seen += list(Written.select().for_update("FOR UPDATE SKIP LOCKED").tuples())
    with session.atomic() as block:
        Written.create(id=2)
        block.rollback()
    seen += list(Written.select().order_by(Written.id).tuples())
    with session.transaction("SERIALIZABLE"):
        seen += list(Written.select().order_by(Written.id).tuples())
    seen += list(Written.update(name="new").where(Written.id == 1).returning(Written).tuples())
    row = Written.get_by_id(1)
    row.name = None
    seen += [row.save(), Written.get_by_id(1).name]
    return seen


def batches(session):
    Written.truncate_table()
    seen = []
    with session.atomic():
        for rows in peewee.chunked([(i, str(i)) for i in range(500)], 100):
            Written.insert_many(rows, fields=[Written.id, Written.name]).execute()
    Written.insert(id=1, name="up").on_conflict("update", conflict_target=[Written.id], update={"name": "up"}).execute()
    seen += [Written.select().count(), Written.select(peewee.fn.MAX(Written.name)).scalar()]
    seen += [Written.bulk_update([Written(id=i, name="bulk") for i in range(5)], [Written.name])]
    seen += list(Written.select().where(Written.name == "bulk").order_by(Written.id).tuples())
    return seen


def cursors(session):
    """Rows from a cursor with a name, as playhouse has it."""
    seen = [item.name for item in playhouse.postgres_ext.ServerSide(Item.select().order_by(Item.id), array_size=7)]
    seen += [item.name for item in Item.select().order_by(Item.id).iterator()]
    return seen


def errors(session):
    seen = []
    for text in ("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC",
                 "INSERT INTO items VALUES (1000, 'x', 1, now(), 1000)"):
        try:
            session.execute_sql(text)
        except peewee.PeeweeException as error:
            seen.append((type(error).__name__, str(error)))
    return seen


def main():
    contract.start("Peewee", peewee.__version__)
    contract.chapter("connect", with_database(connect))
    contract.chapter("reads", with_database(reads), hits=16)
    contract.chapter("read-blocks", with_database(read_blocks), hits=7, local=5)
    contract.chapter("transactions", with_database(transactions))
    contract.chapter("batches", with_database(batches))
    contract.chapter("cursors", with_database(cursors, kind=playhouse.postgres_ext.PostgresqlExtDatabase))
    contract.chapter("errors", with_database(errors))
    contract.chapter("pool", with_database(reads, kind=playhouse.pool.PooledPostgresqlDatabase, max_connections=2), hits=16)
    contract.finish()


main()
