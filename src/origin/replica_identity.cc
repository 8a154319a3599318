// SPDX-License-Identifier: Apache-2.0
// REPLICA IDENTITY FULL for the tables of the publication.
#include "origin/replica_identity.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace pgcache::origin {
namespace {

using pg::Oid;
using Kind = RaiseAnswer::Kind;

// The publication's comment: this, and the tables with what they had before, separated by blanks:
// "16401:d 16405:n 16411:i:16415" (default, nothing, the index 16415).
constexpr std::string_view kNotePrefix = "pgcache set REPLICA IDENTITY FULL: ";
constexpr std::size_t kNoteBytesMax = 64u << 10;

std::string number(Oid oid) { return std::to_string(pg::to_u32(oid)); }

std::string qualified_name(const pg::Relation& relation) {
  return quote_identifier(relation.schema_name) + "." + quote_identifier(relation.name);
}

std::vector<Oid> line_of(const pg::Catalog& catalog, Oid relation) {
  std::vector<Oid> line = catalog.ancestors_of(relation);
  line.push_back(relation);
  return line;
}

std::string list_of(const std::vector<Oid>& oids) {
  std::string out;
  for (const Oid oid : oids) out += (out.empty() ? "" : ", ") + number(oid);
  return out;
}

// What speaks against it, asked while the table is locked: another publication's column list or,
// from version 18 on, a generated column would not cover the identity, and UPDATEs would fail. And
// what the identity was before, for the note.
std::string question(int version, const config::Config& config, const pg::Catalog& catalog,
                     const pg::Relation& table) {
  const std::string oid = number(table.oid);
  const std::string lists =
      version >= 150000
          ? "(SELECT string_agg(DISTINCT quote_ident(p.pubname), ', ') FROM pg_publication_rel r"
            " JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prattrs IS NOT NULL"
            " AND r.prrelid IN (" +
                list_of(line_of(catalog, table.oid)) + "))"
          : "NULL::text";
  const std::string generated =
      version >= 180000 ? "EXISTS (SELECT FROM pg_attribute WHERE attrelid = " + oid +
                              " AND attnum > 0 AND NOT attisdropped AND attgenerated <> '')"
                        : "false";
  return "SELECT " + lists + ", " + generated + ", c.relreplident, " +
         "(SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident),"
         " (SELECT obj_description(oid, 'pg_publication') FROM pg_publication WHERE pubname = " +
         quote_literal(config.publication) + ") FROM pg_class c WHERE c.oid = " + oid +
         " AND to_regclass(" + quote_literal(qualified_name(table)) + ") = c.oid";
}

std::optional<std::string> obstacle(const Reply& reply, const std::string& name) {
  if (!reply.text(0, 0).empty()) {
    return "publication " + std::string(reply.text(0, 0)) + " has a column list for " + name +
           ", which would not cover the identity; publish all its columns there first";
  }
  if (reply.truth(0, 1)) {
    return name +
           " has generated columns, which publications leave out; UPDATE would fail with REPLICA "
           "IDENTITY FULL";
  }
  return std::nullopt;
}

// The statement that adds the table to the note; empty when there is a comment of somebody else.
std::string note_statement(const config::Config& config, const Reply& reply, Oid table) {
  std::string note(reply.text(0, 4));
  if (note.empty()) {
    note = kNotePrefix;
  } else if (note.starts_with(kNotePrefix) && note.size() < kNoteBytesMax) {
    note += " ";
  } else {
    return {};
  }
  note += number(table) + ":" + reply.letter(0, 2);
  if (!reply.text(0, 3).empty()) note += ":" + std::string(reply.text(0, 3));
  return "COMMENT ON PUBLICATION " + quote_identifier(config.publication) + " IS " +
         quote_literal(note);
}

RaiseAnswer answer_for(const Failure& failure, const std::string& name) {
  // lock_not_available, query_canceled, deadlock_detected, internal_error (a row changed under it),
  // undefined_table (gone: the catalog will tell)
  for (const char* passing : {"55P03", "57014", "40P01", "XX000", "42P01"}) {
    if (failure.sqlstate == passing) return {Kind::kRetry, {}};
  }
  const std::string statement = "ALTER TABLE " + name + " REPLICA IDENTITY FULL";
  const bool privilege = failure.sqlstate == "42501";
  return {Kind::kRefused,
          failure.message + (privilege ? "; as its owner: " : "; by hand: ") + statement};
}

RaiseAnswer raise_in_transaction(Link& link, const config::Config& config,
                                 const pg::Catalog& catalog, const pg::Relation& table) {
  const std::string name = qualified_name(table);
  // The answer comes from behind the lock, but from before the change.
  Reply reply = link.query("BEGIN; SET LOCAL lock_timeout = '100ms'; LOCK TABLE ONLY " + name +
                           " IN ACCESS EXCLUSIVE MODE");
  if (!reply.ok()) return answer_for(reply.failure(), name);
  reply = link.query(question(link.server_version(), config, catalog, table));
  if (!reply.ok()) return answer_for(reply.failure(), name);
  if (reply.rows() != 1) return {Kind::kRetry, {}};           // renamed meanwhile
  if (reply.letter(0, 2) == 'f') return {Kind::kRaised, {}};  // its owner was faster
  if (const auto why = obstacle(reply, name)) return {Kind::kRefused, *why};
  const std::string note = note_statement(config, reply, table.oid);
  reply = link.query("ALTER TABLE ONLY " + name + " REPLICA IDENTITY FULL; " + note);
  if (!reply.ok()) return answer_for(reply.failure(), name);
  reply = link.query("COMMIT");
  if (!reply.ok()) return answer_for(reply.failure(), name);
  return {Kind::kRaised, {}};
}

struct Noted {
  std::string table;  // oid
  char before = 'd';
  std::string index;  // oid
};

std::vector<Noted> read_note(std::string_view note) {
  std::vector<Noted> out;
  if (!note.starts_with(kNotePrefix)) return out;
  note.remove_prefix(kNotePrefix.size());
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  while (!note.empty()) {
    const std::size_t end = std::min(note.find(' '), note.size());
    const std::string_view item = note.substr(0, end);
    note.remove_prefix(std::min(end + 1, note.size()));
    const std::size_t colon = item.find(':');
    if (colon == std::string_view::npos || colon + 1 >= item.size()) continue;
    Noted one{std::string(item.substr(0, colon)), item[colon + 1], {}};
    if (colon + 3 < item.size()) one.index = item.substr(colon + 3);
    if (is_number(one.table) && (one.index.empty() || is_number(one.index))) out.push_back(one);
  }
  return out;
}

std::string undo_clause(const Noted& noted, std::string_view index_name) {
  if (noted.before == 'n') return "NOTHING";
  if (noted.before == 'i' && !index_name.empty()) return "USING INDEX " + std::string(index_name);
  return "DEFAULT";
}

}  // namespace

