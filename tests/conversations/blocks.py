# SPDX-License-Identifier: Apache-2.0
"""Makes conversations about transaction blocks alone: begun, ended, chained and failed in all ways,
with modes, savepoints, settings and writes between reads of which most are answered from memory, so
that the origin seldom knows what the client's block has seen."""

import random

import scripts
from scripts import S, bind, execute, one_shot, parse, query

READS = ["SELECT id, t FROM s WHERE id = 1", "SELECT v, q FROM m WHERE id = 2",
         "SELECT id FROM s WHERE id < 4 ORDER BY id", "SELECT id, name FROM k ORDER BY id LIMIT 2",
         "SELECT tz FROM s WHERE id = 1"]
BEGINS = ["BEGIN", "BEGIN", "BEGIN", "START TRANSACTION", "BEGIN READ ONLY", "BEGIN READ WRITE",
          "BEGIN ISOLATION LEVEL READ COMMITTED", "BEGIN ISOLATION LEVEL REPEATABLE READ",
          "START TRANSACTION ISOLATION LEVEL READ UNCOMMITTED, READ ONLY", "BEGIN DEFERRABLE",
          "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"]
ENDS = ["COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "COMMIT AND CHAIN",
        "ROLLBACK AND CHAIN", "ABORT", "END"]
MODES = ["SET TRANSACTION READ ONLY", "SET TRANSACTION READ WRITE",
         "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
         "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET LOCAL transaction_read_only = on",
         "SET transaction_isolation = 'serializable'", "SHOW transaction_isolation",
         "SHOW transaction_read_only", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
         "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
         "SET default_transaction_isolation = 'repeatable read'",
         "RESET default_transaction_isolation", "SET default_transaction_read_only = on",
         "RESET default_transaction_read_only", "SET TRANSACTION SNAPSHOT 'none'",
         "SELECT current_setting('transaction_isolation')"]
OTHERS = ["SAVEPOINT a", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "ROLLBACK TO a",
          "UPDATE m SET q = q + 1 WHERE id = 1", "INSERT INTO m VALUES (2, 'again', 1)",
          "DELETE FROM m WHERE id = 77", "SELECT v FROM m WHERE id = 1 FOR UPDATE", "LOCK TABLE m",
          "SELECT 1/0", "SELECT nothing", "SET LOCAL TimeZone = 'Asia/Tokyo'", "RESET TimeZone",
          "SET TimeZone = 'Europe/Berlin'", "SELECT id FROM s WHERE tz < now() AND id = 1", ""]
TOGETHER = ["; ", ";", " ; "]


class Blocks:
    def __init__(self, seed):
        self.dice = random.Random(seed)

    def command(self):
        pool = self.dice.choices([BEGINS, ENDS, MODES, OTHERS], [3, 3.5, 2, 3])[0]
        return self.dice.choice(pool)

    def sql(self):
        return self.dice.choice(READS) if self.dice.random() < 0.5 else self.command()

    def exchange(self):
        dice = self.dice
        what = dice.random()
        if what < 0.4:
            return [query(self.sql())]
        if what < 0.5:
            parts = [self.sql() for _ in range(dice.randint(2, 3))]
            return [query(dice.choice(TOGETHER).join(parts))]
        if what < 0.8:
            return one_shot(self.sql())
        name = dice.choice(["", "n"])
        out = []
        for _ in range(dice.randint(1, 4)):
            out += [["C", "S", "n"], parse(name, self.sql()), bind("", name),
                    execute("", dice.choice([0, 0, 1]))]
            if dice.random() < 0.15:
                out.append(["H"])
        return out + [S]

    def conversation(self):
        dice = self.dice
        steps = scripts.warm_all(READS)
        for _ in range(dice.randint(15, 30)):
            exchanges = [self.exchange() for _ in range(dice.choice([1, 1, 1, 2, 3]))]
            step = {"send": [message for exchange in exchanges for message in exchange]}
            if dice.random() < 0.15:
                step["cuts"] = dice.randint(0, 10 ** 6)
            steps.append(step)
            if dice.random() < 0.2:
                steps.append({"send": [query("ROLLBACK")]})
        return {"startup": scripts.USER, "steps": steps}
