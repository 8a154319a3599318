// SPDX-License-Identifier: Apache-2.0
#include "precision/runner.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <thread>

#include "precision/schema.h"

namespace pgcache::precision {
namespace {

using testing::QueryResult;
using testing::Routes;

constexpr int kWarmTimeoutMs = 3000;
constexpr int kTrackingTimeoutMs = 15000;

// The rows as a multiset, or in their order where the query determines it.
bool same_rows(const Pair& pair, const QueryResult& one, const QueryResult& other) {
  if (one.sqlstate != other.sqlstate || one.columns != other.columns) return false;
  auto a = one.rows;
  auto b = other.rows;
  if (pair.query.find("ORDER BY") == std::string::npos) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
  }
  return a == b;
}

std::string text_of(const QueryResult& result) {
  if (!result.ok()) return "error " + result.sqlstate + ": " + result.error;
  std::string out = std::to_string(result.rows.size()) + " rows:";
  for (std::size_t i = 0; i < result.rows.size() && i < 8; ++i) {
    out += " (";
    for (std::size_t c = 0; c < result.rows[i].size(); ++c) {
      out += (c > 0 ? ", " : "") + result.rows[i][c].value_or("NULL");
    }
    out += ")";
  }
  return out;
}

}  // namespace

Runner::Runner(const std::string& binary, bool copies) : copies_(copies), admin_(cluster_.dsn()) {
  for (const std::string& sql : set_up_statements()) admin_.must(sql);
  testing::PgcacheOptions options;
  options.origin = cluster_.dsn();
  options.binary = binary;
  options.arguments = {"--heartbeat-interval",    "10ms", "--max-staleness", "10s",
                       "--catalog-poll-interval", "50ms", "--workers",       "1"};
  if (!copies_) options.arguments.insert(options.arguments.end(), {"--table-copies-size", "0"});
  pgcache_ = std::make_unique<testing::PgcacheProcess>(std::move(options));
  for (const Identity identity : {Identity::kFull, Identity::kDefault}) {
    auto& pair = identity == Identity::kFull ? full_ : default_;
    pair = std::make_unique<Sessions>(
        Sessions{testing::Connection(pgcache_->dsn()), testing::Connection(cluster_.dsn())});
    pair->proxy.must("SET search_path = " + schema_name(identity));
    pair->origin.must("SET search_path = " + schema_name(identity));
    track_everything(identity);
  }
}

Runner::Sessions& Runner::sessions(Identity identity) {
  return identity == Identity::kFull ? *full_ : *default_;
}

// From here on no table joins the publication: that changes the catalog and drops what is cached.
void Runner::track_everything(Identity identity) {
  for (const std::string& table : table_names()) {
    Pair pair;
    pair.query = "SELECT * FROM " + table;
    pair.identity = identity;
    Routes routes;
    const bool hit = testing::wait_until(
        [&] {
          routes = ask_pgcache(pair).routes;
          return routes.hit == 1;
        },
        kTrackingTimeoutMs);
    if (!hit) {
      throw std::runtime_error("never answered from the cache: " + table + ", " + routes.text());
    }
  }
}

// A commit of our own makes sure that what was committed before is flushed with whole records.
void Runner::settle() {
  admin_.must("SELECT pg_logical_emit_message(true, 'precision', 'settle')");
  pgcache_->wait_applied(
      testing::parse_lsn(admin_.query("SELECT pg_current_wal_flush_lsn()").value()));
}

QueryResult Runner::ask(testing::Connection& connection, const Pair& pair) const {
  // The comment makes a shape of its own: no other pair's answer is there yet.
  const std::string sql = pair.query + " -- " + pair.full_name();
  if (pair.parameters.empty() && !pair.binary_results) return connection.query(sql);
  return connection.exec_params(
      sql, std::vector<std::optional<std::string>>(pair.parameters.begin(), pair.parameters.end()),
      pair.binary_results);
}

