// SPDX-License-Identifier: Apache-2.0
// The catalog snapshot: what the origin's system catalogs said at one moment, as immutable values.
// Built by origin/catalog_loader, read by sql (name resolution, volatility) and cache. Shared by
// std::shared_ptr<const Catalog> between the control thread that makes it and every thread that
// reads it; never changed after finish().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "pg/ids.h"

namespace pgcache::pg {

struct Column {
  std::int16_t attnum = 0;
  std::string name;
  Oid type = Oid::kInvalid;  // as declared; domains are not unwrapped
  std::int32_t typmod = -1;
  bool not_null = false;
  Oid collation = Oid::kInvalid;  // invalid for types without one
  bool collation_deterministic = true;
  bool collation_is_c = false;  // order is bytewise (C, POSIX, or a default that is one of them)
  bool ascii_case = false;      // lower() and upper() treat ASCII letters as in English
};

// A unique index that certainly holds at every moment: valid, immediate, without a predicate, over
// plain columns compared by their default operators.
struct UniqueKey {
  std::vector<std::string> columns;
};

// A foreign key that certainly holds between transactions: validated, enforced, its triggers
// enabled.
struct ForeignKey {
  std::vector<std::string> columns;
  Oid referenced = Oid::kInvalid;
  std::vector<std::string> referenced_columns;
};

struct Relation {
  Oid oid = Oid::kInvalid;
  Oid schema = Oid::kInvalid;
  std::string schema_name;
  std::string name;
  char kind = 'r';            // pg_class.relkind: r p v m f t S c i I
  char persistence = 'p';     // pg_class.relpersistence: p u t
  bool row_security = false;  // pg_class.relrowsecurity
  bool has_rules = false;     // rules other than a view's _RETURN
  bool has_triggers = false;  // triggers of users (not those that enforce foreign keys)
  bool is_partition = false;
  char replica_identity = 'd';           // pg_class.relreplident: d n f i
  bool has_replica_identity = false;     // FULL, or a primary key / identity index that exists
  std::vector<Column> columns;           // live columns in attnum order
  std::vector<std::string> key_columns;  // of the replica identity ('d','i'); empty for FULL
  std::vector<Oid> parents;              // direct inheritance or partition parents
  std::vector<Oid> descendants;          // all levels, without itself
  std::string view_definition;           // pg_get_viewdef, for kind 'v'
  std::vector<UniqueKey> unique_keys;
  std::vector<ForeignKey> foreign_keys;
  std::vector<std::string>
      checks;  // validated CHECK constraints, as SQL expressions on its columns
  std::string partition_constraint;  // what every row of a partition fulfils; empty when not known
  // Tables with a foreign key to this one, and those of them whose rows a DELETE or UPDATE here may
  // change or delete (CASCADE, SET NULL, SET DEFAULT).
  std::vector<Oid> referrers;
  std::vector<Oid> acted_upon;
  // A default or CHECK constraint of the table itself calls what a user has written and not
  // declared IMMUTABLE, or a built-in function that may do anything.
  bool writes_run_code = false;

