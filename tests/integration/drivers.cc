// SPDX-License-Identifier: Apache-2.0
// Real client libraries other than the libpq that these tests use themselves. The scripts are in
// tests/clients; they assert rows and routes. Their packages come from the Python package index
// into a virtual environment in the build folder; without network these tests are skipped.
#include <array>
#include <cstdio>
#include <filesystem>

#include "stack.h"

namespace pgcache::testing {
namespace {

struct Outcome {
  int status = -1;
  std::string output;
};

Outcome run(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1 </dev/null").c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
  return outcome;
}

// The interpreter of the virtual environment; empty when it cannot be made, with the reason.
std::string python(std::string& why_not) {
  const std::string folder = PGCACHE_TEST_SCRATCH "/client-venv";
  const std::string requirements = PGCACHE_TEST_CLIENTS "/requirements.txt";
  const std::string interpreter = folder + "/bin/python";
  const std::string done = folder + "/requirements.txt";
  if (run("cmp '" + requirements + "' '" + done + "'").status == 0) return interpreter;
  std::filesystem::remove_all(folder);
  Outcome made = run("python3 -m venv '" + folder + "' && '" + interpreter +
                     "' -m pip install --quiet --disable-pip-version-check -r '" + requirements +
                     "' && cp '" + requirements + "' '" + done + "'");
  if (made.status == 0) return interpreter;
  why_not = made.output;
  return {};
}

class Drivers : public SharedStack<Drivers> {
 public:
  static StackOptions options() {
    StackOptions options;
    options.schema = R"(
      CREATE TABLE items (id int PRIMARY KEY, name text);
      INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 100) i;
      CREATE TABLE kinds (id int PRIMARY KEY, n numeric, b bytea, u uuid, a int[], at timestamptz,
                          d date, flag bool, big bigint, j jsonb, nothing text);
      INSERT INTO kinds VALUES (1, 12.50, '\x00ff', '5e0c3b1e-4a7e-4b68-9d2d-0a4f1b2c3d4e',
        '{1,NULL,3}', '2024-02-29 12:00:00+00', '2024-02-29', true, 1099511627776, '{"k": [1]}', NULL);
      CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0), (2, 0);
      CREATE TABLE copied (id int PRIMARY KEY, v text);)";
    return options;
  }

 protected:
  static void run_script(const std::string& name, const std::string& part = {}) {
    std::string why_not;
    const std::string interpreter = python(why_not);
    if (interpreter.empty()) {
      // Only a registry out of reach excuses; a package that does not install is a failure.
      const bool unreachable = why_not.find("Could not find a version") != std::string::npos ||
                               why_not.find("Connection") != std::string::npos;
      ASSERT_TRUE(unreachable) << why_not;
      GTEST_SKIP() << "the Python package index cannot be reached: " << why_not;
    }
    const Outcome outcome = run(interpreter + " " PGCACHE_TEST_CLIENTS "/" + name + " " +
                                std::to_string(stack().proxy().port()) + " " +
                                std::to_string(stack().proxy().admin_port()) + " " +
                                std::to_string(stack().origin().port()) + " " + part);
    EXPECT_TRUE(outcome.status == 0 && outcome.output.ends_with(" ok\n")) << outcome.output;
  }
};

TEST_F(Drivers, Asyncpg) { run_script("asyncpg_client.py", "session"); }

TEST_F(Drivers, AsyncpgPool) { run_script("asyncpg_client.py", "pool"); }

TEST_F(Drivers, Psycopg) { run_script("psycopg_client.py"); }

}  // namespace
}  // namespace pgcache::testing
