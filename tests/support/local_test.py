#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of local.py: a pgcache that does not end well is noticed."""

import os
import unittest

import local

REPORT = ("started\n==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1\n    #0 0x2 in f() x.cc:1\n"
          "SUMMARY: AddressSanitizer: heap-use-after-free x.cc:1 in f()\n==7==ABORTING\n")


class BadEnd(unittest.TestCase):
    def test_a_good_end_is_none(self):
        self.assertEqual(local.bad_end(0, "started\nthe SUMMARY of it\n"), "")

    def test_a_status_is_one(self):
        self.assertIn("exit status -11", local.bad_end(-11, "started\n"))

    def test_a_pgcache_that_had_to_be_killed_is_one(self):
        self.assertIn("in time", local.bad_end(None, "started\n"))

    def test_a_report_is_one_whatever_the_status(self):
        told = local.bad_end(0, REPORT)
        self.assertTrue(told.startswith("pgcache did not end well: SUMMARY: AddressSanitizer"), told)
        self.assertIn("x.cc:1", told)
        self.assertNotIn("started", told)

    def test_reports_of_every_sanitizer(self):
        for name in ("Thread", "UndefinedBehavior", "Leak", "Address"):
            self.assertIn(name, local.bad_end(0, f"SUMMARY: {name}Sanitizer: something\n"))


class Patience(unittest.TestCase):
    def test_by_the_sanitizer(self):
        os.environ.pop("TEST_SANITIZER", None)
        self.assertEqual(local.patience(), 1)
        os.environ["TEST_SANITIZER"] = "thread"
        self.assertGreater(local.patience(), 1)


if __name__ == "__main__":
    unittest.main()
