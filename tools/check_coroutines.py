#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps coroutines out of the tree.

GCC 12, the compiler of Debian 12, destroys some temporaries of a co_await expression twice and
crashes on others, silently. Rather than tell the safe forms from the unsafe ones, pgcache uses
completion handlers and threads only.

    check_coroutines.py ROOT          checks ROOT/src and ROOT/tests, exit status 1 on a violation
    check_coroutines.py --self-test   proves that each rule finds its violation
"""
import pathlib
import re
import sys

# Comments and literals say what they like. A digit separator (1'000) is not a character literal.
NOISE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s\\]{0,16})\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'",
    re.S,
)
KEYWORD = re.compile(r"\b(co_await|co_yield|co_return)\b")
LIBRARY = re.compile(
    r"\b(co_spawn|use_awaitable|awaitable\s*<|coroutine_handle|spawn\s*\(\s*\w*(?:yield_context))"
)
HEADER = re.compile(
    r"^[ \t]*#[ \t]*include[ \t]*<(coroutine|experimental/coroutine"
    r"|boost/asio/(?:experimental/)?(?:awaitable|co_spawn|use_awaitable|coro|spawn)\w*\.hpp"
    r"|boost/cobalt[^>]*)>",
    re.M,
)


def violations(text):
    """Yields (offset, why) for a source text."""
    for match in HEADER.finditer(text):
        yield match.start(), f"<{match[1]}> is a coroutine header"
    bare = NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)
    for pattern in (KEYWORD, LIBRARY):
        for match in pattern.finditer(bare):
            yield match.start(), f"no coroutines: {match[1].strip()}"


def check(root):
    bad = []
    for folder in ("src", "tests"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in {".h", ".cc", ".hpp", ".cpp"}:
                continue
            text = path.read_text(encoding="utf-8")
            for offset, why in sorted(violations(text)):
                line = text.count("\n", 0, offset) + 1
                bad.append(f"{path.relative_to(root)}:{line}: {why}")
    return bad


def self_test():
    must_fail = [
        "void f() { co_await g(); }",
        "auto f() { co_return 1; }",
        "auto f() { for (;;) co_yield 1; }",
        "#include <coroutine>\n",
        "# include <boost/asio/awaitable.hpp>\n",
        "#include <boost/asio/co_spawn.hpp>\n",
        "boost::asio::awaitable<void> f();",
        "int n = 1'000; /* ' */ co_await x;",
    ]
    must_pass = [
        "// co_await is not used\n",
        "/* co_return\n co_yield */ int x;",
        'const char* s = "co_await \\" co_return";',
        'const char* s = R"(co_await ")";',
        "char c = '\"'; int co_awaiting;",
        "#include <boost/asio/io_context.hpp>\n",
    ]
    bad = [f"not found: {text!r}" for text in must_fail if not list(violations(text))]
    bad += [f"wrongly found: {text!r}" for text in must_pass if list(violations(text))]
    return bad


def main():
    if sys.argv[1:] == ["--self-test"]:
        bad = self_test()
    else:
        bad = check(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("\n".join(bad) or "coroutines: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
