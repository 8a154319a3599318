# SPDX-License-Identifier: Apache-2.0
"""The contract of the client programs, for Python. tests/clients/README.md says what every program does.

A chapter is a function of a URL that returns what the client saw, as a list. It runs once at the origin and then
through pgcache, until the routes are the wanted ones; what was seen must be the same each time.
"""

import asyncio
import inspect
import re
import sys
import time
import traceback
import urllib.request

PGCACHE, ORIGIN, ADMIN = sys.argv[1:4]
PATIENCE_S = 15

_SAMPLE = re.compile(r"^(pgcache_queries_total|pgcache_blocks_local_total)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

_failed = []


def start(client, version):
    print(f"client {client} {version}", flush=True)


def routes():
    """Counts by route ("hit", "bypass:comment") and of blocks that stayed in pgcache ("local")."""
    with urllib.request.urlopen(ADMIN + "/metrics", timeout=5) as answer:
        text = answer.read().decode()
    counts = {}
    for metric, labels, value in _SAMPLE.findall(text):
        named = dict(_LABEL.findall(labels))
        name = ":".join(filter(None, (named.get("route", "local"), named.get("reason"))))
        counts[name] = counts.get(name, 0) + int(float(value))
    return counts


def _taken(work):
    before = routes()
    seen = _run(work, PGCACHE)
    after = routes()
    return seen, {name: n - before.get(name, 0) for name, n in after.items() if n != before.get(name, 0)}


def _run(work, url):
    seen = work(url)
    return asyncio.run(seen) if inspect.iscoroutine(seen) else seen


def _difference(expected, seen):
    for i, (a, b) in enumerate(zip(expected, seen)):
        if a != b:
            return f"item {i}: the origin gave {a!r}, pgcache {b!r}"
    return f"{len(expected)} items from the origin, {len(seen)} through pgcache"


def _wanted(taken, hits, local):
    if not hits:
        return True
    missed = [name for name in taken if name == "miss" or name.startswith("fallback")]
    return taken.get("hit", 0) >= hits and taken.get("local", 0) >= local and not missed


def chapter(name, work, hits=0, local=0):
    """hits: how many hits one run must come to at least, with no miss left; 0: none are asked for. local: at least so
    many blocks that never reach the origin."""
    try:
        expected = [repr(item) for item in _run(work, ORIGIN)]
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen, taken = _taken(work)
            seen = [repr(item) for item in seen]
            assert seen == expected, _difference(expected, seen)
            if _wanted(taken, hits, local):
                break
            assert time.monotonic() < deadline, f"routes {taken}, wanted at least hit {hits} local {local}, no miss"
            time.sleep(0.1)
    except Exception as error:  # the other chapters are still of interest
        traceback.print_exc()
        _failed.append(name)
        print(f"FAILED {name}: {type(error).__name__}: {error}", flush=True)
        return
    others = " ".join(f"{route} {n}" for route, n in sorted(taken.items()) if route not in ("hit", "local"))
    print(f"ok {name} hits {taken.get('hit', 0)} local {taken.get('local', 0)} {others}".rstrip(), flush=True)


def absent(name, why):
    print(f"none {name}: {why}", flush=True)


def finish():
    sys.exit(1 if _failed else 0)
