// SPDX-License-Identifier: Apache-2.0
#include "consistency/stage.h"

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <utility>

#include "consistency/registers.h"
#include "support/pq.h"

namespace pgcache::consistency {

namespace {

constexpr int kSettleMs = 30000;
// An answer of /readyz at a level that forwards all reads.
constexpr const char* kForwardsAll = "reads are forwarded";

std::vector<std::string> with(std::vector<std::string> lines,
                              const std::vector<std::string>& more) {
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

void sleep_ms(std::uint64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// How long something stands still.
void sleep_for_a_while(std::mt19937_64& random) {
  sleep_ms(100 + random() % (random() % 3 == 0 ? 3500 : 700));
}

}  // namespace

const char* name_of(Fault fault) {
  static constexpr const char* kNames[kFaults] = {"stream ended by the origin",
                                                  "stream broken",
                                                  "control connection broken",
                                                  "sessions broken",
                                                  "stream stalled",
                                                  "control connection stalled",
                                                  "everything stalled",
                                                  "origin restarted fast",
                                                  "origin restarted immediately",
                                                  "origin killed",
                                                  "a backend killed",
                                                  "pgcache killed",
                                                  "pgcache restarted",
                                                  "pgcache frozen",
                                                  "origin reloaded"};
  return kNames[static_cast<std::size_t>(fault)];
}

Stage::Stage(const StageOptions& options)
    : cluster_({.conf = with({"max_prepared_transactions = 40", "max_connections = 200",
                              "wal_writer_delay = 1s"},
                             options.conf),
                .hba = {},
                .autovacuum = false}),
      relay_(cluster_.port(), kMarker) {
  testing::Connection(cluster_.dsn()).must(schema());
  testing::PgcacheOptions pgcache;
  pgcache.origin = "postgresql://postgres@127.0.0.1:" + std::to_string(relay_.port()) +
                   "/postgres?sslmode=disable";
  pgcache.binary = options.binary;
  pgcache.environment = options.environment;
  pgcache.arguments = with(
      {"--consistency", name_of(options.level), "--heartbeat-interval", "30ms", "--max-staleness",
       std::to_string(options.max_staleness_ms) + "ms", "--catalog-poll-interval", "200ms",
       "--workers", "2", "--max-transaction-size", "512KiB", "--transaction-log-size", "1MiB"},
      options.arguments);
  pgcache.wait_ready = false;
  pgcache_ = std::make_unique<testing::PgcacheProcess>(std::move(pgcache));
  for (const std::string& line : options.conf_later) cluster_.append_conf(line);
  cluster_.reload();
  settle();
}

void Stage::at_origin(const std::string& sql) {
  testing::connect_within(cluster_.dsn(), kSettleMs).query(sql);
}

void Stage::stall(std::vector<Peer> peers, std::mt19937_64& random) {
  for (const Peer peer : peers) relay_.stall(peer, true);
  sleep_for_a_while(random);
  for (const Peer peer : peers) relay_.stall(peer, false);
}

void Stage::restart_origin(Fault fault, std::mt19937_64& random) {
  if (fault == Fault::kOriginKilled) {
    cluster_.kill9();
  } else {
    cluster_.stop(fault == Fault::kOriginFast ? testing::StopMode::kFast
                                              : testing::StopMode::kImmediate);
  }
  sleep_ms(random() % 400);
  cluster_.start();
}

void Stage::restart_pgcache(Fault fault, std::mt19937_64& random) {
  if (fault == Fault::kPgcacheKilled) {
    pgcache_->kill9();
  } else {
    pgcache_->stop();
  }
  sleep_ms(random() % 300);
  pgcache_->start();
}

void Stage::inject(Fault fault, std::mt19937_64& random, std::vector<Incident>& incidents) {
  incidents.push_back({now_ns(), name_of(fault)});
  switch (fault) {
    case Fault::kCutStream:
      at_origin("SELECT pg_terminate_backend(pid) FROM pg_stat_replication");
      break;
    case Fault::kBreakStream:
      relay_.cut(Peer::kStream);
      break;
    case Fault::kBreakControl:
      relay_.cut(Peer::kControl);
      break;
    case Fault::kBreakClients:
      relay_.cut(Peer::kClient);
      break;
    case Fault::kStallStream:
      stall({Peer::kStream}, random);
      break;
    case Fault::kStallControl:
      stall({Peer::kControl}, random);
      break;
    case Fault::kStallEverything:
      stall({Peer::kStream, Peer::kControl, Peer::kClient}, random);
      break;
    case Fault::kOriginFast:
    case Fault::kOriginImmediate:
    case Fault::kOriginKilled:
      restart_origin(fault, random);
      break;
    case Fault::kBackendKilled: {
      const testing::Connection victim = testing::connect_within(cluster_.dsn(), kSettleMs);
      kill(victim.backend_pid(), SIGKILL);
      sleep_ms(100);  // until the postmaster has noticed
      break;
    }
    case Fault::kPgcacheKilled:
    case Fault::kPgcacheStopped:
      restart_pgcache(fault, random);
      break;
    case Fault::kPgcacheFrozen:
      kill(pgcache_->pid(), SIGSTOP);
      sleep_for_a_while(random);
      kill(pgcache_->pid(), SIGCONT);
      break;
    case Fault::kOriginReloaded:
      cluster_.reload();
      break;
  }
  incidents.push_back({now_ns(), std::string("end of: ") + name_of(fault)});
}

void Stage::heal() {
  std::string why;
  const bool gone = testing::wait_until(
      [&] {
        try {
          return end_transactions();
        } catch (const std::exception& error) {
          why = error.what();  // it is still recovering
          return false;
        }
      },
      kSettleMs);
  if (!gone) throw std::runtime_error("clients' transactions do not end at the origin: " + why);
}

// False: some client is still there.
bool Stage::end_transactions() {
  testing::Connection origin = testing::connect_within(cluster_.dsn(), kSettleMs);
  const std::string clients =
      "FROM pg_stat_activity WHERE application_name LIKE 'checker%' AND pid <> pg_backend_pid()";
  origin.must("SELECT pg_terminate_backend(pid) " + clients);
  if (origin.must("SELECT count(*) " + clients).value() != "0") return false;
  const testing::QueryResult prepared = origin.must("SELECT gid FROM pg_prepared_xacts");
  for (const testing::Row& row : prepared.rows) {
    origin.must("ROLLBACK PREPARED '" + row[0].value_or("") + "'");
  }
  return true;
}

bool Stage::settle() {
  bool forwards_all = false;
  const bool answered = testing::wait_until(
      [&] {
        const testing::HttpAnswer ready = pgcache_->http("/readyz");
        forwards_all = ready.body.find(kForwardsAll) != std::string::npos;
        return ready.status == 200 || forwards_all;
      },
      kSettleMs);
  if (!answered) {
    throw std::runtime_error("pgcache does not serve again: " + pgcache_->http("/readyz").body +
                             "\n" + pgcache_->log_tail());
  }
  if (forwards_all) return false;
  testing::Connection origin = testing::connect_within(cluster_.dsn(), kSettleMs);
  // A commit of our own makes sure that what was committed before is flushed with whole records.
  origin.must("SELECT pg_logical_emit_message(true, 'checker', 'settle')");
  pgcache_->settle(cluster_.dsn(), kSettleMs);
  return true;
}

}  // namespace pgcache::consistency
