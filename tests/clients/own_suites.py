# SPDX-License-Identifier: Apache-2.0
"""Drivers' own test suites: how each is obtained, below build/clients/suites, and run against a URL.

The sources come from the registries that the drivers come from; nothing of them is kept here. A suite has `setup`, SQL for
the origin, `port`, where the server that it is run against has to listen, or None, and run(url, only), which returns two
dictionaries by the names of tests: pass, fail or skip, and what they printed. `only` names tests that are enough to run.
"""

import functools
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))

import catalog  # noqa: E402
from local import free_port  # noqa: E402

SUITES = catalog.BUILD / "suites"
TIME_LIMIT_S = 2400
TOO_LATE = "\ntime limit\n"


def _port(url):
    return url.rsplit(":", 1)[1].split("/")[0]


def _environment(url):
    """As libpq has it."""
    return os.environ | {"PGHOST": "127.0.0.1", "PGPORT": _port(url), "PGUSER": "postgres", "PGDATABASE": "postgres",
                         "PGSSLMODE": "disable", "PGTZ": "UTC"}


def _run(command, folder, environment):
    """What a suite printed, also when it took too long."""
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIME_LIMIT_S)
        return done.stdout
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b"").decode(errors="replace") + TOO_LATE


def _writable_copy(source, to):
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(source, to)
    for path in (to, *to.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    return to


def _replace(path, *pairs):
    text = path.read_text()
    for old, new in pairs:
        text = text.replace(old, new)
    path.write_text(text)


def _unpack(archive, to, wanted=lambda name: True):
    """Unpacks an archive that has one folder at its top, and returns that."""
    shutil.rmtree(to, ignore_errors=True)
    with tarfile.open(archive) as sources:
        sources.extractall(to, members=[m for m in sources.getmembers() if wanted(m.name)], filter="data")
    return next(to.iterdir())


def _junit(reports):
    results, output = {}, {}
    for report in reports:
        for case in xml.etree.ElementTree.parse(report).iter("testcase"):
            name = f"{case.get('classname')}.{case.get('name')}"
            problems = [part for part in case if part.tag in ("failure", "error")]
            skipped = any(part.tag == "skipped" for part in case)
            results[name] = "fail" if problems else "skip" if skipped else "pass"
            output[name] = "".join(part.text or "" for part in problems)
    return results, output


class Go:
    """A module's tests, from the module cache."""
    port = None

    def __init__(self, module, setup):
        catalog._need("go")
        self.setup = setup
        listed = subprocess.run(["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=HERE / "go", capture_output=True,
                                text=True, check=True)
        self._folder = _writable_copy(pathlib.Path(listed.stdout.strip()), SUITES / module.replace("/", "-"))

    def run(self, url, only=None):
        command = ["go", "test", "-json", "-count=1", "-p=1", "-timeout=600s", "./..."]
        if only:
            tops = sorted({name.split(" ")[1].split("/")[0] for name in only})
            command.insert(2, f"-run=^({'|'.join(map(re.escape, tops))})$")
        environment = _environment(url) | {"PGX_TEST_DATABASE": f"{url}?sslmode=disable",
                                           "GOFLAGS": "-buildvcs=false", "GOTOOLCHAIN": "local"}
        results, output = {}, {}
        for line in _run(command, self._folder, environment).splitlines():
            event = json.loads(line) if line.startswith("{") else {}
            test = re.sub(r"'/tmp/[^']*'", "FILE", event.get("Test", "(package)"))
            name = f"{event.get('Package')} {test}"
            if event.get("Action") in ("pass", "fail", "skip"):
                results[name] = event["Action"]
            elif event.get("Action") == "output":
                output[name] = output.get(name, "") + event["Output"]
        return results, output


def _sdist(project):
    """The source archive of the version that the client programs use."""
    python = catalog.python("")[0][0]
    version = next(line.split("==")[1].strip() for line in (HERE / "python" / "requirements.txt").open()
                   if re.split(r"==|-binary==", line)[0] == project)
    archive = SUITES / f"{project.lower()}-{version}.tar.gz"
    if not archive.exists():
        SUITES.mkdir(parents=True, exist_ok=True)
        catalog._run([python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                      "--no-binary", project, "-d", SUITES, f"{project}=={version}"])
    return python, archive


class Pytest:
    """The tests in a Python package's source archive, by pytest."""
    port = None

    def __init__(self, project, folder, setup="", wanted="/tests/", paths=("tests",), options=lambda url: [], part=None,
                 **variables):
        """`part`: K and N, of the files below the paths each Nth from the Kth on."""
        self.setup = setup
        self._python, archive = _sdist(project)
        self._folder = _unpack(archive, SUITES / folder, lambda name: wanted in name)
        self._paths, self._options, self._variables = paths, options, variables
        if part:
            files = sorted(str(path) for below in paths for path in (self._folder / below).rglob("test_*.py"))
            self._paths = files[part[0] - 1::part[1]]

    def run(self, url, only=None):
        report = self._folder / "report.xml"
        report.unlink(missing_ok=True)
        paths = self._paths
        if only:
            # A name begins with the module's, as a path with dots.
            modules = {str(path.relative_to(self._folder).with_suffix("")).replace("/", "."): path
                       for path in self._folder.rglob("*.py")}
            paths = sorted({str(path) for test in only for module, path in modules.items()
                            if test.startswith(module + ".")}) or paths
        command = [self._python, "-s", "-m", "pytest", "-q", "-p", "no:cacheprovider",
                   "--continue-on-collection-errors", f"--junitxml={report}", *self._options(url), *paths]
        output = _run(command, self._folder, _environment(url) | self._variables)
        if not report.exists():
            return {"(suite)": "fail"}, {"(suite)": output}
        return _junit([report])


class Django:
    """Django's tests in the database that pgcache fronts: without a part those that ask it most, else one of PARTS
    of all others."""
    port = None
    setup = ""
    PARTS = 6
    _MOST = """aggregation backends basic bulk_create expressions get_or_create introspection lookup postgres_tests queries
        raw_query select_for_update timezones transaction_hooks transactions""".split()
    # What PostGIS is needed for, what is no test itself, and what starts programs without a database.
    _NOT = """admin_scripts bash_completion gis_tests import_error_package test_runner test_runner_apps""".split()

    def __init__(self, part=None):
        self._python, archive = _sdist("Django")
        unpacked = _unpack(archive, SUITES / f"django-{part or 'most'}", lambda name: name.split("/")[1:2] == ["tests"])
        self._folder = unpacked / "tests"
        others = sorted(path.parent.name for path in self._folder.glob("*/__init__.py"))
        others = [name for name in others if name not in self._MOST + self._NOT]
        self._labels = others[part - 1::self.PARTS] if part else self._MOST

    def run(self, url, only=None):
        report = self._folder / "report.json"
        report.unlink(missing_ok=True)
        labels = sorted({name.split(".")[0] for name in only}) if only else self._labels
        command = [self._python, "runtests.py", "--settings=django_suite", "--parallel=1", "--noinput", "--keepdb",
                   *labels]
        environment = _environment(url) | {"PYTHONPATH": str(HERE / "python"), "SUITE_REPORT": str(report)}
        output = _run(command, self._folder, environment)
        if not report.exists():
            return {"(suite)": "fail"}, {"(suite)": output}
        told = json.loads(report.read_text())
        return {name: outcome for name, (outcome, _) in told.items()}, {name: text for name, (_, text) in told.items()}


class Pgjdbc:
    """From the source archive beside the driver in Maven's repository, by its own pom: what that runs, but for the
    long classes, or these. Of the 191 files that hold tests 185 are in the one, 4 in the other, and two are abstract:
    AbstractArraysTest and BaseDataSourceTest, whose subclasses are in files of their own."""
    port = None
    setup = """CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE USER test PASSWORD 'test';
               GRANT ALL ON DATABASE postgres TO test; GRANT ALL ON SCHEMA public TO test"""

    # Classes that repeat a thing for minutes: every zone, every character.
    _LONG = ("QuotationTest", "SetObject310Test", "GetObject310Test", "DatabaseEncodingTest")

    def __init__(self, rest=False):
        self._classes = self._LONG if rest else [f"!{name}" for name in self._LONG]
        catalog._need("java", "javac", "mvn")
        version = re.search(r"<artifactId>postgresql</artifactId>\s*<version>([^<]*)",
                            (HERE / "jvm" / "pom.xml").read_text())[1]
        archive = SUITES / f"postgresql-{version}-jdbc-src.tar.gz"
        if not archive.exists():
            catalog._run(["mvn", "-q", "-B", "dependency:copy", f"-DoutputDirectory={SUITES}",
                          f"-Dartifact=org.postgresql:postgresql:{version}:tar.gz:jdbc-src"])
        self._folder = _unpack(archive, SUITES / ("pgjdbc-rest" if rest else "pgjdbc"))
        catalog._run(["mvn", "-q", "-B", "test-compile"], cwd=self._folder)

    def run(self, url, only=None):
        _replace_properties(self._folder / "build.properties", {
            "test.url.PGHOST": "127.0.0.1", "test.url.PGPORT": _port(url), "test.url.PGDBNAME": "postgres"})
        shutil.rmtree(self._folder / "target" / "surefire-reports", ignore_errors=True)
        classes = self._classes
        if only:
            classes = sorted({re.match(r"(?:[a-z]\w*\.)*(\w+)", name)[1] for name in only})
        command = ["mvn", "-q", "-B", "surefire:test", "-Dmaven.test.failure.ignore=true", f"-Dtest={','.join(classes)}"]
        output = _run(command, self._folder, _environment(url))
        results, printed = _junit(sorted((self._folder / "target" / "surefire-reports").glob("TEST-*.xml")))
        if output.endswith(TOO_LATE):
            results["(classes that there was no time for)"] = "fail"
        return results or {"(suite)": "fail"}, printed or {"(suite)": output}


def _replace_properties(path, values):
    lines = [line for line in path.read_text().splitlines() if line.split("=")[0] not in values]
    path.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in values.items()), ""]))


