# SPDX-License-Identifier: Apache-2.0
"""Shortens a conversation that shows a difference to the messages that are needed for it."""

import time

HANG = 0.7  # seconds: a difference that is a hang has been seen to be one already


class Shortener:
    """`run` plays, and makes the servers and the cache what they were at the beginning."""

    def __init__(self, run, conversation, signature, seconds):
        self.run, self.conversation, self.signature = run, conversation, signature
        self.deadline = time.monotonic() + seconds

    def fails(self, candidate):
        self.run.forget()
        for _ in range(2):  # what the first play loads, the second may hit
            difference = self.run.play(candidate).difference
            if difference is not None:
                return difference.signature() == self.signature
        return False

    def late(self):
        return time.monotonic() > self.deadline

    def attempt(self, **changes):
        """Keeps the changes if the difference stays."""
        candidate = dict(self.conversation, **changes)
        if self.late() or not self.fails(candidate):
            return False
        self.conversation = candidate
        return True

    def attempt_step(self, number, step):
        steps = self.conversation["steps"]
        return self.attempt(steps=steps[:number] + [step] + steps[number + 1:])

    def drop_steps(self):
        width = max(1, len(self.conversation["steps"]) // 2)
        while width >= 1 and not self.late():
            at = len(self.conversation["steps"]) - width
            while at >= 0 and not self.late():
                steps = self.conversation["steps"]
                self.attempt(steps=steps[:at] + steps[at + width:])
                at -= width
            width //= 2

    def drop_messages(self, number):
        for at in reversed(range(len(self.conversation["steps"][number]["send"]))):
            step = self.conversation["steps"][number]
            self.attempt_step(number, dict(step, send=step["send"][:at] + step["send"][at + 1:]))

    def drop_details(self, number):
        for detail in ("cuts", "pause", "elsewhere"):
            step = self.conversation["steps"][number]
            if step.get(detail) is not None:
                self.attempt_step(number, {k: v for k, v in step.items() if k != detail})

    def shorten(self):
        """The short conversation, or None if the difference is not seen again."""
        if not self.fails(self.conversation):
            return None
        self.run.stack.patience = HANG
        try:
            self.drop_all()
        finally:
            self.run.stack.patience = self.run.stack.HANG
        steps = [s for s in self.conversation["steps"] if s["send"] or s.get("elsewhere")]
        return dict(self.conversation, steps=steps)

    def drop_all(self):
        self.drop_steps()
        for at in reversed(range(2, len(self.conversation["startup"]))):
            startup = self.conversation["startup"]
            self.attempt(startup=startup[:at] + startup[at + 1:])
        for number in reversed(range(len(self.conversation["steps"]))):
            self.drop_messages(number)
            self.drop_details(number)
