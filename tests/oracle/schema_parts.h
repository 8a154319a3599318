// SPDX-License-Identifier: Apache-2.0
// What makes a schema: the parts that every epoch has, and what they share.
#pragma once

#include <string>

#include "oracle/schema.h"

namespace pgcache::oracle {

std::string columns_sql(const Relation& relation);
// Whether the next table gets REPLICA IDENTITY FULL.
bool chooses_full(const Schema& schema, Random& random);
std::string full_identity(const std::string& table);
// The statements that make the table, and those that may alter it later.
void create_table(Schema& schema, const Relation& table, Random& random);

// schema_fixed.cc
void add_fixed_tables(Schema& schema, Random& random);
void add_views(Schema& schema, Random& random);
void add_functions(Schema& schema);
// schema_hierarchies.cc
void add_hierarchies(Schema& schema, Random& random);

}  // namespace pgcache::oracle