class Cargo:
    """A crate's tests, from cargo's cache of sources; ROLES are those that the tests log in as."""
    ROLES = """CREATE ROLE pass_user PASSWORD 'password' LOGIN; CREATE ROLE md5_user PASSWORD 'password' LOGIN;
               CREATE ROLE scram_user PASSWORD 'password' LOGIN; CREATE EXTENSION hstore; CREATE EXTENSION citext;
               CREATE EXTENSION ltree"""

    def __init__(self, crate, setup="", fixed_port="", features="", options=(), edits=()):
        catalog._need("cargo")
        self.setup = setup
        self.port = free_port() if fixed_port else None
        self._options = ["--features", features, *options] if features else options
        described = subprocess.run(["cargo", "metadata", "--format-version=1"], cwd=HERE / "rust", capture_output=True,
                                   text=True, check=True)
        source = next(package["manifest_path"] for package in json.loads(described.stdout)["packages"]
                      if package["name"] == crate)
        self._folder = _writable_copy(pathlib.Path(source).parent, SUITES / crate)
        if fixed_port:  # it is part of the tests' texts
            edits = [*edits, (fixed_port, str(self.port))]
        for path in self._folder.rglob("*.rs"):
            _replace(path, *edits)
        manifest = self._folder / "Cargo.toml"
        text = re.sub(r"(?ms)^\[(\[bench\]|dev-dependencies\.criterion)\].*?(?=^\[|\Z)", "", manifest.read_text())
        manifest.write_text(text + "\n[workspace]\n")  # this folder is below that of another one
        self._environment = {"CARGO_TARGET_DIR": str(SUITES / "rust"), "CARGO_PROFILE_TEST_DEBUG": "0",
                             "CARGO_PROFILE_DEV_DEBUG": "0"}
        catalog._run(["cargo", "test", "--quiet", "--no-run", *self._options], cwd=self._folder,
                     env=os.environ | self._environment)

    def run(self, url, only=None):
        command = ["cargo", "test", "--quiet", "--no-fail-fast", *self._options, "--", "--format=pretty", "--test-threads=2",
                   *sorted(only or [])]
        environment = _environment(url) | self._environment | {"DATABASE_URL": url, "RUST_BACKTRACE": "0"}
        printed = _run(command, self._folder, environment)
        words = {"ok": "pass", "FAILED": "fail", "ignored": "skip"}
        results = {name: words[word] for name, word in
                   re.findall(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)", printed, re.M)}
        output = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^---- |^failures:)", printed, re.M | re.S))
        return results or {"(suite)": "fail"}, output or {"(suite)": printed}


