# SPDX-License-Identifier: Apache-2.0
"""Settings for Django's own tests: in the database that pgcache fronts, the outcome of each test to $SUITE_REPORT."""

import json
import os
import unittest

from django.test.runner import DiscoverRunner


def _database(name):
    return {"ENGINE": "django.db.backends.postgresql", "NAME": name, "USER": "postgres", "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"], "TEST": {"NAME": name}}


DATABASES = {"default": _database("postgres"), "other": _database("other")}
SECRET_KEY = "for tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "django_suite.Runner"


class _Result(unittest.TextTestResult):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.told = {}

    def startTest(self, test):
        super().startTest(test)
        self.told[test.id()] = ("pass", "")

    def _tell(self, test, outcome, text):
        self.told[getattr(test, "test_case", test).id()] = (outcome, text)

    def addError(self, test, error):
        super().addError(test, error)
        self._tell(test, "fail", self.errors[-1][1])

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._tell(test, "fail", self.failures[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._tell(test, "fail", (self.errors + self.failures)[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._tell(test, "skip", reason)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._tell(test, "fail", "unexpected success")


class Runner(DiscoverRunner):
    def get_resultclass(self):
        return _Result

    def run_suite(self, suite, **named):
        result = super().run_suite(suite, **named)
        with open(os.environ["SUITE_REPORT"], "w") as report:
            json.dump(result.told, report)
        return result
