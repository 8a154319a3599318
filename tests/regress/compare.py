# SPDX-License-Identifier: Apache-2.0
"""What a run through pgcache answered otherwise than the same run without it."""
import difflib
import re
import tomllib

# \d of a table that pgcache tracks names its publication.
PUBLICATION = re.compile(r'^Publications:\n    "pgcache"\n', re.MULTILINE)


class Known:
    """The differences that are explained: for tests, the lines that may differ and the reason."""

    def __init__(self, file):
        known = tomllib.loads(file.read_text())
        self.entries, self.orders = known["difference"], known["order"]

    def reason(self, suite, test, lines):
        for entry in self.entries:
            if suite != entry["suite"] or not re.fullmatch(entry["test"], test):
                continue
            if all(any(re.fullmatch(pattern, line) for pattern in entry["lines"]) for line in lines):
                return entry["reason"]
        return None

    def order_reason(self, wrong):
        """Of an answer with the same rows in another order."""
        if not wrong.only_reordered():
            return None
        return next((o["reason"] for o in self.orders if re.fullmatch(o["statement"], wrong.sql)), None)


def changed_lines(direct, through):
    """The lines of a diff, each with its sign; none if only the publication's name was added."""
    a, b = (PUBLICATION.sub("", text).splitlines() for text in (direct, through))
    return [line for line in difflib.unified_diff(a, b, lineterm="", n=0)
            if not line.startswith(("--- ", "+++ ", "@@ "))]


def read(run, test):
    file = run.results / f"{test}.out"
    return file.read_text(errors="surrogateescape") if file.exists() else "(the test did not run)\n"


def compare(direct, through):
    """The changed lines of each test that did not pass in both runs and has any."""
    found = {}
    for test, passed in direct.passed.items():
        if not (passed and through.passed.get(test)):
            lines = changed_lines(read(direct, test), read(through, test))
            if lines:
                found[test] = lines
    return found