class Mocha:
    """The tests of an older version of a package, the last that came with them, of the version that the client programs use.

    Those that only tell what a dependency of long ago did fail at the origin too."""
    port = None
    setup = ""
    _TOOLS = ("mocha@11.7.5", "concat-stream@1.0.1", "stream-spec@0.3.5", "through@2.3.8", "JSONStream@0.7.4")
    _NOT_TO_BE_HAD = "stream-tester"

    def __init__(self, package, version, tests_version):
        catalog._need("node", "npm")
        self._folder = SUITES / package
        wanted = [f"{package}@{version}", *(f"{name}@{versions}" for name, versions in json.loads(
            (HERE / "javascript" / "package.json").read_text())["dependencies"].items() if name == "pg"), *self._TOOLS]
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        catalog._run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefix",
                      self._folder, *wanted])
        catalog._run(["npm", "pack", "--silent", f"{package}@{tests_version}"], cwd=self._folder)
        tests = _unpack(self._folder / f"{package}-{tests_version}.tgz", self._folder / "tests") / "test"
        for path in (*tests.glob("*.js"), *tests.glob("*.es6")):
            if self._NOT_TO_BE_HAD in path.read_text():
                path.unlink()
                continue
            _replace(path, ("require('../')", f"require('{package}')"))
        self._tests = shutil.copytree(tests, self._folder / "test")

    def run(self, url, only=None):
        report = self._folder / "report.json"
        results, printed = {}, {}
        for path in sorted(self._tests.glob("*.js")):
            report.unlink(missing_ok=True)
            command = ["node", "node_modules/mocha/bin/mocha.js", "--exit", "--no-config", "--timeout=20000",
                       "--reporter=json", f"--reporter-option=output={report}", path]
            output = _run(command, self._folder, _environment(url))
            if not report.exists():
                results[path.stem], printed[path.stem] = "fail", output
                continue
            told = json.loads(report.read_text())
            for key, outcome in (("passes", "pass"), ("failures", "fail"), ("pending", "skip")):
                for test in told[key]:
                    name = f"{path.stem}: {test['fullTitle']}"
                    results[name], printed[name] = outcome, json.dumps(test["err"])
        return results, printed


