// SPDX-License-Identifier: Apache-2.0
// Makes pgoutput messages byte by byte, as a walsender would send them: for tests of the decoder
// and of whatever stands behind it. Each function returns the payload of one XLogData message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "cdc/row_change.h"

namespace pgcache::cdc::testing {

// One column of a tuple on the wire. The views must outlive the call that they are given to.
struct WireCell {
  char kind = 'n';
  std::string_view bytes;
};
using WireRow = std::vector<WireCell>;

inline WireCell null() { return {'n', {}}; }
inline WireCell unchanged() { return {'u', {}}; }
inline WireCell text(std::string_view bytes) { return {'t', bytes}; }
inline WireCell binary(std::string_view bytes) { return {'b', bytes}; }

inline void append_cstring(std::string& out, std::string_view text) {
  out += text;
  out += '\0';
}

inline void append_tuple(std::string& out, char tag, const WireRow& row) {
  out += tag;
  append_be16(out, static_cast<std::uint16_t>(row.size()));
  for (const WireCell& cell : row) {
    out += cell.kind;
    if (cell.kind != 't' && cell.kind != 'b') continue;
    append_be32(out, static_cast<std::uint32_t>(cell.bytes.size()));
    out += cell.bytes;
  }
}

inline std::string begin(std::uint32_t xid, pg::Lsn final_lsn) {
  std::string out = "B";
  append_be64(out, final_lsn.value);
  append_be64(out, 0);
  append_be32(out, xid);
  return out;
}

inline std::string commit(pg::Lsn commit_lsn, pg::Lsn end_lsn) {
  std::string out = "C";
  out += '\0';
  append_be64(out, commit_lsn.value);
  append_be64(out, end_lsn.value);
  append_be64(out, 0);
  return out;
}

inline std::string origin(std::string_view name) {
  std::string out = "O";
  append_be64(out, 0);
  append_cstring(out, name);
  return out;
}

inline std::string type(pg::Oid oid, std::string_view schema, std::string_view name) {
  std::string out = "Y";
  append_be32(out, to_u32(oid));
  append_cstring(out, schema);
  append_cstring(out, name);
  return out;
}

inline std::string relation(const StreamRelation& r) {
  std::string out = "R";
  append_be32(out, to_u32(r.oid));
  append_cstring(out, r.schema == "pg_catalog" ? "" : r.schema);
  append_cstring(out, r.name);
  out += r.replica_identity;
  append_be16(out, static_cast<std::uint16_t>(r.columns.size()));
  for (const StreamColumn& column : r.columns) {
    out += column.is_key ? '\1' : '\0';
    append_cstring(out, column.name);
    append_be32(out, to_u32(column.type));
    append_be32(out, static_cast<std::uint32_t>(column.typmod));
  }
  return out;
}

inline std::string insert(pg::Oid relation, const WireRow& row) {
  std::string out = "I";
  append_be32(out, to_u32(relation));
  append_tuple(out, 'N', row);
  return out;
}

// An UPDATE that sends no old row.
inline std::string update(pg::Oid relation, const WireRow& new_row) {
  std::string out = "U";
  append_be32(out, to_u32(relation));
  append_tuple(out, 'N', new_row);
  return out;
}

// `tag` is 'K' (old key) or 'O' (whole old row, REPLICA IDENTITY FULL).
inline std::string update(pg::Oid relation, char tag, const WireRow& old_row,
                          const WireRow& new_row) {
  std::string out = "U";
  append_be32(out, to_u32(relation));
  append_tuple(out, tag, old_row);
  append_tuple(out, 'N', new_row);
  return out;
}

// Named so because delete is a word of the language.
inline std::string delete_row(pg::Oid relation, char tag, const WireRow& old_row) {
  std::string out = "D";
  append_be32(out, to_u32(relation));
  append_tuple(out, tag, old_row);
  return out;
}

inline std::string truncate(const std::vector<pg::Oid>& relations, std::uint8_t options = 0) {
  std::string out = "T";
  append_be32(out, static_cast<std::uint32_t>(relations.size()));
  out += static_cast<char>(options);
  for (const pg::Oid oid : relations) append_be32(out, to_u32(oid));
  return out;
}

inline std::string message(std::string_view prefix, std::string_view content,
                           bool transactional = true) {
  std::string out = "M";
  out += transactional ? '\1' : '\0';
  append_be64(out, 0);
  append_cstring(out, prefix);
  append_be32(out, static_cast<std::uint32_t>(content.size()));
  out += content;
  return out;
}

}  // namespace pgcache::cdc::testing
