# SPDX-License-Identifier: Apache-2.0
"""The routes that queries took, read from pgcache's metrics."""

import collections
import contextlib
import re
import urllib.request

_SAMPLE = re.compile(r'^pgcache_queries_total\{(.*)\} (\S+)$', re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def read(admin_port):
    url = f"http://127.0.0.1:{admin_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    counts = collections.Counter()
    for labels, value in _SAMPLE.findall(text):
        named = dict(_LABEL.findall(labels))
        name = named["route"] + (":" + named["reason"] if named.get("reason") else "")
        counts[name] += int(float(value))
    return counts


@contextlib.contextmanager
def expect(admin_port, **wanted):
    """The routes taken inside, e.g. expect(port, miss=1, hit=2); others must not be taken."""
    before = read(admin_port)
    yield
    taken = {name: count for name, count in (read(admin_port) - before).items() if count}
    assert taken == wanted, f"routes taken {taken}, expected {wanted}"
