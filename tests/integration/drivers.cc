// SPDX-License-Identifier: Apache-2.0
// Real client libraries other than the libpq that these tests use themselves. The scripts are in
// tests/clients; they assert rows and routes. Their packages come from the Python package index
// into a virtual environment in the build folder; without network these tests are skipped.
#include <array>
#include <cstdio>
#include <filesystem>

#include "stack.h"
#include "support/command.h"

namespace pgcache::testing {
namespace {

// The interpreter of the virtual environment; empty when it cannot be made, with the reason.
std::string python(std::string& why_not) {
  const std::string folder = PGCACHE_TEST_SCRATCH "/client-venv";
  const std::string requirements = PGCACHE_TEST_CLIENTS "/requirements.txt";
  const std::string interpreter = folder + "/bin/python";
  const std::string done = folder + "/requirements.txt";
  if (run_command("cmp '" + requirements + "' '" + done + "'").status == 0) return interpreter;
  std::filesystem::remove_all(folder);
  Outcome made = run_command("python3 -m venv '" + folder + "' && '" + interpreter +
                             "' -m pip install --quiet --disable-pip-version-check -r '" +
                             requirements + "' && cp '" + requirements + "' '" + done + "'");
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
  static std::string ports() {
    return " " + std::to_string(stack().proxy().port()) + " " +
           std::to_string(stack().proxy().admin_port()) + " " +
           std::to_string(stack().origin().port()) + " ";
  }
  static void expect_ok(const std::string& command) {
    const Outcome outcome = run_command(command);
    EXPECT_TRUE(outcome.status == 0 && outcome.output.ends_with(" ok\n")) << outcome.output;
  }
  static bool installed(const std::string& program) {
    return run_command("command -v " + program).status == 0;
  }

  static void run_python(const std::string& name, const std::string& part = {}) {
    std::string why_not;
    const std::string interpreter = python(why_not);
    if (interpreter.empty()) {
      // Only a registry out of reach excuses; a package that does not install is a failure.
      const bool unreachable = why_not.find("Could not find a version") != std::string::npos ||
                               why_not.find("Connection") != std::string::npos;
      ASSERT_TRUE(unreachable) << why_not;
      GTEST_SKIP() << "the Python package index cannot be reached: " << why_not;
    }
    expect_ok(interpreter + " " PGCACHE_TEST_CLIENTS "/" + name + ports() + part);
  }
};

TEST_F(Drivers, Asyncpg) { run_python("asyncpg_client.py", "session"); }

TEST_F(Drivers, AsyncpgPool) { run_python("asyncpg_client.py", "pool"); }

TEST_F(Drivers, Psycopg) { run_python("psycopg_client.py"); }

TEST_F(Drivers, Jdbc) {
  const std::string jar = "/usr/share/java/postgresql.jar";
  if (!installed("java") || !std::filesystem::exists(jar)) {
    GTEST_SKIP() << "java or the JDBC driver (libpostgresql-jdbc-java) is not installed";
  }
  expect_ok("java -cp " + jar + " " PGCACHE_TEST_CLIENTS "/JdbcClient.java" + ports());
}

TEST_F(Drivers, NodePostgres) {
  if (!installed("node") || !installed("npm")) GTEST_SKIP() << "node or npm is not installed";
  const std::string folder = PGCACHE_TEST_SCRATCH "/client-node";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(PGCACHE_TEST_CLIENTS "/node/package.json", folder + "/package.json",
                             std::filesystem::copy_options::overwrite_existing);
  if (!std::filesystem::exists(folder + "/node_modules/pg")) {
    const Outcome made =
        run_command("npm install --silent --no-audit --no-fund --prefix " + folder);
    if (made.status != 0) GTEST_SKIP() << "npm cannot install the driver: " << made.output;
  }
  expect_ok("NODE_PATH=" + folder + "/node_modules node " PGCACHE_TEST_CLIENTS "/node/client.js" +
            ports());
}

TEST_F(Drivers, Pgx) {
  if (!installed("go")) GTEST_SKIP() << "go is not installed";
  const std::string program = PGCACHE_TEST_SCRATCH "/client-pgx";
  const Outcome made = run_command("cd " PGCACHE_TEST_CLIENTS "/pgx && go mod download");
  if (made.status != 0) GTEST_SKIP() << "the Go modules cannot be had: " << made.output;
  const Outcome built =
      run_command("cd " PGCACHE_TEST_CLIENTS "/pgx && go build -o " + program + " .");
  ASSERT_EQ(built.status, 0) << built.output;
  expect_ok(program + ports());
}

}  // namespace
}  // namespace pgcache::testing
