# SPDX-License-Identifier: Apache-2.0
"""Makes conversations about the unnamed statement and portal alone: parsed, bound, described, closed
and destroyed by queries, in pipelines of exchanges in which errors come anywhere. Most of the reads
are answered from memory, so that the origin's unnamed statement is seldom the client's."""

import random

import scripts
from scripts import S, bind, close, describe, describe_statement, execute, one_shot, parse, query

READS = ["SELECT id, t FROM s WHERE id = 1", "SELECT v FROM m WHERE id = 1",
         "SELECT id FROM s WHERE id < 4 ORDER BY id", "SELECT id, name FROM k ORDER BY id LIMIT 2"]
QUERIES = ["SELECT 1 AS other", "BEGIN", "COMMIT", "ROLLBACK", "UPDATE m SET q = q",
           "SET DateStyle = 'German'", "RESET DateStyle"]
NAMED = READS + ["UPDATE m SET q = q", "SET TimeZone = 'Asia/Tokyo'"]


class Unnamed:
    def __init__(self, seed):
        self.dice = random.Random(seed)

    def messages(self):
        dice = self.dice
        name = dice.choice("ab")
        return dice.choices([
            [parse("", dice.choice(READS))],
            [parse("", f"SELECT 'older'::text, {dice.randint(1, 3)}")],
            [parse("", "SELECT nothing FROM s")],
            [bind()],
            [bind("", "absent")],
            [describe_statement()],
            [describe()],
            [execute("", dice.choice([0, 0, 0, 1]))],
            [["C", "S", ""]],
            [close()],
            [query(dice.choice(READS))],
            [query(dice.choice(QUERIES))],
            [["H"]],
            [["C", "S", name], parse(name, dice.choice(NAMED))],
            [bind("", name), execute()],
        ], [5, 2, 1, 6, 1.2, 1.5, 1.5, 4, 1, 0.5, 1, 0.6, 0.7, 1, 1])[0]

    def exchange(self):
        dice = self.dice
        if dice.random() < 0.35:
            return one_shot(dice.choice(READS))
        return [message for _ in range(dice.randint(1, 5)) for message in self.messages()] + [S]

    def conversation(self):
        dice = self.dice
        steps = scripts.warm_all(READS)
        for _ in range(dice.randint(8, 16)):
            exchanges = [self.exchange() for _ in range(dice.choice([1, 1, 2, 3]))]
            step = {"send": [message for exchange in exchanges for message in exchange]}
            if dice.random() < 0.2:
                step["cuts"] = dice.randint(0, 10 ** 6)
            steps.append(step)
        return {"startup": scripts.USER, "steps": steps}
