// SPDX-License-Identifier: Apache-2.0
// System catalogs → pg::Catalog: a handful of set-based queries in one snapshot.
#include "origin/catalog_loader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "origin/catalog_draft.h"
#include "origin/catalog_locale.h"

namespace pgcache::origin {
namespace {

using pg::Oid;

// Lasting relations of user schemas: their columns are needed.
constexpr const char* kUserRelations =
    "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')"
    " AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    " AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast%'";

pg::Volatility to_volatility(char letter) {
  if (letter == 'i') return pg::Volatility::kImmutable;
  return letter == 's' ? pg::Volatility::kStable : pg::Volatility::kVolatile;
}

pg::Volatility weaker(pg::Volatility a, pg::Volatility b) {
  const auto rank = [](pg::Volatility v) {
    return v == pg::Volatility::kImmutable ? 0 : v == pg::Volatility::kStable ? 1 : 2;
  };
  return rank(a) >= rank(b) ? a : b;
}

int to_int(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The locale by which lower() and upper() go. What libc's locales are named by, ICU's were too
// before version 15.
std::string locale_of_database(int version) {
  if (version < 150000) return "datctype";
  const std::string other = version >= 170000 ? "datlocale" : "daticulocale";
  return "CASE datlocprovider WHEN 'c' THEN datctype::text ELSE " + other + "::text END";
}

std::string locale_of_collation(int version) {
  if (version < 150000) return "co.collctype";
  const std::string other = version >= 170000 ? "co.colllocale" : "co.colliculocale";
  return "CASE co.collprovider WHEN 'c' THEN co.collctype::text ELSE " + other + "::text END";
}

bool is_builtin_c(char provider, std::string_view locale) {
  return provider == kBuiltinProvider && locale == "C";
}

Step database_step(int version) {
  const std::string provider_column = version >= 150000 ? "datlocprovider" : "'c'";
  return {
      "SELECT datname, pg_encoding_to_char(encoding), current_setting('server_version_num'),"
      " datcollate IN ('C', 'POSIX'), " +
          provider_column + ", " + locale_of_database(version) +
          " FROM pg_database WHERE datname = current_database()",
      [](Draft& d, const Reply& r) {
        if (r.rows() != 1) return;
        d.catalog.set_database(std::string(r.text(0, 0)), std::string(r.text(0, 1)),
                               to_int(r.text(0, 2)));
        const char provider = r.letter(0, 4);
        d.default_collation_is_c =
            provider == kLibcProvider ? r.truth(0, 3) : is_builtin_c(provider, r.text(0, 5));
        d.catalog.set_default_is_c(d.default_collation_is_c);
        d.default_ascii_case = maps_ascii_as_english(provider, r.text(0, 5));
      }};
}

Step schemas_step() {
  return {
      "SELECT oid, nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_temp\\_%'"
      " AND nspname NOT LIKE 'pg\\_toast%'",
      [](Draft& d, const Reply& r) {
        for (int i = 0; i < r.rows(); ++i) {
          d.catalog.add_schema(r.oid(i, 0), std::string(r.text(i, 1)));
        }
      }};
}

void take_relations(Draft& d, const Reply& r) {
  for (int i = 0; i < r.rows(); ++i) {
    pg::Relation relation;
    relation.oid = r.oid(i, 0);
    relation.schema = r.oid(i, 1);
    relation.schema_name = r.text(i, 2);
    relation.name = r.text(i, 3);
    relation.kind = r.letter(i, 4);
    relation.persistence = r.letter(i, 5);
    relation.row_security = r.truth(i, 6);
    relation.has_rules = r.truth(i, 7);
    relation.has_triggers = r.truth(i, 8);
    relation.is_partition = r.truth(i, 9);
    relation.replica_identity = r.letter(i, 10);
    relation.has_replica_identity = relation.replica_identity == 'f';
    d.relations.emplace(relation.oid, std::move(relation));
  }
}

Step relations_step() {
  return {
      "SELECT c.oid, c.relnamespace, n.nspname, c.relname, c.relkind, c.relpersistence,"
      " c.relrowsecurity,"
      " c.relhasrules AND EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid"
      "   AND w.rulename <> '_RETURN'),"
      " c.relhastriggers AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid"
      "   AND NOT t.tgisinternal),"
      " c.relispartition, c.relreplident"
      " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
      " WHERE c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S')"
      " AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast%'",
      take_relations};
}

Step views_step() {
  return {
      "SELECT c.oid, pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n"
      " ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND c.relpersistence <> 't'"
      " AND n.nspname NOT IN ('pg_catalog', 'information_schema')",
      [](Draft& d, const Reply& r) {
        for (int i = 0; i < r.rows(); ++i) {
          pg::Relation* view = d.find_relation(r.oid(i, 0));
          if (view != nullptr) view->view_definition = r.text(i, 1);
        }
      }};
}

void take_column(Draft& d, const Reply& r, int i) {
  pg::Relation* relation = d.find_relation(r.oid(i, 0));
  if (relation == nullptr) return;
  pg::Column& column = relation->columns.emplace_back();
  column.attnum = static_cast<std::int16_t>(r.number(i, 1));
  column.name = r.text(i, 2);
  column.type = r.oid(i, 3);
  column.typmod = to_int(r.text(i, 4));
  column.not_null = r.truth(i, 5);
  column.collation = r.oid(i, 6);
  column.collation_deterministic = r.truth(i, 7);
  if (column.collation == pg::collation::kDefault) {
    column.collation_is_c = d.default_collation_is_c;
    column.ascii_case = d.default_ascii_case;
  } else if (column.collation != Oid::kInvalid) {
    const char provider = r.letter(i, 9);
    column.collation_is_c = r.truth(i, 8) || is_builtin_c(provider, r.text(i, 10));
    column.ascii_case = maps_ascii_as_english(provider, r.text(i, 10));
  }
}

Step columns_step(int version) {
  return {
      "SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,"
      " a.attnotnull, a.attcollation, coalesce(co.collisdeterministic, true),"
      " coalesce(co.collprovider = 'c' AND co.collcollate IN ('C', 'POSIX'), false),"
      " co.collprovider, " +
          locale_of_collation(version) +
          " FROM pg_attribute a LEFT JOIN pg_collation co ON co.oid = a.attcollation"
          " WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid IN (" +
          kUserRelations + ") ORDER BY a.attrelid, a.attnum",
      [](Draft& d, const Reply& r) {
        for (int i = 0; i < r.rows(); ++i) take_column(d, r, i);
      }};
}

// The index that identifies rows, as the server chooses it: a deferrable primary key does not
// count. From version 18 on an UPDATE fails when the identity holds a generated column, since
// publications leave those out by default.
Step identity_step(int version) {
  const std::string usable = version >= 180000 ? "a.attgenerated = ''" : "true";
  return {"SELECT i.indrelid, a.attname, " + usable +
              " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
              " CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)"
              " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum"
              " WHERE i.indisvalid AND i.indimmediate AND i.indisunique AND i.indpred IS NULL"
              " AND k.place <= i.indnkeyatts AND ((c.relreplident = 'd' AND i.indisprimary)"
              " OR (c.relreplident = 'i' AND i.indisreplident))"
              " AND c.relpersistence <> 't' ORDER BY i.indrelid, k.place",
          [](Draft& d, const Reply& r) {
            std::vector<Oid> unusable;
            for (int i = 0; i < r.rows(); ++i) {
              const auto it = d.relations.find(r.oid(i, 0));
              if (it == d.relations.end()) continue;
              it->second.has_replica_identity = true;
              it->second.key_columns.emplace_back(r.text(i, 1));
              if (!r.truth(i, 2)) unusable.push_back(r.oid(i, 0));
            }
            for (const Oid oid : unusable) {
              d.relations.at(oid).has_replica_identity = false;
              d.relations.at(oid).key_columns.clear();
            }
          }};
}

// Version 18: REPLICA IDENTITY FULL covers generated columns, with the same effect.
Step full_identity_step() {
  return {
      "SELECT DISTINCT a.attrelid FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
      " WHERE c.relreplident = 'f' AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> "
      "''",
      [](Draft& d, const Reply& r) {
        for (int i = 0; i < r.rows(); ++i) {
          const auto it = d.relations.find(r.oid(i, 0));
          if (it != d.relations.end()) it->second.has_replica_identity = false;
        }
      }};
}

Step inheritance_step() {
  return {"SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno",
          [](Draft& d, const Reply& r) {
            for (int i = 0; i < r.rows(); ++i) {
              const auto it = d.relations.find(r.oid(i, 0));
              if (it != d.relations.end()) it->second.parents.push_back(r.oid(i, 1));
            }
          }};
}

Step types_step() {
  return {
      "SELECT t.oid, t.typnamespace, t.typname, t.typtype, t.typbasetype, e.oid, t.typarray,"
      " t.typrelid, (SELECT max(p.provolatile::text COLLATE \"C\") FROM pg_proc p"
      "   WHERE p.oid IN (t.typinput, t.typoutput, t.typsend, t.typreceive)), t.typtypmod"
      " FROM pg_type t LEFT JOIN pg_type e ON e.typarray = t.oid"
      " JOIN pg_namespace n ON n.oid = t.typnamespace"
      " WHERE n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast%'",
      [](Draft& d, const Reply& r) {
        for (int i = 0; i < r.rows(); ++i) {
          pg::Type type;
          type.oid = r.oid(i, 0);
          type.schema = r.oid(i, 1);
          type.name = r.text(i, 2);
          type.kind = r.letter(i, 3);
          type.base = r.oid(i, 4);
          type.element = r.oid(i, 5);
          type.array = r.oid(i, 6);
          type.relation = r.oid(i, 7);
          type.io_volatility = to_volatility(r.letter(i, 8));
          type.base_typmod = to_int(r.text(i, 9));
          d.types.emplace(type.oid, std::move(type));
        }
      }};
}

Step labels_step() {
  return {"SELECT enumtypid, enumlabel FROM pg_enum ORDER BY enumtypid, enumsortorder",
          [](Draft& d, const Reply& r) {
            for (int i = 0; i < r.rows(); ++i) {
              const auto it = d.types.find(r.oid(i, 0));
              if (it != d.types.end()) it->second.labels.emplace_back(r.text(i, 1));
            }
          }};
}

Step functions_step() {
  return {
      "SELECT p.oid, p.pronamespace, p.proname, p.prokind, p.provolatile, p.proargtypes,"
      " p.provariadic, p.pronargdefaults, p.prorettype, p.proretset,"
      " CASE WHEN p.oid >= 16384 AND p.pronargdefaults > 0 THEN " +
          may_vary("p.proargdefaults") + " ELSE false END FROM pg_proc p",
      [](Draft& d, const Reply& r) {
        for (int i = 0; i < r.rows(); ++i) {
          pg::Function function;
          function.oid = r.oid(i, 0);
          function.schema = r.oid(i, 1);
          function.name = r.text(i, 2);
          function.kind = r.letter(i, 3);
          function.volatility = to_volatility(r.letter(i, 4));
          function.args = parse_oids(r.text(i, 5));
          function.variadic = r.oid(i, 6);
          function.default_args = to_int(r.text(i, 7));
          function.result = r.oid(i, 8);
          function.returns_set = r.truth(i, 9);
          function.defaults_vary = r.truth(i, 10);
          d.catalog.add_function(std::move(function));
        }
      }};
}

Step operators_step() {
  return {
      "SELECT oid, oprnamespace, oprname, oprleft, oprright, oprresult, oprcode::oid"
      " FROM pg_operator",
      [](Draft& d, const Reply& r) {
        for (int i = 0; i < r.rows(); ++i) {
          pg::Operator op;
          op.oid = r.oid(i, 0);
          op.schema = r.oid(i, 1);
          op.name = r.text(i, 2);
          op.left = r.oid(i, 3);
          op.right = r.oid(i, 4);
          op.result = r.oid(i, 5);
          op.function = r.oid(i, 6);
          d.catalog.add_operator(std::move(op));
        }
      }};
}

Step casts_step() {
  return {"SELECT castsource, casttarget, castfunc, castmethod, castcontext FROM pg_cast",
          [](Draft& d, const Reply& r) {
            for (int i = 0; i < r.rows(); ++i) {
              d.catalog.add_cast({.source = r.oid(i, 0),
                                  .target = r.oid(i, 1),
                                  .function = r.oid(i, 2),
                                  .method = r.letter(i, 3),
                                  .context = r.letter(i, 4)});
            }
          }};
}

// Arrays, domains and rows read and write their parts: no better than the weakest of these. `depth`
// bounds the walk; nobody nests types that deep, so running out of it counts as volatile.
pg::Volatility io_volatility(const Draft& draft, Oid oid, int depth) {
  const auto it = draft.types.find(oid);
  if (it == draft.types.end() || depth == 0) return pg::Volatility::kVolatile;
  const pg::Type& type = it->second;
  pg::Volatility result = type.io_volatility;
  if (type.element != Oid::kInvalid) {
    result = weaker(result, io_volatility(draft, type.element, depth - 1));
  }
  if (type.base != Oid::kInvalid) {
    result = weaker(result, io_volatility(draft, type.base, depth - 1));
  }
  if (type.relation != Oid::kInvalid) {
    const auto relation = draft.relations.find(type.relation);
    if (relation == draft.relations.end()) return pg::Volatility::kVolatile;
    for (const pg::Column& column : relation->second.columns) {
      result = weaker(result, io_volatility(draft, column.type, depth - 1));
    }
  }
  return result;
}

std::shared_ptr<const pg::Catalog> assemble(Draft draft) {
  std::vector<std::pair<Oid, pg::Volatility>> volatilities;
  volatilities.reserve(draft.types.size());
  for (const auto& [oid, type] : draft.types) {
    volatilities.emplace_back(oid, io_volatility(draft, oid, 16));
  }
  for (const auto& [oid, volatility] : volatilities) {
    draft.types.at(oid).io_volatility = volatility;
  }
  for (auto& [oid, type] : draft.types) draft.catalog.add_type(std::move(type));
  for (auto& [oid, relation] : draft.relations) draft.catalog.add_relation(std::move(relation));
  draft.catalog.finish();
  return std::make_shared<const pg::Catalog>(std::move(draft.catalog));
}

Status run_steps(Link& link, ViewDefinitions views, Draft& draft) {
  const int version = link.server_version();
  std::vector<Step> steps{database_step(version), schemas_step(), relations_step(),
                          columns_step(version), identity_step(version)};
  if (version >= 180000) steps.push_back(full_identity_step());
  for (Step (*step)() :
       {inheritance_step, types_step, labels_step, functions_step, operators_step, casts_step}) {
    steps.push_back(step());
  }
  for (Step& step : write_steps()) steps.push_back(std::move(step));
  // Definitions lock the tables that they name until the end: so they come last.
  for (Step& step : guarantee_steps(version, views)) steps.push_back(std::move(step));
  if (views == ViewDefinitions::kRead) steps.push_back(views_step());
  for (const Step& step : steps) {
    const Reply reply = link.query(step.query);
    if (!reply.ok()) return Error{"cannot read the origin's catalog: " + reply.failure().message};
    step.take(draft, reply);
  }
  return {};
}

}  // namespace

Result<LoadedCatalog> load_catalog(Link& link, ViewDefinitions views) {
  const Reply begin = link.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  if (!begin.ok()) return Error{"cannot read the origin's catalog: " + begin.failure().message};
  Result<CatalogState> state = read_catalog_state(link);
  Result<CatalogParts> parts = state.ok() ? read_catalog_parts(link) : state.error();
  Draft draft;
  Status read = parts.ok() ? run_steps(link, views, draft) : Status(parts.error());
  const Reply end = link.query("COMMIT");
  if (!read.ok()) return read.error();
  if (!end.ok()) return Error{"cannot read the origin's catalog: " + end.failure().message};
  return LoadedCatalog{assemble(std::move(draft)), std::move(*state), std::move(*parts)};
}

}  // namespace pgcache::origin
