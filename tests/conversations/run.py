#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds differences between pgcache and PostgreSQL on the wire.

Random conversations of protocol 3 are played twice: at a PostgreSQL server, and through pgcache at
a second server that holds the same. After every step the bytes that came back must be equal, but
for keys, process numbers and the oids of new objects. Many of the reads are answered from memory,
which the metrics prove at the end. A difference is shortened to the steps that are needed for it.

    run.py --binary PGCACHE [--seed N] [--seconds N] [--set KEY=VALUE]... [--replay FILE]

First come the conversations of scripts.py (about 10 seconds), then random ones until the time is
over. Two clusters and pgcache are started in a temporary folder, and removed afterwards.

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

import generate
import play
import scripts
import servers
import wire

CRASHES_MAX = 5
HITS_MIN = 0.20  # of all queries that pgcache counts as reads


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.environ.get("PGCACHE_BINARY"),
                        help="the pgcache program (default: $PGCACHE_BINARY)")
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
    return "\n".join(lines)


class Run:
    def __init__(self, options):
        self.options = options
        self.start()
        self.ended_well = True
        self.crashes = 0
        self.played = self.steps = 0
        self.ignored = 0
        self.redefined = False
        self.signatures = {}

    def start(self):
        self.stack = servers.Stack(self.options.binary, generate.SCHEMA, self.options.set)
        self.stack.both(generate.FILL)

    def guarded(self, name, conversation):
        """A conversation that makes PostgreSQL itself crash says nothing about pgcache."""
        try:
            self.one(name, conversation)
        except (RuntimeError, OSError):
            time.sleep(0.5)
            if not self.stack.crashed() or self.crashes >= CRASHES_MAX:
                raise
            self.crashes += 1
            self.redefined = False
            self.ended_well &= self.stack.stop()
            self.start()

    def reset(self, redefine=True):
        for control in self.stack.controls:
            control.query("SET client_min_messages = error")
            for name in control.query("SELECT gid FROM pg_prepared_xacts"):
                control.query(f"ROLLBACK PREPARED '{name}'")
            if redefine:
                control.query(generate.REDEFINE)
            control.query(generate.RESET)
        self.stack.settle()
        if redefine:
            time.sleep(self.stack.DEFINITIONS_SECONDS)

    def forget(self):
        """Also empties the cache: a shortened conversation must do its own loading."""
        self.reset()
        self.stack.both(generate.FILL)

    def scripts(self):
        for name, conversation in scripts.conversations(self.options.open):
            if self.signatures and not self.options.keep_going:
                return
            if self.options.only in name:
                self.guarded(name, conversation)

    def random(self, seed):
        self.guarded(f"seed {seed}", generate.Generator(seed).conversation())

    def one(self, name, conversation):
        self.reset(self.redefined)
        self.redefined = generate.redefines(conversation)
        difference, compared = play.play(self.stack, conversation)
        self.played += 1
        self.steps += compared
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
        self.redefined = True
        if self.options.no_shorten or not name.startswith("seed"):
            self.write(name, conversation, difference)
            return
        short = play.shorten(self.stack, conversation, difference.signature(), self.forget,
                             time.monotonic() + 60)
        if short is None:
            print("  (not seen again with an empty cache)")
            short = conversation
        else:
            self.forget()
            for _ in range(2):
                again, _steps = play.play(self.stack, short)
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
            (folder / f"{stem}.txt").write_text(text + "\n")

    def replay(self, path):
        conversation = json.loads(path.read_text())
        self.forget()
        for _ in range(3):
            difference, _steps = play.play(self.stack, conversation)
            self.played += 1
            if difference is not None:
                self.signatures[difference.signature()] = 1
                print(report(conversation, difference))
                return

    def main(self):
        end = time.monotonic() + self.options.seconds
        if self.options.replay:
            self.replay(self.options.replay)
            return 1 if self.signatures else 0
        number = 0
        if not self.options.no_scripts:
            self.scripts()
        while time.monotonic() < end and (self.options.keep_going or not self.signatures):
            self.random(self.options.seed * 1000000 + number)
            number += 1
        return self.verdict()

    def verdict(self):
        routes = self.stack.pgcache.routes()
        not_reads = ("not_read", "empty_query", "multi_statement", "function_call", "syntax")
        reads = sum(n for name, n in routes.items() if name.split(":")[-1] not in not_reads)
        share = routes.get("hit", 0) / max(1, reads)
        print(f"{self.played} conversations, {self.steps} steps, "
              f"{sum(self.signatures.values())} differences, {self.ignored} ignored, "
              f"{self.crashes} crashes of PostgreSQL, {routes.get('hit', 0)} hits "
              f"({share:.0%} of the reads)")
        if self.options.verbose:
            print(json.dumps(routes, indent=1, sort_keys=True))
            print(json.dumps(self.signatures, indent=1))
        blocks = self.stack.pgcache.count("pgcache_blocks_local_total")
        print(f"{blocks} blocks that the origin did not see")
        if self.signatures:
            return 1
        return 0 if blocks > 0 and share >= HITS_MIN else 2


def main():
    options = arguments()
    if not options.binary:
        print("say which program with --binary or $PGCACHE_BINARY", file=sys.stderr)
        return 2
    # So that the servers are ended and their folder removed also when this is told to stop.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
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