  const Column* find_column(std::string_view column) const;
  // Its place among `columns`.
  std::optional<std::uint32_t> column_number(std::string_view column) const;
};

enum class Volatility : char { kImmutable = 'i', kStable = 's', kVolatile = 'v' };

struct Function {
  Oid oid = Oid::kInvalid;
  Oid schema = Oid::kInvalid;
  std::string name;
  char kind = 'f';  // pg_proc.prokind: f a w p
  Volatility volatility = Volatility::kVolatile;
  std::vector<Oid> args;         // input arguments
  Oid variadic = Oid::kInvalid;  // element type when the last argument is VARIADIC
  int default_args = 0;          // how many trailing arguments have defaults
  bool defaults_vary = false;    // of a user's: these may call what is not IMMUTABLE
  Oid result = Oid::kInvalid;
  bool returns_set = false;
};

struct Operator {
  Oid oid = Oid::kInvalid;
  Oid schema = Oid::kInvalid;
  std::string name;
  Oid left = Oid::kInvalid;  // invalid for prefix operators
  Oid right = Oid::kInvalid;
  Oid result = Oid::kInvalid;
  Oid function = Oid::kInvalid;  // pg_proc of its implementation
};

struct Type {
  Oid oid = Oid::kInvalid;
  Oid schema = Oid::kInvalid;
  std::string name;              // pg_type.typname ("int4", "_int4")
  char kind = 'b';               // pg_type.typtype: b c d e p r m
  Oid base = Oid::kInvalid;      // of a domain
  Oid element = Oid::kInvalid;   // of an array
  Oid array = Oid::kInvalid;     // its array type
  Oid relation = Oid::kInvalid;  // of a composite type
  // The weakest volatility among its input, output, send and receive functions.
  Volatility io_volatility = Volatility::kVolatile;
  std::vector<std::string> labels = {};  // of an enum, in their order
  std::int32_t base_typmod = -1;         // of a domain: the length or precision that it gives
  bool checks_run_code = false;  // of a domain: as Relation::writes_run_code, for its own checks
  bool checks_vary = false;      // of a domain: its own checks may call what is not IMMUTABLE
};

struct Cast {
  Oid source = Oid::kInvalid;
  Oid target = Oid::kInvalid;
  Oid function = Oid::kInvalid;  // invalid for binary-coercible and I/O casts
  char method = 'f';             // pg_cast.castmethod: f i b
  char context = 'e';            // pg_cast.castcontext: e a i
};

class Catalog {
 public:
  // Building (one thread, before sharing).
  void add_schema(Oid oid, std::string name);
  void add_relation(Relation relation);
  void add_function(Function function);
  void add_operator(Operator op);
  void add_type(Type type);
  void add_cast(Cast cast);
  void set_database(std::string name, std::string encoding, int server_version_num);
  void set_default_is_c(bool is_c) { default_is_c_ = is_c; }
  // Computes descendants from parents. Call once, last. (Of two objects with one oid the first
  // stays.)
  void finish();

  const std::string& database() const { return database_; }
  const std::string& encoding() const { return encoding_; }  // "UTF8"
  // The database's own collation orders text bytewise.
  bool default_is_c() const { return default_is_c_; }
  int server_version_num() const { return server_version_num_; }

  Oid find_schema(std::string_view name) const;  // kInvalid when there is none
  const std::string* schema_name(Oid oid) const;
  const Relation* find_relation(Oid oid) const;
  const Relation* find_relation(Oid schema, std::string_view name) const;
  // Whether a relation or type is called so, in any schema.
  bool has_name(std::string_view name) const;
  const Type* find_type(Oid oid) const;
  const Type* find_type(Oid schema, std::string_view name) const;
  const Function* find_function(Oid oid) const;
  // All functions / operators of a name, in every schema.
  const std::vector<Function>& functions_named(std::string_view name) const;
  const std::vector<Operator>& operators_named(std::string_view name) const;
  // The operator of exactly these operand types (`left` invalid for a prefix operator).
  const Operator* find_operator(Oid schema, std::string_view name, Oid left, Oid right) const;
  const Cast* find_cast(Oid source, Oid target) const;
  // The type below a domain, through domains over domains; any other type, known or not, is itself.
  Oid base_type(Oid type) const;
  // All relations from which `relation` descends, in any number of steps; without itself,
  // ascending.
  std::vector<Oid> ancestors_of(Oid relation) const;
  const std::unordered_map<Oid, Relation>& relations() const { return relations_; }
  // All casts, by an internal key.
  const std::unordered_map<std::uint64_t, Cast>& casts() const { return casts_; }

 private:
  template <typename T>
  using ByName = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;

  std::string database_;
  std::string encoding_;
  bool default_is_c_ = false;
  int server_version_num_ = 0;
  ByName<Oid> schemas_;
  std::unordered_map<Oid, std::string> schema_names_;
  std::unordered_map<Oid, Relation> relations_;
  ByName<std::vector<Oid>> relations_by_name_;
  std::unordered_map<Oid, Type> types_;
  ByName<std::vector<Oid>> types_by_name_;
  ByName<std::vector<Function>> functions_;
  std::unordered_map<Oid, std::pair<std::string, std::size_t>> function_places_;
  ByName<std::vector<Operator>> operators_;
  std::unordered_map<std::uint64_t, Cast> casts_;
};

}  // namespace pgcache::pg