Runner::Answered Runner::ask_pgcache(const Pair& pair) {
  const Routes before = pgcache_->routes();
  Answered answered;
  answered.result = ask(sessions(pair.identity).proxy, pair);
  answered.routes = pgcache_->routes() - before;
  return answered;
}

// Until the cache answers it. A load may be refused now and then; a bypass is final.
bool Runner::warm(const Pair& pair, std::string& what) {
  Answered last;
  const bool hit = testing::wait_until(
      [&] {
        last = ask_pgcache(pair);
        return last.routes.hit == 1 || last.routes.bypasses() + last.routes.fallbacks() > 0;
      },
      kWarmTimeoutMs);
  if (hit && last.routes.hit == 1) return true;
  what = "not answered from the cache: " + last.routes.text() + " " + last.result.error;
  return false;
}

// What went otherwise.
std::string Runner::change_and_ask(const Pair& pair, Verdict& verdict) {
  Sessions& session = sessions(pair.identity);
  const QueryResult before = ask(session.origin, pair);
  if (!before.ok()) {
    verdict.severe = true;
    return "the query fails: " + before.error;
  }
  std::this_thread::sleep_for(patience_);
  const QueryResult changed = session.origin.query(pair.change);
  if (!changed.ok() || changed.command_tag.ends_with(" 0")) {
    verdict.severe = true;
    return "the change changes nothing: " + changed.error + changed.command_tag;
  }
  settle();
  const Answered after = ask_pgcache(pair);
  const QueryResult right = ask(session.origin, pair);
  if (!same_rows(pair, after.result, right)) {
    verdict.severe = true;
    return "WRONG ROWS (" + after.routes.text() + ")\n    pgcache " + text_of(after.result) +
           "\n    origin  " + text_of(right);
  }
  if (same_rows(pair, before, right) == (pair.expected == Outcome::kInvalidated)) {
    verdict.severe = true;
    return "the pair expects the answer to " +
           std::string(pair.expected == Outcome::kInvalidated ? "change" : "stay") +
           "\n    before " + text_of(before) + "\n    after  " + text_of(right);
  }
  if (after.routes.hit + after.routes.miss != 1) {
    verdict.severe = true;
    return "neither a hit nor a miss: " + after.routes.text();
  }
  const bool kept = after.routes.hit == 1;
  if (kept == (pair.expected == Outcome::kKept)) return "";
  if (copies_ && pair.expected == Outcome::kCoarse) return "";
  return kept ? "kept, though what would tell is not known" : "invalidated needlessly";
}

Verdict Runner::run(const Pair& pair) {
  constexpr int kTries = 6;
  // Until the copies have come and the answer is known to be no older than they are.
  patience_ = std::chrono::milliseconds(pair.copies ? 30 : 0);
  Verdict verdict = run_once(pair, true);
  for (int i = 1; copies_ && !verdict.passed && !verdict.severe && i < kTries; ++i) {
    patience_ = 2 * patience_ + std::chrono::milliseconds(10);
    verdict = run_once(pair, false);
  }
  return verdict;
}

Verdict Runner::run_once(const Pair& pair, bool is_first) {
  Verdict verdict;
  const Answered first = ask_pgcache(pair);
  if (is_first && first.routes.miss != 1) {
    verdict.what = "not a miss at first: " + first.routes.text() + " " + first.result.error;
    return verdict;
  }
  if (!warm(pair, verdict.what)) return verdict;
  Sessions& session = sessions(pair.identity);
  if (!pair.seen.empty()) {
    const QueryResult seen = session.origin.query(pair.seen);
    if (!seen.ok()) throw std::runtime_error(pair.full_name() + ": " + seen.error);
    settle();
    if (!warm(pair, verdict.what)) return verdict;
  }
  verdict.what = change_and_ask(pair, verdict);
  verdict.passed = verdict.what.empty();
  admin_.must(restore_statement(pair.identity));
  settle();
  return verdict;
}

}  // namespace pgcache::precision
