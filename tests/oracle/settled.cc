// SPDX-License-Identifier: Apache-2.0
#include "oracle/settled.h"

#include <algorithm>
#include <thread>

namespace pgcache::oracle {
namespace {

constexpr int kRounds = 40;
constexpr int kQueriesInRound = 12;
constexpr int kFocusQueries = 3;
constexpr int kFocusChanges = 9;
constexpr int kFocusesInRound = 2;
constexpr int kFocusesInEpoch = 120;  // where nothing else is done
constexpr int kFocusChangesOfOne = 6;
constexpr std::size_t kPool = 90;
constexpr int kInitialRows = 24;
constexpr int kWarmUpTimeoutMs = 15000;
constexpr const char* kFailedBlock = "25P02";

std::vector<std::string> statements_of(const std::string& sql) {
  std::vector<std::string> statements;
  std::size_t at = 0;
  while (at < sql.size()) {
    const std::size_t end = std::min(sql.find("; ", at), sql.size());
    statements.push_back(sql.substr(at, end - at));
    at = end + 2;
  }
  return statements;
}

Query off(Query query) {
  query.sql = "/* pgcache: off */ " + query.sql;
  return query;
}

}  // namespace

Settled::Settled(Stage& stage, std::uint64_t seed, Trace& trace, Counts& counts)
    : stage_(stage), seed_(seed), trace_(trace), counts_(counts) {}

void Settled::make_tables(Identities identities, Random& random) {
  schema_ = make_schema(identities, random);
  for (const std::string& sql : schema_.statements) {
    stage_.admin().must(sql);
    trace_.add("origin", sql, "set up");
  }
  Client filler("origin", stage_.origin_dsn());
  filler.run("SET search_path = oracle, alt");
  for (const Relation& relation : schema_.relations) {
    if (!relation.writable) continue;
    for (int i = 0; i < kInitialRows; ++i) {
      const Change change = make_insert(relation, 1, random);
      const Answer answer = filler.run(change.sql);
      trace_.add("origin", change.sql, answer.sqlstate.empty() ? answer.tag : answer.sqlstate);
    }
  }
}

// Every table that can be cached is tracked from here on: with blocks open, tracking would begin at
// some later time.
void Settled::warm_up() {
  stage_.wait_for_catalog();
  Client client("warm-up", stage_.proxy_dsn());
  for (const Relation& relation : schema_.relations) {
    if (relation.caching != Caching::kYes) continue;
    const std::string sql = "SELECT * FROM " + relation.qualified();
    testing::Routes routes;
    const bool hit = testing::wait_until(
        [&] {
          const testing::Routes before = stage_.pgcache().routes();
          client.run(sql);
          routes = stage_.pgcache().routes() - before;
          return routes.hit == 1;
        },
        kWarmUpTimeoutMs);
    if (!hit) throw WrongAnswer("never answered from the cache: " + sql + "\n" + routes.text());
  }
}

void Settled::make_readers() {
  readers_.clear();
  for (int i = 0; i < 4; ++i) {
    const std::string name = std::to_string(i);
    readers_.push_back(
        std::make_unique<Reader>(Reader{Client("pgcache r" + name, stage_.proxy_dsn()),
                                        Client("origin r" + name, stage_.origin_dsn())}));
  }
  own_ = std::make_unique<Client>("pgcache own", stage_.proxy_dsn());
  small_ = std::make_unique<Client>("origin small", stage_.origin_dsn());
  small_->run("SET search_path = oracle, alt; SET lock_timeout = '40ms'");
  own_->run("SET search_path = oracle, alt; SET lock_timeout = '40ms'");
  for (const auto& reader : readers_) {
    for (Client* client : {&reader->proxy, &reader->origin}) {
      client->run("SET search_path = oracle, alt; SET lock_timeout = '40ms'");
    }
  }
  for (Client* client : {&readers_[1]->proxy, &readers_[1]->origin}) {
    client->run("SET TimeZone = 'America/New_York'; SET DateStyle = 'German'");
    client->run("SET IntervalStyle = 'iso_8601'; SET bytea_output = 'escape'");
  }
}

void Settled::prepare(Identities identities, Random& random) {
  trace_.clear();
  ++counts_.epochs;
  readers_.clear();
  writers_.reset();
  own_.reset();
  small_.reset();
  make_tables(identities, random);
  warm_up();
  make_readers();
  writers_ = std::make_unique<Writers>(stage_.proxy_dsn(), stage_.origin_dsn(), trace_, counts_);
  pool_.clear();
  for (std::size_t i = 0; i < kPool; ++i) pool_.push_back({random.next(), random.next()});
}

void Settled::epoch(std::uint64_t number, Clock::time_point deadline) {
  Random random(mix(seed_, number));
  prepare(number % 3 == 0   ? Identities::kFull
          : number % 3 == 1 ? Identities::kDefault
                            : Identities::kMixed,
          random);
  for (int i = 0; i < kRounds && Clock::now() < deadline; ++i) round(random);
  writers_->finish(random);
  stage_.settle();
  for (const PooledQuery& pooled : pool_) {
    if (Clock::now() >= deadline) break;
    const Query query = make_query(schema_, pooled.structure, pooled.values);
    check(query.caching == Caching::kNo ? *readers_.back() : *readers_.front(), query);
  }
}

void Settled::needless_epoch(std::uint64_t number, Clock::time_point deadline) {
  Random random(mix(seed_, number));
  prepare(number % 2 == 0 ? Identities::kFull : Identities::kDefault, random);
  for (int i = 0; i < kFocusesInEpoch && Clock::now() < deadline; ++i) focus(random);
}

void Settled::round(Random& random) {
  ++counts_.rounds;
  const int steps = random.between(1, 6);
  for (int i = 0; i < steps; ++i) writers_->step(schema_, random);
  if (random.chance(3)) alter(random);
  if (random.chance(25)) change_settings(random);
  for (int i = 0; i < 2; ++i) {
    if (random.chance(40)) check_own_write(random);
    if (random.chance(60)) check_block(random);
  }
  for (int i = 0; i < kFocusesInRound; ++i) focus(random);
  focus_on(make_full_join_query(schema_, random.next(), random.next()), random);
  focus_on(make_wide_query(schema_, random.next(), random.next()), random);
  stage_.settle();
  for (int i = 0; i < kQueriesInRound; ++i) {
    const Query query = choose_query(random);
    const std::size_t other = random.chance(60) ? 0 : static_cast<std::size_t>(random.below(3));
    Reader& reader = *readers_[other];
    check(query.caching == Caching::kNo ? *readers_.back() : reader, query);
    // The same again where other settings make other bytes of it.
    if (query.caching != Caching::kNo && random.chance(40)) check(*readers_[1 - other % 2], query);
  }
}

void Settled::alter(Random& random) {
  writers_->finish(random);
  const std::string sql = random.pick(schema_.alterations);
  Client client("origin", random.chance(50) ? stage_.proxy_dsn() : stage_.origin_dsn());
  const Answer answer = client.run(sql);
  trace_.add("origin", sql, answer.sqlstate.empty() ? answer.tag : answer.sqlstate);
  ++counts_.alterations;
  for (const auto& reader : readers_) {
    reader->proxy.forget_statements();
    reader->origin.forget_statements();
  }
  own_->forget_statements();
  stage_.wait_for_catalog();
}

void Settled::change_settings(Random& random) {
  static const std::vector<std::string> choices = {
      "SET search_path = alt, oracle",
      "SET search_path = oracle, alt",
      "SET TimeZone = 'Asia/Tokyo'",
      "SET TimeZone = 'UTC'",
      "SET DateStyle = 'SQL, DMY'",
      "SET DateStyle = 'ISO, MDY'",
      "SET extra_float_digits = 0",
      "SET extra_float_digits = 1",
      "SET IntervalStyle = 'iso_8601'",
      "SET IntervalStyle = 'sql_standard'",
      "SET IntervalStyle = 'postgres'",
      "SET bytea_output = 'escape'",
      "SET bytea_output = 'hex'",
      "SET client_encoding = 'LATIN1'",
      "SET client_encoding = 'UTF8'",
      "SET ROLE oracle_reader",
      "RESET ROLE",
      "SET standard_conforming_strings = off",
      "SET standard_conforming_strings = on",
      "SET transform_null_equals = on",
      "SET transform_null_equals = off",
      "SELECT set_config('search_path', 'alt, oracle', false)",
      "SELECT set_config('TimeZone', 'Europe/Berlin', false)",
      "BEGIN; SET LOCAL search_path = alt; COMMIT",
      "BEGIN; SET DateStyle = 'Postgres'; ROLLBACK",
  };
  const std::string& sql = random.pick(choices);
  Reader& reader = *random.pick(readers_);
  for (Client* client : {&reader.proxy, &reader.origin}) {
    for (const std::string& one : statements_of(sql)) {
      const Answer answer = client->run(one);
      trace_.add(client->name(), one, answer.sqlstate.empty() ? answer.tag : answer.sqlstate);
    }
  }
}

Query Settled::choose_query(Random& random) {
  PooledQuery& pooled = pool_[static_cast<std::size_t>(random.below(static_cast<int>(kPool)))];
  const int choice = random.below(100);
  if (choice < 4) pooled = {random.next(), random.next()};
  const std::uint64_t values = choice < 25 ? random.next() : pooled.values;
  return make_query(schema_, pooled.structure, values);
}

void Settled::compare(const Query& query, const Answer& pgcache, const Answer& origin,
                      const std::string& when) {
  ++counts_.queries;
  const std::string what = difference(pgcache, origin, query.ordered);
  if (what.empty()) return;
  throw WrongAnswer("wrong answer (" + when + "): " + what + "\n" + query.text() + "\npgcache:\n" +
                    pgcache.text() + "origin:\n" + origin.text());
}

void Settled::check(Reader& reader, const Query& query) {
  const std::string once = reader.proxy.name();
  const testing::Routes before = stage_.pgcache().routes();
  const Answer first = reader.proxy.run(query);
  const testing::Routes middle = stage_.pgcache().routes();
  const Answer origin = reader.origin.run(query);
  compare(query, first, origin, once + ", " + (middle - before).text());
  const Answer second = reader.proxy.run(query);
  const testing::Routes routes = stage_.pgcache().routes() - middle;
  compare(query, second, origin, once + ", repeated, " + routes.text());
  if (query.caching == Caching::kNo && routes.hit + (middle - before).hit > 0) {
    throw WrongAnswer("must never be answered from the cache:\n" + query.text());
  }
  if (query.caching == Caching::kYes && origin.sqlstate.empty()) count_repeat(query, routes);
  if (query.sql.size() % 4 == 0) check_other_form(reader, query);
}

// The same statement with the same values, but its results in the other format or by the other
// protocol: another answer, byte for byte.
void Settled::check_other_form(Reader& reader, Query query) {
  using Protocol = Query::Protocol;
  if (query.protocol == Protocol::kSimple) {
    if (query.sql.find(';') != std::string::npos) return;  // two statements are an error there
    query.protocol = Protocol::kExtended;
  }
  query.binary_results = !query.binary_results;
  compare(query, reader.proxy.run(query), reader.origin.run(query), "in another form");
  if (!query.parameters.empty()) return;
  query.binary_results = false;
  query.protocol = Protocol::kSimple;
  compare(query, reader.proxy.run(query), reader.origin.run(query), "in another form");
}

void Settled::count_repeat(const Query& query, const testing::Routes& routes) {
  Share& share = counts_.shares[query.feature];
  ++share.repeats;
  if (routes.hit == 1) {
    ++share.hits;
    return;
  }
  ++counts_.missed_reasons[routes.text()];
  counts_.missed[routes.text()] = query.sql.substr(0, 400);
}

Answer Settled::ask(Reader& reader, const Query& query, testing::Routes& routes) {
  const testing::Routes before = stage_.pgcache().routes();
  Answer answer = reader.proxy.run(query);
  routes = stage_.pgcache().routes() - before;
  return answer;
}

// A few queries that the cache answers, and changes of single rows beneath them: what is forgotten
// to be dropped is not dropped for another reason.
void Settled::focus(Random& random) {
  Reader& reader = *readers_.front();
  std::vector<Watched> watched;
  for (int i = 0; i < kFocusQueries; ++i) {
    Watched one;
    one.query = i % 4 != 0 ? choose_cacheable(random)
                           : make_plain_query(schema_, random.next(), random.next());
    watched.push_back(std::move(one));
  }
  stage_.settle();
  for (Watched& one : watched) {
    check(reader, one.query);
    testing::Routes routes;
    one.answer = ask(reader, one.query, routes);
    one.cached = routes.hit == 1;
  }
  for (int i = 0; i < kFocusChanges; ++i) {
    const Query& beneath = random.pick(watched).query;
    if (beneath.relations.empty()) continue;
    const Relation& relation = schema_.table_of(*random.pick(beneath.relations), random);
    const bool empty = random.chance(relation.leaf ? 10 : 1);
    watch_over(empty ? make_truncate(relation, random)
                     : make_small_change(relation, beneath.constants(), random),
               relation, watched);
  }
}

void Settled::watch_over(const Change& change, const Relation& relation,
                         std::vector<Watched>& watched) {
  Reader& reader = *readers_.front();
  const bool full = schema_.identities == Identities::kFull || relation.key.empty();
  writers_->apply(*small_, change);
  stage_.settle();
  for (Watched& one : watched) {
    testing::Routes routes;
    const Answer answer = ask(reader, one.query, routes);
    Answer origin = reader.origin.run(one.query);
    compare(one.query, answer, origin, "after a small change, " + routes.text());
    const bool counts = one.cached && !change.exclusive &&
                        schema_.identities != Identities::kMixed && one.answer.sqlstate.empty() &&
                        origin.sqlstate.empty();
    if (counts && routes.hit == 1) counts_.needless.count_kept();
    if (counts && routes.miss == 1) {
      const bool same = difference(one.answer, origin, one.query.ordered).empty();
      counts_.needless.count(one.query, change.sql, full, same);
    }
    one.answer = std::move(origin);
    if (routes.hit == 1) continue;
    compare(one.query, ask(reader, one.query, routes), one.answer, "again, " + routes.text());
    one.cached = routes.hit == 1;
  }
}

// One query that few changes reach, and changes beneath it alone.
void Settled::focus_on(const Query& query, Random& random) {
  Reader& reader = *readers_.front();
  check(reader, query);
  for (int i = 0; i < kFocusChangesOfOne; ++i) {
    const Relation& relation = schema_.table_of(*random.pick(query.relations), random);
    writers_->apply(*small_, random.chance(60)
                                 ? make_move(relation, query.constants(), random)
                                 : make_small_change(relation, query.constants(), random));
    stage_.settle();
    compare(query, reader.proxy.run(query), reader.origin.run(query), "after a change beneath it");
  }
}

// The session's state of the origin, now, is what the same statement says when pgcache must not
// look into its cache.
void Settled::check_against_bypass(Client& client, const Query& query, const std::string& when) {
  const testing::Routes before = stage_.pgcache().routes();
  const Answer answer = client.run(query);
  const testing::Routes routes = stage_.pgcache().routes() - before;
  const Answer right = client.run(off(query));
  if (!answer.sqlstate.empty() && right.sqlstate == kFailedBlock)
    return;  // the first one failed it
  compare(query, answer, right, when + ", " + routes.text());
}

Query Settled::choose_cacheable(Random& random) {
  Query query = choose_query(random);
  for (int i = 0; i < 50 && (query.caching != Caching::kYes || query.relations.empty()); ++i) {
    query = choose_query(random);
  }
  return query;
}

// A change, by the session of its own writes, of something that the query reads.
void Settled::change_beneath(const Query& query, Random& random) {
  const Relation* relation = schema_.find("par");
  if (!query.relations.empty()) relation = &schema_.table_of(*random.pick(query.relations), random);
  Change change = make_change_of(schema_, *relation, random);
  while (change.exclusive) change = make_change_of(schema_, *relation, random);
  writers_->apply(*own_, change);
}

// Until the cache answers it, or it turns out that it will not.
void Settled::warm(Client& client, const Query& query) {
  stage_.settle();
  for (int i = 0; i < 8; ++i) {
    const testing::Routes before = stage_.pgcache().routes();
    if (!client.run(query).sqlstate.empty()) return;
    if ((stage_.pgcache().routes() - before).hit > 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

void Settled::check_own_write(Random& random) {
  const Query query = choose_cacheable(random);
  warm(*own_, query);
  check_against_bypass(*own_, query, "before a write");
  change_beneath(query, random);
  check_against_bypass(*own_, query, "after the session's own write");
  ++counts_.own_writes;
}

void Settled::check_block(Random& random) {
  const Query query = choose_cacheable(random);
  const std::string begin =
      random.pick({"BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ WRITE"});
  const std::string end = random.pick({"COMMIT", "ROLLBACK"});
  const auto send = [&](const std::string& sql) {
    const Answer answer = own_->run(sql);
    trace_.add(own_->name(), sql, answer.sqlstate.empty() ? answer.tag : answer.sqlstate);
    return answer;
  };
  warm(*own_, query);
  send(begin);
  if (random.chance(50)) {  // perhaps of hits alone
    const Answer answer = own_->run(query);
    if (random.chance(50)) {
      send(end);
      const Answer right = own_->run(off(query));
      compare(query, answer, right, "in a block of reads");
      ++counts_.in_blocks;
      return;
    }
  }
  check_against_bypass(*own_, query, "in a block");
  if (own_->in_block() && random.chance(80)) {
    const bool savepoint = random.chance(25);
    if (savepoint) send("SAVEPOINT own");
    change_beneath(query, random);
    check_against_bypass(*own_, query, "in a block after a change");
    check_against_bypass(*own_, choose_query(random), "in a block after a change");
    if (savepoint) send("ROLLBACK TO SAVEPOINT own");
    if (savepoint) check_against_bypass(*own_, query, "in a block after a savepoint");
  }
  send(end);
  check_against_bypass(*own_, query, "after a block");
  ++counts_.in_blocks;
}

}  // namespace pgcache::oracle
