#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Has Spin explore every state of load_and_apply.pml: the rules hold, and without any one of them it
finds a wrong entry.

    check.py holds    no reachable state is wrong, in models small enough for a test
    check.py large    the same in larger ones (minutes, up to 1.2 GB)
    check.py finds    each broken variant is found out

Needs spin and a C compiler. Exit status 1 when the answer is not as it should be, 2 when the model
cannot be run."""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

MODEL = pathlib.Path(__file__).resolve().parent / "load_and_apply.pml"

HOLDS = [
    "TRANSACTIONS=2",
    "TRANSACTIONS=2 LOG_MAX=1",
    "TRANSACTIONS=2 STRICT",
    "TRANSACTIONS=3 LOADERS=1",
    "TRANSACTIONS=3 LOADERS=1 LOG_MAX=1 STRICT",
    "TRANSACTIONS=3 COLD_STARTS=0 STRICT",
    "TRANSACTIONS=2 COLD_STARTS=0 LOADERS=1 CRASH",
]
LARGE = [
    "TRANSACTIONS=3",
    "TRANSACTIONS=3 LOG_MAX=1",
    "TRANSACTIONS=3 STRICT",
    "TRANSACTIONS=2 CRASH",
    "TRANSACTIONS=3 COLD_STARTS=0 LOADERS=1 CRASH",
]
FINDS = [
    "TRANSACTIONS=2 PUBLISH_WITHOUT_LOG",
    "TRANSACTIONS=2 TRIM_TOO_EARLY",
    "TRANSACTIONS=2 LOG_MAX=1 FORGET_SILENTLY",
    "TRANSACTIONS=2 SNAPSHOT_BEHIND_QUERY",
    "TRANSACTIONS=2 IGNORE_EXPORTED",
    "TRANSACTIONS=2 KEEP_LOADS_OVER_START",
    "TRANSACTIONS=2 LOG_BEHIND_REMOVAL",
    "TRANSACTIONS=2 STRICT CONFIRM_BEFORE_APPLIED",
    "TRANSACTIONS=2 COLD_STARTS=0 CRASH RESUME_OVER_CRASH",
    "TRANSACTIONS=2 COLD_STARTS=0 CRASH DROP_OVER_CRASH",
]


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def explore(options):
    """The number of errors and of states."""
    defines = [f"-D{option}" for option in options.split()]
    with tempfile.TemporaryDirectory(prefix="pgcache-model.") as folder:
        run(["spin", "-a", *defines, str(MODEL)], folder)
        run(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=2500", "-o", "pan", "pan.c"], folder)
        # -E: processes that wait for ever are no error here.
        said = run(["./pan", "-E", "-m100000", "-w22"], folder)
    errors = re.search(r"errors: (\d+)", said)
    states = re.search(r"(\S+) states, stored", said)
    if errors is None or states is None or "max search depth too small" in said or "out of memory" in said:
        raise RuntimeError(f"not everything was explored:\n{said}")
    if int(errors[1]) > 0 and "assertion violated" not in said:
        raise RuntimeError(f"another error than a wrong entry:\n{said}")
    return int(errors[1]), int(float(states[1]))


def main():
    wanted = {"holds": (HOLDS, False), "large": (LARGE, False), "finds": (FINDS, True)}
    if len(sys.argv) != 2 or sys.argv[1] not in wanted:
        print(__doc__)
        return 2
    models, to_be_found = wanted[sys.argv[1]]
    status = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for options, (errors, states) in zip(models, pool.map(explore, models)):
            right = (errors > 0) == to_be_found
            verdict = "a wrong entry" if errors else "no wrong entry"
            print(f"{options}: {verdict}, {states} states{'' if right else '  <-- should not be'}", flush=True)
            status |= 0 if right else 1
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
