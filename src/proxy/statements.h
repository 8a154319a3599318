// SPDX-License-Identifier: Apache-2.0
// The statements that a session has prepared by protocol messages, as far as pgcache knows them.
// A name that is not here is simply forwarded. One session; one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "cache/shape_table.h"
#include "proxy/effects.h"
#include "proxy/settings.h"
#include "sql/shape.h"

namespace pgcache::proxy {

// What a Parse says, and what its text alone tells. Shared by the statements of one text.
struct StatementText {
  std::string sql;
  std::string parameter_types_be;  // as Parse declared them
  std::vector<pg::Oid> parameter_types;
  Lead lead = Lead::kUtility;
  bool copies = false;             // a COPY
  sql::StatementShape shape;       // empty for a text beyond max_query_size
  bool scanned_conforming = true;  // the setting that `shape` was scanned under
};

struct Statement {
  std::shared_ptr<const StatementText> text;
  bool at_origin = false;  // the origin has it under this name
  // The origin has it since its result has another type than the client knows: of no use any more.
  bool changed = false;
  // As what its result was described when it was prepared (RowDescription or NoData, in any
  // formats); empty: not known.
  std::string described;
  // The catalog's generation under which the origin last accepted it. In a later one its result
  // type may have changed: then the origin has to say "cached plan must not change result type".
  std::uint64_t accepted_generation = 0;
  std::uint64_t accepted_doubts = 0;  // Session::doubts_ then
  // PostgreSQL keeps the parse and the parameter types of the moment of Parse; later changes of the
  // catalog, the search path or the string rule do not reach them. What they were made of:
  std::uint64_t parsed_generation = 0;
  SettingsPtr parsed_settings;                       // null: not known (yet)
  std::uint64_t parsed_at_disturbance = 0;           // Session::disturbances_ then
  std::optional<std::vector<pg::Oid>> parsed_types;  // as inferred then; nothing: not known
  // Memo of the analysis; valid while generation and settings are the same.
  cache::ShapePtr analysed;
  std::uint32_t analysed_settings = 0;
};
using StatementPtr = std::shared_ptr<Statement>;

class StatementTable {
 public:
  static constexpr std::size_t kMax = 10000;  // more are forwarded, not remembered

  StatementPtr find(std::string_view name) const {
    if (name.empty()) return unnamed_;
    const auto it = named_.find(significant(name));
    return it == named_.end() ? nullptr : it->second;
  }
  void put(std::string_view name, StatementPtr statement) {
    if (name.empty()) {
      unnamed_ = std::move(statement);
    } else if (named_.size() < kMax) {
      named_.insert_or_assign(std::string(significant(name)), std::move(statement));
    } else {
      erase(name);
    }
  }
  void erase(std::string_view name) {
    if (name.empty()) {
      unnamed_ = nullptr;
    } else if (const auto it = named_.find(significant(name)); it != named_.end()) {
      named_.erase(it);
    }
  }
  bool has_room_for(std::size_t more) const { return named_.size() + more <= kMax; }
  void clear_named() { named_.clear(); }
  void clear() {
    unnamed_ = nullptr;
    named_.clear();
  }

 private:
  // PostgreSQL tells names apart by so many bytes (NAMEDATALEN - 1).
  static std::string_view significant(std::string_view name) { return name.substr(0, 63); }

  StatementPtr unnamed_;
  std::unordered_map<std::string, StatementPtr, StringHash, std::equal_to<>> named_;
};

}  // namespace pgcache::proxy
