// SPDX-License-Identifier: Apache-2.0
// The tables of one epoch: made from a seed, so that every epoch has others. Names that the readers
// use are resolved through search_path = oracle, alt or the other way round; alt holds a second t0.
#pragma once

#include <string>
#include <vector>

#include "oracle/random.h"

namespace pgcache::oracle {

enum class Kind {
  kSmallint,
  kInt,
  kBigint,
  kNumeric,  // any scale: equal values may look different
  kDecimal,  // numeric(10,2)
  kDouble,
  kText,
  kVarchar,  // varchar(10)
  kChar,     // char(5)
  kBool,
  kDate,
  kTimestamp,
  kTimestamptz,
  kUuid,
  kEnum,  // oracle.mood
  kBytea,
  kJsonb,
  kIntArray,
  kBig,  // text that is stored out of line
  kReal,
  kOid,
  kName,
  kTime,
  kTimetz,
  kInterval,
  kInet,
  kCidr,
  kMacaddr,
  kDomain,  // oracle.small: a domain over int
  kTextArray,
};

const char* type_name(Kind kind);
bool is_integer(Kind kind);
bool is_textual(Kind kind);
// Equal values have equal bytes: grouping and ordering by such a column leaves no choice.
bool is_exact(Kind kind);
bool is_ordered(Kind kind);  // has < and min()

struct Column {
  std::string name;
  Kind kind = Kind::kInt;
  bool nullable = true;
};

enum class Caching { kYes, kNo, kMaybe };  // kMaybe: either is right

struct Relation {
  std::string schema = "oracle";
  std::string name;
  std::vector<Column> columns;
  std::vector<std::string> key;  // names of the primary key's columns
  bool writable = true;
  bool leaf = false;  // one of several partitions: read less often than others
  Caching caching = Caching::kYes;
  std::vector<std::string> beneath;  // of a view: the tables it reads

  std::string qualified() const { return schema + "." + name; }
  bool in_key(const std::string& column) const;
  bool has_column(const std::string& column) const;
};

// Which tables have REPLICA IDENTITY FULL. With kMixed it also changes in the course of an epoch.
enum class Identities { kFull, kDefault, kMixed };

struct Schema {
  Identities identities = Identities::kMixed;
  std::vector<Relation> relations;
  std::vector<std::string> statements;   // make everything, in order
  std::vector<std::string> alterations;  // DDL for later, each of them harmless to repeat

  const Relation* find(const std::string& name) const;
  // The relation itself, or a table beneath the view.
  const Relation& table_of(const Relation& relation, Random& random) const;
};

Schema make_schema(Identities identities, Random& random);

}  // namespace pgcache::oracle