std::vector<Oid> tables_to_raise(const config::Config& config, const pg::Catalog& catalog,
                                 const PublicationState& state, Oid relation) {
  std::vector<Oid> out;
  if (config.replica_identity != "full" || !config.manage_publication || state.all_tables) {
    return out;
  }
  const pg::Relation* asked = catalog.find_relation(relation);
  if (asked == nullptr) return out;
  std::vector<Oid> tables{relation};
  if (asked->kind == 'p') tables = asked->descendants;
  for (const Oid oid : tables) {
    const pg::Relation* table = catalog.find_relation(oid);
    if (table == nullptr || table->kind != 'r' || table->replica_identity == 'f') continue;
    if (denied_by_configuration(config, *table) || !covers(state, catalog, oid)) continue;
    const std::vector<Oid> line = line_of(catalog, oid);
    const bool member =
        std::any_of(line.begin(), line.end(), [&](Oid one) { return state.members.contains(one); });
    if (member) out.push_back(oid);
  }
  return out;
}

RaiseAnswer raise_identity(Link& link, const config::Config& config, const pg::Catalog& catalog,
                           Oid table) {
  const pg::Relation* relation = catalog.find_relation(table);
  if (relation == nullptr) return {Kind::kRefused, "the table is gone"};
  RaiseAnswer answer = raise_in_transaction(link, config, catalog, *relation);
  const bool open = PQtransactionStatus(link.raw()) != PQTRANS_IDLE;
  if (!link.lost() && open && !link.query("ROLLBACK").ok()) link.mark_lost();
  return answer;
}

Result<std::vector<RaisedTable>> raised_tables(Link& link, const std::string& publication) {
  const Reply note = link.query(
      "SELECT obj_description(oid, 'pg_publication') FROM pg_publication WHERE pubname = " +
      quote_literal(publication));
  if (!note.ok()) return Error{"cannot read the publication: " + note.failure().message};
  std::vector<RaisedTable> out;
  if (note.rows() == 0) return out;
  for (const Noted& noted : read_note(note.text(0, 0))) {
    const std::string index =
        noted.index.empty()
            ? "NULL"
            : "(SELECT format('%I', relname) FROM pg_class WHERE oid = " + noted.index + ")";
    const Reply table = link.query(
        "SELECT format('%I.%I', n.nspname, c.relname), " + index +
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relreplident = 'f'"
        " AND c.oid = " +
        noted.table);
    if (!table.ok()) return Error{"cannot read the tables: " + table.failure().message};
    if (table.rows() == 0) continue;
    const std::string name(table.text(0, 0));
    out.push_back({name, "ALTER TABLE " + name + " REPLICA IDENTITY " +
                             undo_clause(noted, table.text(0, 1))});
  }
  return out;
}

}  // namespace pgcache::origin
