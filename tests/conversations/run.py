#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds differences between pgcache and PostgreSQL on the wire.

Random conversations of protocol 3 are played twice: at a PostgreSQL server, and through pgcache at
a second server that holds the same. After every step the bytes that came back must be equal, but
for keys, process numbers and the oids of new objects; so must the connection's end, and at the end
what the tables hold. Many of the reads are answered from memory, which the metrics prove. A
difference is shortened to the messages that are needed for it, and printed as a protocol script
(tests/scripts) as well.

    run.py --binary PGCACHE [--kind orderly|disorder|both|unnamed|blocks] [--seed N] [--seconds N]
           [--set KEY=VALUE]... [--pg-bin FOLDER] [--replay FILE] [--fault NAME]

First come the conversations of scripts.py (about 40 seconds), then random ones until the time is
over: orderly ones (generate.py), and such of clients that make mistakes (disorder.py); or, if asked
for, some about the unnamed statement (unnamed.py) or transaction blocks (blocks.py) alone. Two
clusters and pgcache are started in a temporary folder, and removed afterwards.

With --fault, pgcache runs with that part of it broken (src/proxy/faults.h), and a difference must be
found in time.

Exit status: 0 no difference; 1 differences, which are printed, or a pgcache that did not end well; 2 the
test itself could not run, or too few of the reads were hits, or no block was answered from memory alone,
so that it means nothing.
"""

import argparse
import json
import os
import pathlib
import re
import signal
import sys
import time

import as_script
import blocks
import disorder
import generate
import play
import scripts
import servers
import shorten
import state
import unnamed
import wire

CRASHES_MAX = 5
# Of all queries that pgcache counts as reads, by kind of conversation.
HITS_MIN = {"orderly": 0.20, "disorder": 0.15, "unnamed": 0.20, "blocks": 0.15}
NOT_READS = ("not_read", "empty_query", "multi_statement", "function_call", "syntax")
ACCEPTED_MAX = 0.05  # of the conversations: those that a known difference has ended early
SHORTEN_SECONDS = 60
READS_MIN = 300  # of each kind, or its share of hits means nothing
MORE_SECONDS = 30  # at most, for that
GENERATORS = {"orderly": generate.Generator, "disorder": disorder.Disorder,
              "unnamed": unnamed.Unnamed, "blocks": blocks.Blocks}
BOTH = ["orderly", "disorder"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.environ.get("PGCACHE_BINARY"),
                        help="the pgcache program (default: $PGCACHE_BINARY)")
    parser.add_argument("--kind", choices=[*GENERATORS, "both"], default="both")
    parser.add_argument("--pg-bin", default=servers.BIN, help="the folder of PostgreSQL's programs")
    parser.add_argument("--fault", help="what of pgcache is broken, to see that it is noticed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="an option of pgcache")
    parser.add_argument("--keep-going", action="store_true", help="look for further differences")
    parser.add_argument("--no-shorten", action="store_true")
    parser.add_argument("--findings", type=pathlib.Path, help="a folder to write differences into")
    parser.add_argument("--replay", type=pathlib.Path,
                        help="play the conversation in this JSON file instead")
    parser.add_argument("--only", default="", help="only scripts with this in their name")
    parser.add_argument("--ignore", metavar="REGEX",
                        help="differences whose signature it matches are not counted")
    parser.add_argument("--no-scripts", action="store_true", help="only random conversations")
    parser.add_argument("--open", action="store_true",
                        help="also the scripts whose differences are known and open")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def brief(message):
    text = json.dumps(message, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:150]} ... {text[-80:]}"


def report(conversation, difference):
    lines = [f"difference ({difference.signature()}) in step {difference.step}:"]
    if len(conversation["startup"]) > 2:
        lines.append(f"  startup {json.dumps(conversation['startup'][2:])}")
    for number, step in enumerate(conversation["steps"]):
        more = {k: v for k, v in step.items() if k != "send"}
        lines.append(f"  step {number} {more or ''}")
        lines += ["    " + brief(message) for message in step["send"]]
    for who, messages in (("PostgreSQL", difference.direct), ("pgcache", difference.proxied)):
        lines.append(f"  {who} from there:")
        lines += ["    " + wire.describe(message) for message in messages[:12]] or ["    nothing"]
    lines += ["", "as a protocol script:", "", as_script.text_of(conversation, difference)]
    return "\n".join(lines)


class Run:
    def __init__(self, options):
        self.options = options
        self.kinds = BOTH if options.kind == "both" else [options.kind]
        self.routes = {kind: {} for kind in GENERATORS}  # what pgcache counted for each
        self.accepted = {}  # known differences: how many conversations they have ended early
        self.start()
        self.ended_well = True
        self.crashes = 0
        self.played = self.steps = 0
        self.ignored = 0
        self.redefined = self.refill = False
        self.signatures = {}

    def start(self):
        self.stack = servers.Stack(self.options.binary, generate.SCHEMA, self.options.set,
                                   self.options.pg_bin)
        self.stack.both(generate.FILL)
        self.redefined = self.refill = False

    def guarded(self, name, conversation):
        """A conversation that makes PostgreSQL itself crash says nothing about pgcache."""
        try:
            self.one(name, conversation)
        except (RuntimeError, OSError):
            time.sleep(0.5)
            if not self.stack.crashed() or self.crashes >= CRASHES_MAX:
                raise
            self.crashes += 1
            self.ended_well &= self.stack.stop()
            self.start()

    def reset(self, redefine=True):
        state.roll_back_prepared(self.stack.controls)
        for control in self.stack.controls:
            control.query("SET client_min_messages = error")
            if redefine:
                control.query(generate.REDEFINE)
            if self.refill:
                control.query(generate.REFILL)
            control.query(generate.RESET)
        self.stack.settle()
        if redefine:
            time.sleep(self.stack.DEFINITIONS_SECONDS)

    def forget(self):
        """Also empties the cache: a shortened conversation must do its own loading."""
        self.reset(self.redefined)
        self.stack.both(generate.FILL)

    def scripts(self):
        for name, conversation in scripts.conversations(self.options.open):
            if self.signatures and not self.options.keep_going:
                return
            if self.options.only in name:
                self.guarded(name, conversation)

    def random(self, kind, number):
        seed = self.options.seed * 1000000 + number
        before = self.stack.pgcache.routes()
        self.guarded(f"seed {seed} {kind}", GENERATORS[kind](seed).conversation())
        for route, count in self.stack.pgcache.routes().items():
            more = count - before.get(route, 0)
            self.routes[kind][route] = self.routes[kind].get(route, 0) + max(0, more)

    def play(self, conversation):
        """One play; what it leaves behind is compared as well, and that pgcache lives."""
        try:
            outcome = play.play(self.stack, conversation)
        except (RuntimeError, OSError):
            if self.stack.pgcache.process.poll() is None:
                raise
            outcome = play.Outcome(0)
        if self.stack.pgcache.process.poll() is not None:
            crash = play.Difference(outcome.steps - 1, "crash", [], [])
            crash.answers = outcome.difference.answers if outcome.difference else []
            outcome.difference, outcome.accepted = crash, None
            self.stack.start_pgcache()
            return outcome
        if outcome.difference is None and outcome.accepted is None:
            left = state.difference(self.stack.controls)
            if left is not None:
                ours, theirs = ([("state", str(each).encode())] for each in left)
                outcome.difference = play.Difference(outcome.steps - 1, "state", ours, theirs)
        return outcome

    def one(self, name, conversation):
        self.reset(self.redefined)
        self.redefined = generate.redefines(conversation)
        self.refill = generate.mentions(conversation, ["UPDATE s "])
        outcome = self.play(conversation)
        difference = outcome.difference
        self.played += 1
        self.steps += outcome.steps
        if outcome.accepted:
            self.accepted[outcome.accepted] = self.accepted.get(outcome.accepted, 0) + 1
        if difference is None:
            return
        if self.stack.crashed():
            raise RuntimeError("PostgreSQL crashed")
        signature = difference.signature()
        if self.options.ignore and re.search(self.options.ignore, signature):
            self.ignored += 1
            if self.options.verbose:
                print(f"{name}: ignored {signature}: {wire.describe(difference.direct[0])[:150]}",
                      flush=True)
            return
        if not name.startswith("seed"):
            signature = f"{name}: {signature}"
        self.signatures[signature] = self.signatures.get(signature, 0) + 1
        if self.signatures[signature] > 1:
            return
        print(f"{name}: {difference.signature()}", flush=True)
        self.explain(name, conversation, difference)

    def explain(self, name, conversation, difference):
        if self.options.no_shorten or not name.startswith("seed"):
            self.write(name, conversation, difference)
            return
        short = shorten.Shortener(self, conversation, difference.signature(),
                                  SHORTEN_SECONDS).shorten()
        if short is None:
            print("  (not seen again with an empty cache)")
            short = conversation
        else:
            self.forget()
            for _ in range(2):
                again = self.play(short).difference
                if again is not None:
                    difference = again
                    break
        self.write(name, short, difference)

    def write(self, name, conversation, difference):
        text = report(conversation, difference)
        print(text, flush=True)
        if self.options.findings:
            folder = self.options.findings
            folder.mkdir(parents=True, exist_ok=True)
            stem = name.replace(" ", "-").replace(":", "")
            (folder / f"{stem}.json").write_text(json.dumps(conversation))
            (folder / f"{stem}.txt").write_text(text + "\n", errors="backslashreplace")

    def replay(self, path):
        conversation = json.loads(path.read_text())
        self.forget()
        for _ in range(3):
            difference = self.play(conversation).difference
            self.played += 1
            if difference is not None:
                self.signatures[difference.signature()] = 1
                print(report(conversation, difference))
                return

    def main(self):
        if self.options.replay:
            self.replay(self.options.replay)
            return 1 if self.signatures else 0
        number = 0
        if not self.options.no_scripts:
            self.scripts()
        end = time.monotonic() + self.options.seconds
        while self.goes_on(end) and (self.options.keep_going or not self.signatures):
            self.random(self.kinds[number % len(self.kinds)], number)
            number += 1
        return self.verdict()

    def goes_on(self, end):
        now = time.monotonic()
        few = any(self.reads(kind) < READS_MIN for kind in self.kinds)
        return now < end or (few and now < end + MORE_SECONDS)

    def reads(self, kind):
        return sum(count for name, count in self.routes[kind].items()
                   if name.split(":")[-1] not in NOT_READS)

    def shares(self):
        """The share of hits in the reads of each kind of conversation, which is printed."""
        shares = {}
        for kind in self.kinds:
            routes = self.routes[kind]
            hits = routes.get("hit", 0)
            shares[kind] = hits / max(1, self.reads(kind))
            print(f"{kind}: {hits} hits, {shares[kind]:.0%} of the reads; "
                  f"{sum(routes.values())} queries")
            if self.options.verbose:
                print(json.dumps(routes, indent=1, sort_keys=True))
        return shares

    def verdict(self):
        print(f"{self.played} conversations, {self.steps} steps, "
              f"{sum(self.signatures.values())} differences, {self.ignored} ignored, "
              f"{self.crashes} crashes of PostgreSQL; ended early by what is known: "
              f"{self.accepted or 'none'}")
        shares = self.shares()
        if self.options.verbose:
            print(json.dumps(self.signatures, indent=1))
        blocks = self.stack.pgcache.count("pgcache_blocks_local_total")
        print(f"{blocks} blocks that the origin did not see")
        servers.wait_until(lambda: state.sessions(self.stack.controls[1]) == 0,
                           "sessions at the origin outlive their clients", 5)
        if self.options.fault:
            return 0 if self.signatures else 1
        if self.signatures:
            return 1
        enough = all(share >= HITS_MIN[kind] for kind, share in shares.items())
        few = sum(self.accepted.values()) <= max(2, ACCEPTED_MAX * self.played)
        blocks_tried = "orderly" in self.kinds
        return 0 if (blocks > 0 or not blocks_tried) and enough and few else 2


def main():
    options = arguments()
    if not options.binary:
        print("say which program with --binary or $PGCACHE_BINARY", file=sys.stderr)
        return 2
    # So that the servers are ended and their folder removed also when this is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    sys.stdout.reconfigure(errors="backslashreplace")
    if options.fault:
        os.environ["PGCACHE_FAULT_BREAK"] = options.fault
    run, status = None, 2
    try:
        run = Run(options)
        status = run.main()
    except (RuntimeError, OSError) as error:
        print(f"the test could not run: {error}", file=sys.stderr)
        if run is not None and run.stack.pgcache is not None:
            print(run.stack.log_tails(), file=sys.stderr)
    finally:
        if run is not None and not (run.stack.stop() and run.ended_well):
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