PGX_SETUP = """
CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20, 0);
CREATE USER " tricky, ' } "" \\ test user " SUPERUSER PASSWORD 'secret';
"""


def unavailable(why):
    raise catalog.Skipped(why)


ORM_PARTS = 8


def _sqlalchemy(driver, *paths, part=None):
    """Of its tests those below these paths."""
    of = (part, ORM_PARTS) if part else None
    return Pytest("SQLAlchemy", f"sqlalchemy-{driver}-{part or 0}", wanted="", part=of, options=lambda url: [
        "--maxfail=100000", "--dburi", url.replace("postgresql:", f"postgresql+{driver}:")],
        setup="CREATE SCHEMA test_schema; CREATE SCHEMA test_schema_2; CREATE EXTENSION hstore; CREATE EXTENSION citext;"
              "ALTER DATABASE postgres SET default_text_search_config = 'pg_catalog.english'",
        paths=paths or ("test/dialect/postgresql", "test/dialect/test_suite.py"))


ALL = {
    "asyncpg": lambda: Pytest("asyncpg", "asyncpg"),
    "pgx": lambda: Go("github.com/jackc/pgx/v5", PGX_SETUP),
    "lib-pq": lambda: Go("github.com/lib/pq", "CREATE EXTENSION hstore"),
    "psycopg3": lambda: unavailable("the package's source archive has no tests"),
    "pgjdbc": Pgjdbc,
    "pgjdbc-rest": lambda: Pgjdbc(rest=True),
    "node-postgres": lambda: unavailable("the package has no tests"),
    "pg-cursor": lambda: Mocha("pg-cursor", "2.22.1", "2.0.1"),
    "pg-query-stream": lambda: Mocha("pg-query-stream", "4.17.0", "2.1.2"),
    "tokio-postgres": lambda: Cargo("tokio-postgres", Cargo.ROLES, fixed_port="5433", options=["--test", "test"]),
    "sqlx": lambda: unavailable("the crate that its tests need is not published"),
    "postgres.js": lambda: unavailable("the package has no tests"),
    "psycopg2": lambda: Pytest("psycopg2", "psycopg2", PSYCOPG2_TESTDB="postgres", PSYCOPG2_TEST_REPL_DSN="",
                               setup="CREATE EXTENSION hstore"),
    "diesel": lambda: Cargo("diesel", features="postgres,extras", options=["--lib"],
                            edits=[("#[diesel_test_helper::test]", "#[test]")]),
    "sqlalchemy": lambda: _sqlalchemy("psycopg"),
    "sqlalchemy-sql": lambda: _sqlalchemy("psycopg", "test/sql", "test/engine"),
    "sqlalchemy-psycopg2": lambda: _sqlalchemy("psycopg2"),
    "django": Django,
} | {f"django-{part}": functools.partial(Django, part) for part in range(1, Django.PARTS + 1)} | {
    f"sqlalchemy-orm-{part}": functools.partial(_sqlalchemy, "psycopg", "test/orm", "test/ext", part=part)
    for part in range(1, ORM_PARTS + 1)} | {
    f"sqlalchemy-psycopg2-orm-{part}": functools.partial(_sqlalchemy, "psycopg2", "test/orm", part=part)
    for part in range(1, ORM_PARTS + 1)}
