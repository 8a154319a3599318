# SPDX-License-Identifier: Apache-2.0
"""psql: its own commands, over its own libpq. What it prints is compared, with its process ids and times taken out."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import contract

PSQL = os.environ.get("CLIENT_PSQL", "psql")
VERSION = subprocess.run([PSQL, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]


def psql(url, script, *options):
    done = subprocess.run([PSQL, "-X", *options, url], input=script, capture_output=True, text=True, timeout=60)
    return [*done.stdout.splitlines(), *done.stderr.splitlines(), done.returncode]


def described(url):
    commands = [rf"\d{plus} {name}".rstrip() for plus in ("", "+") for name in ("", "items", "kinds", "owners")]
    commands += [r"\dt", r"\dt+", r"\di", r"\dT+", r"\dD", r"\df", r"\dn+", r"\du", r"\l", r"\dp", r"\conninfo", r"\encoding",
                 r"\dL", r"\dO", r"\dC", r"\dRp+", r"\sf now"]
    lines = psql(url, "\n".join(commands))
    # Sizes change by themselves, and ports are those of the two servers.
    return [re.sub(r"\d+ (kB|MB|bytes)|port \"\d+\"", "#", str(line)) for line in lines if "pgcache" not in str(line)]


def reads(url):
    script = "\n".join(f"SELECT name, price FROM items WHERE id = {i};" for i in range(1, 6))
    return psql(url, script) + psql(url, script, "-A", "-t") + psql(url, "TABLE owners;", "-H")


def read_blocks(url):
    script = "\n".join(f"BEGIN; \n SELECT name FROM items WHERE id = {i};\n COMMIT;" for i in range(1, 9))
    return psql(url, script)


def watch(url):
    """Until its third answer."""
    process = subprocess.Popen([PSQL, "-X", "-A", "-t", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write("SELECT name FROM items WHERE id = 1\n\\watch 0.1\n")
    process.stdin.flush()
    seen = []
    while len(seen) < 5:
        line = process.stdout.readline().strip()
        if line.startswith("item"):
            seen.append(line)
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    process.stdout.read()
    process.wait(10)
    return seen


def meta_queries(url):
    return psql(url, r"""
SELECT id, name FROM items WHERE id = 1 \gdesc
SELECT 'SELECT ' || id FROM items WHERE id < 4 ORDER BY id \gexec
SELECT name AS found FROM items WHERE id = 3 \gset
\echo :found
SELECT id, name FROM items WHERE id = 2 \gx
SELECT owner_id, id, name FROM items WHERE id < 12 \crosstabview
SELECT 1 \; SELECT name FROM items WHERE id = 1 \; SELECT 2;
\errverbose
SELECT nothing FROM items;
\errverbose
""")


def bind(url):
    return psql(url, "\n".join(rf"SELECT name FROM items WHERE id = $1 \bind {i} \g" for i in range(1, 9)))


def copy(url):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "in.csv").write_text("".join(f"{i},v{i},{i / 2}\n" for i in range(2000)))
        seen = psql(url, rf"""
TRUNCATE copied;
\copy copied from '{path}/in.csv' csv
\copy (SELECT * FROM copied ORDER BY id) to '{path}/out' (format binary)
\copy copied from program 'echo 1'
COPY copied FROM STDIN;
5000	x	1
\.
SELECT count(*) FROM copied;
\copy items to stdout csv header
""")
        return seen + [(path / "out").read_bytes()]


def transactions(url):
    return psql(url, r"""
\set AUTOCOMMIT off
DELETE FROM written;
INSERT INTO written VALUES (1, 'one');
\set ON_ERROR_ROLLBACK on
INSERT INTO written VALUES (1, 'again');
SELECT * FROM written;
COMMIT;
SELECT * FROM written;
\set FETCH_COUNT 7
SELECT id FROM items ORDER BY id;
ROLLBACK;
""", "-q") + psql(url, "INSERT INTO written VALUES (2, 'two'); SELECT 1/0;", "-1") + psql(url, "TABLE written;")


def cancel(url):
    """By Ctrl-C."""
    process = subprocess.Popen([PSQL, "-X", "-A", "-t", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    process.stdin.write("SELECT pg_sleep(30);\n")
    process.stdin.flush()
    time.sleep(0.7)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate("SELECT name FROM items WHERE id = 1;\n", timeout=60)
    return [out, time.monotonic() - began < 10]


def notify(url):
    lines = psql(url, "LISTEN news;\nNOTIFY news, 'one';\nSELECT name FROM items WHERE id = 1;\nNOTIFY news;\n")
    return [re.sub(r"PID \d+", "PID", str(line)) for line in lines]


def large_objects(url):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "object"
        path.write_bytes(b"x" * 20000)
        lines = psql(url, f"\\lo_import '{path}'\n\\lo_export :LASTOID '{path}.back'\n\\lo_unlink :LASTOID\n")
        return [re.sub(r"\d+", "#", str(line)) for line in lines] + [pathlib.Path(f"{path}.back").read_bytes()]


def main():
    assert shutil.which(PSQL)
    major = int(VERSION.split(".")[0])
    contract.start("psql", VERSION)
    contract.chapter("describing", described)
    contract.chapter("reads", reads, hits=11)
    contract.chapter("read-blocks", read_blocks, hits=8, local=7)
    contract.chapter("watch", watch, hits=5)
    contract.chapter("meta-queries", meta_queries)
    if major >= 16:
        contract.chapter("bind", bind, hits=8)
    else:
        contract.absent("bind", "from version 16 on")
    contract.chapter("copy", copy)
    contract.chapter("transactions", transactions)
    contract.chapter("cancel", cancel)
    contract.chapter("notify", notify)
    contract.chapter("large-objects", large_objects)
    contract.finish()


main()
