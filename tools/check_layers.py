#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the includes under src/ to the table of modules.

Each folder of src/ is a module. A file may include headers of its own module and of those that
the table names; the pure modules include nothing that does I/O, waits or starts threads. An include
that names neither a module of the table nor a file that exists is an error too, so that a renamed
module cannot slip past the table.

    check_layers.py ROOT          checks ROOT/src, exit status 1 when a rule is broken
    check_layers.py --self-test   proves that each rule finds its violation
"""
import pathlib
import re
import sys
import tempfile

# module -> the modules that it may include besides itself
ALLOWED = {
    "base": set(),
    "pg": {"base"},
    "wire": {"base", "pg"},
    "sql": {"base", "pg"},
    "cdc": {"base", "pg"},
    "cache": {"base", "pg", "sql", "cdc"},
    "config": {"base", "pg"},
    "net": {"base", "wire"},
    "origin": {"base", "pg", "wire", "cdc", "net", "config"},
    "proxy": {"base", "pg", "wire", "sql", "cache", "net", "origin", "config"},
    "admin": {"base", "pg", "sql", "cache", "net", "config"},
    "app": {"base", "pg", "wire", "sql", "cdc", "cache", "config", "net", "origin", "proxy", "admin"},
}
# No sockets, no event loop, no threads of their own, no client library.
PURE = {"base", "pg", "wire", "sql", "cdc", "cache", "config"}
IMPURE_HEADER = re.compile(
    r"(boost/asio|boost/beast|event2/|openssl/|libpq|thread$|sys/socket\.h|sys/epoll\.h|netinet/|poll\.h|unistd\.h)"
)
# libpq belongs to the origin's own links, HTTP to admin.
ONLY_IN = {
    re.compile(r"libpq"): {"origin", "app"},
    re.compile(r"boost/beast"): {"admin"},
    re.compile(r"pg_query"): {"sql"},
}
# Test programs, and headers that only they include, may use what their module may not.
TEST_FILE = re.compile(r"(_(test|pgtest|fuzz|bench)\.cc|test_support\.h)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def module_errors(source_root, module, opener, header, is_test):
    """The rules that one include of `header` by a file of `module` breaks."""
    if opener == '"':
        target = header.split("/")[0]
        if is_test and header.startswith("support/"):
            return
        if target not in ALLOWED:
            yield f'"{header}" is in no known module'
        elif not is_test and TEST_FILE.search(header):
            yield f'"{header}" is for tests'
        elif not (source_root / header).exists():
            yield f'"{header}" does not exist'
        elif not is_test and target != module and target not in ALLOWED[module]:
            yield f"{module} must not include {target}"
        return
    if is_test:
        return
    if module in PURE and IMPURE_HEADER.match(header):
        yield f"{module} is pure: no <{header}>"
    for pattern, owners in ONLY_IN.items():
        if pattern.match(header) and module not in owners:
            yield f"<{header}> belongs to {', '.join(sorted(owners))} alone"


def check(root):
    """All violations below root/src, as lines for a person."""
    source_root = root / "src"
    bad = []
    for path in sorted(p for p in source_root.rglob("*") if p.suffix in {".h", ".cc"}):
        parts = path.relative_to(source_root).parts
        where = path.relative_to(root)
        module = parts[0]
        if len(parts) != 2 or module not in ALLOWED:
            bad.append(f"{where}:1: stands in no module of the table")
            continue
        text = path.read_text(encoding="utf-8")
        is_test = bool(TEST_FILE.search(path.name))
        for number, line in enumerate(text.splitlines(), 1):
            match = INCLUDE.match(line)
            if match:
                for why in module_errors(source_root, module, match[1], match[2], is_test):
                    bad.append(f"{where}:{number}: {why}")
    return bad


def self_test():
    """Each snippet must give exactly the number of violations beside it."""
    cases = [
        ("sql/a.h", '#include "pg/ok.h"\n', 0),
        ("pg/ok.h", "#include <vector>\n", 0),
        ("wire/a.cc", '#include "sql/a.h"\n', 1),
        ("base/a.h", '#include "pg/ok.h"\n', 1),
        ("cache/a.cc", "#include <boost/asio/io_context.hpp>\n", 1),
        ("cache/b.cc", "#  include <thread>\n", 1),
        ("cache/c.cc", "#include <threads_of_fate>\n", 0),
        ("config/a.cc", '#include "pgg/ok.h"\n', 1),
        ("config/b.cc", '#include "pg/missing.h"\n', 1),
        ("proxy/a.cc", "#include <libpq-fe.h>\n", 1),
        ("origin/a.cc", "#include <libpq-fe.h>\n", 0),
        ("cache/a_pgtest.cc", '#include "support/cluster.h"\n#include <thread>\n', 0),
        ("cache/d.cc", '#include "support/cluster.h"\n', 1),
        ("cache/pgtest_support.h", '#include "support/pq.h"\n', 0),
        ("cache/e.cc", '#include "cache/pgtest_support.h"\n', 1),
        ("strange/a.cc", "#include <vector>\n", 1),
        ("net/deep/a.cc", "#include <vector>\n", 1),
    ]
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text, _ in cases:
            path = root / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        found = check(root)
        for name, _, expected in cases:
            count = sum(line.startswith(f"src/{name}:") for line in found)
            if count != expected:
                failures.append(f"{name}: {count} violations found, {expected} planted")
    return failures


def main():
    if sys.argv[1:] == ["--self-test"]:
        bad = self_test()
    else:
        bad = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("\n".join(bad) or "layers: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
