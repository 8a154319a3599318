// SPDX-License-Identifier: Apache-2.0
// A session's settings, as the origin tells them: everything besides the statement that can change
// the bytes of an answer or the meaning of a name. Asked for by one query on the session's own
// connection whenever they may have changed; never emulated.
//
// Equal settings get the same id, for the life of the process, so that result keys hold a number
// that stands for the whole text (compared whole when the id is given out).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"

namespace pgcache::proxy {

struct SessionSettings {
  std::uint32_t id = 0;
  std::string serialized;                // all values, in the order of the query
  std::string forms;                     // those values that give rows their form
  std::vector<std::string> search_path;  // resolved schema names, implicit ones included
  std::string client_encoding;
  std::string database;
  bool standard_conforming_strings = true;
  bool read_committed = true;      // transaction_isolation
  bool temporary_objects = false;  // the session owns temporary tables or types
  bool mode_off = false;           // pgcache.mode = off
  bool hears_log = false;          // client_min_messages: of each statement, perhaps
};
using SettingsPtr = std::shared_ptr<const SessionSettings>;

// The query; its answer is one row with settings_column_count() columns, all text.
const std::string& settings_query();
std::size_t settings_column_count();

// The settings whose values are part of the result key as they stand.
std::vector<std::string> key_setting_names();

// What the same row tells of transactions to come. How long the origin lets them, the session, and
// a statement be; zero: for ever.
struct TransactionSettings {
  Duration idle_in_session{};
  Duration idle_in_transaction{};
  Duration whole_transaction{};
  Duration statement{};
  bool read_committed = false;       // default_transaction_isolation
  std::uint64_t server_started = 0;  // tells one server from another

  bool limited() const {
    constexpr Duration kNone = Duration::zero();
    return idle_in_session > kNone || idle_in_transaction > kNone || whole_transaction > kNone;
  }
};
// The digits of a number of seconds; 0: none.
std::uint64_t parse_started(std::string_view seconds);
TransactionSettings transaction_settings(const std::vector<std::optional<std::string_view>>& row);

class SettingsTable {
 public:
  // Any thread. Nothing when the row has not the form that settings_query() asks for. The number of
  // different settings is bounded: beyond it, nothing is handed out (the caller does not cache).
  SettingsPtr intern(const std::vector<std::optional<std::string_view>>& row);

 private:
  static constexpr std::size_t kMax = 100000;
  std::mutex mutex_;
  std::unordered_map<std::string, SettingsPtr, StringHash, std::equal_to<>> known_;
};

}  // namespace pgcache::proxy
