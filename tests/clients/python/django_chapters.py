# SPDX-License-Identifier: Apache-2.0
"""Django: its ORM over psycopg 3, in autocommit mode and as with ATOMIC_REQUESTS, where every request is a block."""

import django
from django.conf import settings

import contract

settings.configure(
    DATABASES={name: {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "postgres",
                      "USER": "postgres", "PORT": url.rsplit(":", 1)[1].split("/")[0], "ATOMIC_REQUESTS": True,
                      "CONN_MAX_AGE": None}
               for name, url in (("default", contract.ORIGIN), ("origin", contract.ORIGIN),
                                 ("pgcache", contract.PGCACHE))},
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, SECRET_KEY="none", INSTALLED_APPS=[], MIDDLEWARE=[])
django.setup()

from django import db, http  # noqa: E402
from django.db import connections, models, transaction  # noqa: E402
from django.db.models import Count, F, Q, Sum  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


class Owner(models.Model):
    name = models.TextField()

    class Meta:
        app_label, db_table, managed = "clients", "owners", False


class Item(models.Model):
    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    added = models.DateTimeField()
    owner = models.ForeignKey(Owner, models.DO_NOTHING, related_name="items")

    class Meta:
        app_label, db_table, managed = "clients", "items", False


class Written(models.Model):
    id = models.IntegerField(primary_key=True)
    name = models.TextField(null=True)

    class Meta:
        app_label, db_table, managed = "clients", "written", False


class Router:
    """All goes to the database of the chapter."""
    alias = "origin"

    def db_for_read(self, model, **_):
        return self.alias

    db_for_write = db_for_read


ROUTER = Router()
settings.DATABASE_ROUTERS = [ROUTER]


def item_page(request, key):
    item = Item.objects.select_related("owner").get(pk=key)
    return http.HttpResponse(f"{item.name} {item.price} {item.added} {item.owner.name} {item.owner.items.count()}")


def failing_page(request):
    Written.objects.create(id=99, name="undone")
    raise http.Http404


urlpatterns = [path("item/<int:key>", item_page), path("failing", failing_page)]


def on(work):
    """A chapter's function of a URL: on the database that the URL is of, over a connection of its own."""
    def run(url):
        ROUTER.alias = "pgcache" if url == contract.PGCACHE else "origin"
        connection = connections[ROUTER.alias]
        try:
            return work(connection)
        finally:
            connection.close()
    return run


def connect(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM items WHERE id = %s", [1])
        seen = cursor.fetchall()
        seen += connection.introspection.table_names(cursor)
        seen += connection.introspection.get_table_description(cursor, "items")
        seen += [sorted(connection.introspection.get_constraints(cursor, "items"))]
    return seen + [connection.pg_version, str(connection.timezone)]


def reads(connection):
    seen = [(item.name, item.price, item.added, item.owner.name)
            for item in Item.objects.filter(id__lte=3).order_by("id")]
    seen += [(owner.name, [item.name for item in owner.items.all()])
             for owner in Owner.objects.prefetch_related("items").filter(id__lt=3).order_by("id")]
    seen += Item.objects.values("owner__name").annotate(n=Count("id"), total=Sum("price")).order_by("owner__name")
    seen += Item.objects.filter(Q(name__startswith="item 1") | Q(price__gt=F("id"))).order_by("-id").values_list("id")
    seen += [Item.objects.filter(name="item 5").exists(), Item.objects.count()]
    seen += Item.objects.in_bulk([1, 2]).keys()
    return seen


def atomic_blocks(connection):
    seen = [Item.objects.get(pk=1).name]
    for i in range(1, 6):
        with transaction.atomic(using=connection.alias):
            seen.append(Item.objects.get(pk=i).name)
    return seen


def requests(connection):
    """A request is a block of two reads. The first finds the session new; its block goes to the origin."""
    for alias in ("default", "origin", "pgcache"):
        connections[alias].settings_dict["ATOMIC_REQUESTS"] = alias == connection.alias
    client = Client()
    seen = [client.get(f"/item/{key}").content.decode() for key in (1, 2, 3, 4, 5, 6)]
    seen.append(client.get("/failing").status_code)
    return seen + list(Written.objects.filter(id=99).values_list())


def page_reads(connection):
    """The pages alone, without the write."""
    for alias in ("default", "origin", "pgcache"):
        connections[alias].settings_dict["ATOMIC_REQUESTS"] = alias == connection.alias
    client = Client()
    return [client.get(f"/item/{key}").content.decode() for key in (1, 2, 3, 4, 5, 6)]


def transactions(connection):
    using = connection.alias
    Written.objects.all().delete()
    seen = []
    with transaction.atomic(using=using):
        Written.objects.create(id=1, name="one")
        try:
            with transaction.atomic(using=using):
                Written.objects.create(id=1, name="again")
        except db.IntegrityError as error:
            seen.append(str(error))
        seen += Written.objects.values_list()
    Written.objects.filter(id=1).update(name=F("name"))
    Written.objects.update_or_create(id=2, defaults={"name": "two"})
    seen += Written.objects.order_by("id").values_list()
    with transaction.atomic(using=using):
        seen += Written.objects.select_for_update().filter(id=1).values_list()
    transaction.on_commit(lambda: seen.append("committed"), using=using)
    return seen


def batches(connection):
    Written.objects.all().delete()
    Written.objects.bulk_create([Written(id=i, name=str(i)) for i in range(500)], batch_size=100)
    rows = list(Written.objects.filter(id__lt=50))
    for row in rows:
        row.name += "!"
    Written.objects.bulk_update(rows, ["name"])
    Written.objects.bulk_create([Written(id=1, name="up")], update_conflicts=True, update_fields=["name"],
                                unique_fields=["id"])
    return [Written.objects.count(), *Written.objects.order_by("id").values_list()[:60]]


def cursors(connection):
    """A server-side cursor, WITH HOLD outside of a block."""
    return [item.name for item in Item.objects.order_by("id").iterator(chunk_size=10)]


def errors(connection):
    seen = []
    for statement in ("SELECT nothing FROM items", "SELECT 1 / (id - 5) FROM items WHERE id = 5", "SELEC"):
        with connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except db.Error as error:
                seen.append((type(error).__name__, str(error)))
    return seen


def main():
    contract.start("Django", django.__version__)
    contract.chapter("connect", on(connect))
    contract.chapter("reads", on(reads), hits=11)
    contract.chapter("atomic", on(atomic_blocks), hits=6, local=5)
    contract.chapter("pages", on(page_reads), hits=12, local=5)
    contract.chapter("requests", on(requests))
    contract.chapter("transactions", on(transactions))
    contract.chapter("batches", on(batches))
    contract.chapter("cursors", on(cursors))
    contract.chapter("errors", on(errors))
    contract.finish()


if __name__ == "__main__":
    main()
