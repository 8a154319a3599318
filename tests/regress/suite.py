# SPDX-License-Identifier: Apache-2.0
"""One run of one of PostgreSQL's suites, directly or through pgcache, on a cluster of its own."""
import collections
import contextlib
import dataclasses
import pathlib
import re
import shutil
import subprocess
import time

import replay
import servers
import source

HERE = pathlib.Path(__file__).resolve().parent
RESULT = re.compile(r"^(?:test|    ) *(\S+) +\.\.\. (ok|FAILED|failed \(ignored\))", re.MULTILINE)
DATABASES = {"regress": "regression", "isolation": "isolation_regression"}
SCHEDULES = {"regress": "parallel_schedule", "isolation": "isolation_schedule"}


@dataclasses.dataclass
class Setting:
    suites: source.Suites
    folder: pathlib.Path
    binary: str
    tests: list  # only these, in this order; empty: the schedule


@dataclasses.dataclass
class Plan:
    name: str
    suite: str  # a folder of the source's src/test
    options: list = None  # of pgcache; None: direct
    replayed: bool = False
    eventual: bool = False


@dataclasses.dataclass
class Run:
    plan: Plan
    results: pathlib.Path
    passed: dict  # test -> whether its output is one that PostgreSQL expects
    seconds: float
    routes: collections.Counter
    replayer: replay.Replayer = None
    complaint: str = ""  # why pgcache did not end well


def prepare(suites, suite, folder):
    """Copies of the suite and of what was built for it that the server's user can read and write."""
    folder.mkdir()
    shutil.copytree(suites.tests / suite, folder / suite)
    shutil.copytree(suites.built, folder / "built")
    for library in ("refint.so", "autoinc.so"):
        shutil.copy(suites.libraries / library, folder / "built")
    servers.own(folder)


def command_for(setting, plan, folder, port):
    packaged = setting.suites.pg_regress
    program = packaged if plan.suite == "regress" else folder / "built/pg_isolation_regress"
    command = [program, "--use-existing", f"--dbname={DATABASES[plan.suite]}", "--host=127.0.0.1",
               f"--port={port}", "--user=postgres", f"--bindir={setting.suites.bin}",
               f"--inputdir={folder}/{plan.suite}", f"--outputdir={folder}/{plan.suite}",
               f"--dlpath={folder}/built", "--max-concurrent-tests=20"]
    command += ["--max-connections=1"] if plan.replayed else []
    schedule = f"--schedule={folder}/{plan.suite}/{SCHEDULES[plan.suite]}"
    return servers.as_postgres([*command, *(setting.tests or [schedule])])


def execute(setting, plan):
    folder, database = setting.folder / plan.name, DATABASES[plan.suite]
    prepare(setting.suites, plan.suite, folder)
    with contextlib.ExitStack() as stack:
        postgres = servers.Postgres(setting.suites, folder, setting.folder / "template")
        stack.callback(postgres.stop)
        postgres.create(database)
        if plan.replayed:
            postgres.psql(database, (HERE / "identity.sql").read_text())
        pgcache = replayer = None
        if plan.options is not None:
            pgcache = servers.Pgcache(setting.binary, postgres, database, plan.options)
            stack.callback(pgcache.stop)
            if plan.suite == "regress":
                replayer = replay.Replayer(pgcache, plan.replayed, plan.eventual)
                stack.callback(replayer.stop)
        port = (replayer or pgcache or postgres).port
        begin = time.monotonic()
        done = subprocess.run(command_for(setting, plan, folder, port), cwd=folder / plan.suite,
                              capture_output=True, text=True, errors="replace")
        seconds = time.monotonic() - begin
        (folder / "log").write_text(done.stdout + done.stderr)
        passed = {test: result == "ok" for test, result in RESULT.findall(done.stdout)}
        if not passed:
            raise SystemExit(f"regress: {plan.name}: no test ran:\n{done.stdout}{done.stderr}")
        routes = pgcache.routes() if pgcache else collections.Counter()
    return Run(plan, folder / plan.suite / "results", passed, seconds, routes, replayer,
               pgcache.complaint if pgcache else "")
