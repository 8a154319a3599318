// SPDX-License-Identifier: Apache-2.0
#include "proxy/settings.h"

#include <array>
#include <charconv>

#include "base/bytes.h"
#include "origin/server_identity.h"

namespace pgcache::proxy {

namespace {

// The columns that have a meaning here, in front of those that only belong to the key.
enum Column : std::size_t {
  kSearchPath,
  kTemporary,
  kIsolation,
  kMode,
  kEncoding,
  kConformingStrings,
  kMessages,
  kSpecialColumns,
};

constexpr std::array kKeySettings = {
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "extra_float_digits",
    "bytea_output",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "xmloption",
    "xmlbinary",
    "row_security",
    "default_text_search_config",
    "array_nulls",
    "transform_null_equals",
    "backslash_quote",
    "escape_string_warning",
    "quote_all_identifiers",
    "gin_fuzzy_search_limit",
    "timezone_abbreviations",
};
constexpr std::size_t kRoleColumns = 3;  // and the database, behind the two roles
constexpr std::size_t kDatabase = kSpecialColumns + kRoleColumns - 1;

// Not part of the key: they change no answer. Behind all other columns: when the server was started
// (origin/events.h), the timeouts, the default isolation level.
constexpr std::array kTimeouts = {"statement_timeout", "idle_session_timeout",
                                  "idle_in_transaction_session_timeout", "transaction_timeout"};
constexpr std::size_t kSpareColumns = kTimeouts.size() + 2;

std::string build_query() {
  std::string sql =
      "SELECT pg_catalog.array_to_string(pg_catalog.current_schemas(true), pg_catalog.chr(1)), "
      "EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace "
      "OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) OR EXISTS (SELECT FROM "
      "pg_catalog.pg_type t WHERE t.typnamespace OPERATOR(pg_catalog.=) "
      "pg_catalog.pg_my_temp_schema()), "
      "pg_catalog.current_setting('transaction_isolation', true), "
      "pg_catalog.current_setting('pgcache.mode', true), "
      "pg_catalog.current_setting('client_encoding', true), "
      "pg_catalog.current_setting('standard_conforming_strings', true), "
      "pg_catalog.current_setting('client_min_messages', true), "
      "current_user, session_user, pg_catalog.current_database()";
  for (const char* name : kKeySettings) {
    sql += ", pg_catalog.current_setting('";
    sql += name;
    sql += "', true)";
  }
  sql += ", ";
  sql += origin::kServerStarted;
  for (const char* name : kTimeouts) {
    sql += ", pg_catalog.date_part('epoch', pg_catalog.current_setting('";
    sql += name;
    sql += "', true)::pg_catalog.interval)";
  }
  sql += ", pg_catalog.current_setting('default_transaction_isolation', true)";
  return sql;
}

// Seconds; anything else is no timeout.
Duration parse_timeout(const std::optional<std::string_view>& text) {
  double seconds = 0;
  if (text) std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (!(seconds > 0 && seconds < 1e8)) return Duration::zero();
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

bool is_read_committed(std::string_view level) {
  return level == "read committed" || level == "read uncommitted";
}

std::vector<std::string> split_schemas(std::string_view text) {
  std::vector<std::string> schemas;
  while (!text.empty()) {
    const std::size_t end = text.find('\x01');
    schemas.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return schemas;
}

}  // namespace

const std::string& settings_query() {
  static const std::string query = build_query();
  return query;
}

std::size_t settings_column_count() {
  return kSpecialColumns + kRoleColumns + kKeySettings.size() + kSpareColumns;
}

std::vector<std::string> key_setting_names() { return {kKeySettings.begin(), kKeySettings.end()}; }

std::uint64_t parse_started(std::string_view seconds) {
  std::uint64_t digits = 0;
  for (const char c : seconds) {
    if (c >= '0' && c <= '9') digits = digits * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return digits;
}

TransactionSettings transaction_settings(const std::vector<std::optional<std::string_view>>& row) {
  if (row.size() != settings_column_count()) return {};
  const std::size_t first = row.size() - kSpareColumns;
  TransactionSettings settings;
  settings.server_started = parse_started(row[first].value_or(std::string_view{}));
  settings.statement = parse_timeout(row[first + 1]);
  settings.idle_in_session = parse_timeout(row[first + 2]);
  settings.idle_in_transaction = parse_timeout(row[first + 3]);
  settings.whole_transaction = parse_timeout(row[first + 4]);
  settings.read_committed = row.back() && is_read_committed(*row.back());
  return settings;
}

SettingsPtr SettingsTable::intern(const std::vector<std::optional<std::string_view>>& row) {
  if (row.size() != settings_column_count()) return nullptr;
  for (const Column column :
       {kSearchPath, kTemporary, kIsolation, kEncoding, kConformingStrings, kMessages}) {
    if (!row[column]) return nullptr;
  }
  const auto append = [&row](std::string& to, std::size_t column) {
    const auto& value = row[column];
    append_be32(to, value ? static_cast<std::uint32_t>(value->size()) : 0xffffffff);
    if (value) to.append(*value);
  };
  std::string serialized;
  for (std::size_t i = 0; i + kSpareColumns < row.size(); ++i) append(serialized, i);
  const std::lock_guard lock(mutex_);
  if (const auto it = known_.find(serialized); it != known_.end()) return it->second;
  if (known_.size() >= kMax) return nullptr;
  auto settings = std::make_shared<SessionSettings>();
  settings->id = static_cast<std::uint32_t>(known_.size() + 1);
  settings->serialized = serialized;
  append(settings->forms, kEncoding);
  for (std::size_t i = 0; i < kKeySettings.size(); ++i) {
    append(settings->forms, kSpecialColumns + kRoleColumns + i);
  }
  settings->search_path = split_schemas(*row[kSearchPath]);
  settings->temporary_objects = *row[kTemporary] != "f";
  settings->read_committed = is_read_committed(*row[kIsolation]);
  settings->mode_off = row[kMode] && *row[kMode] == "off";
  settings->client_encoding = *row[kEncoding];
  settings->database = row[kDatabase].value_or(std::string_view{});
  settings->standard_conforming_strings = *row[kConformingStrings] == "on";
  settings->hears_log = *row[kMessages] == "log" || row[kMessages]->starts_with("debug");
  known_.emplace(std::move(serialized), settings);
  return settings;
}

}  // namespace pgcache::proxy
