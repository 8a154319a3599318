# SPDX-License-Identifier: Apache-2.0
"""What a conversation has left behind in a server."""

import time

PATIENCE = 2.0  # seconds: the last session may still be ending

# Every table with its columns and rows, but for those that no conversation changes.
TABLES = """SELECT relnamespace::regnamespace || '.' || relname || ' '
    || query_to_xml(format('SELECT * FROM %s ORDER BY 1', c.oid::regclass), true, false, '')::text
    FROM pg_class c WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_)'
    AND relname <> 'k' ORDER BY relnamespace::regnamespace::text, relname"""
OTHERS = """SELECT 'prepared: ' || gid FROM pg_prepared_xacts
    UNION ALL SELECT 'locked: ' || count(*) FROM pg_locks l JOIN pg_class c ON c.oid = relation
    WHERE c.oid >= 16384 AND pid IS NOT NULL AND mode <> 'AccessShareLock'
    UNION ALL SELECT 'view: ' || definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1"""


def first_difference(controls, query):
    """The first row in which the two servers differ, as each has it, or None."""
    deadline = time.monotonic() + PATIENCE
    while True:
        direct, proxied = (control.query(query) for control in controls)
        if direct == proxied:
            return None
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    rows = zip(direct + [None] * len(proxied), proxied + [None] * len(direct))
    return next(pair for pair in rows if pair[0] != pair[1])


def difference(controls):
    """Likewise, of all that is looked at. Prepared transactions, whose locks would be in the way,
    are rolled back in between."""
    found = first_difference(controls, OTHERS)
    if found is not None:
        return found
    roll_back_prepared(controls)
    return first_difference(controls, TABLES)


def roll_back_prepared(controls):
    for control in controls:
        for name in control.query("SELECT gid FROM pg_prepared_xacts"):
            control.query(f"ROLLBACK PREPARED '{name}'")


def sessions(control):
    """Connections of others, but for those that pgcache keeps for itself."""
    return int(control.query(
        "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
        "AND pid <> pg_backend_pid() AND application_name NOT LIKE 'pgcache%'")[0])
