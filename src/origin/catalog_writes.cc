// SPDX-License-Identifier: Apache-2.0
// What a write to a table may do besides changing its rows: by the actions of foreign keys, and by
// code that defaults and constraints call.
#include <algorithm>
#include <string>
#include <utility>

#include "origin/catalog_draft.h"

namespace pgcache::origin {
namespace {

using pg::Oid;

void add_once(std::vector<Oid>& list, Oid oid) {
  if (std::find(list.begin(), list.end(), oid) == list.end()) list.push_back(oid);
}

// Enforced or not, validated or not: an action is taken in any case.
Step referrers_step() {
  return {
      "SELECT confrelid, conrelid, confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')"
      " FROM pg_constraint WHERE contype = 'f'",
      [](Draft& draft, const Reply& reply) {
        for (int i = 0; i < reply.rows(); ++i) {
          pg::Relation* const relation = draft.find_relation(reply.oid(i, 0));
          if (relation == nullptr) continue;
          add_once(relation->referrers, reply.oid(i, 1));
          if (reply.truth(i, 2)) add_once(relation->acted_upon, reply.oid(i, 1));
        }
      }};
}

// A condition on an expression (in `tree`) of the object `oid` in `catalog`. What is built in is
// not among an object's dependencies; of that, set_config() and what runs a query given as text
// matter.
std::string runs_code(const std::string& catalog, const std::string& oid, const std::string& tree) {
  return "(EXISTS (SELECT FROM pg_depend d"
         " LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid"
         " JOIN pg_proc p ON p.oid = CASE d.refclassid WHEN 'pg_proc'::regclass THEN d.refobjid"
         "   ELSE o.oprcode END"
         " WHERE d.classid = '" +
         catalog + "'::regclass AND d.objid = " + oid +
         "   AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)"
         "   AND p.oid >= 16384 AND (p.provolatile <> 'i' OR p.prokind <> 'f'))"
         " OR " +
         tree +
         "::text ~ (SELECT ':funcid (' || string_agg(oid::text, '|') || ') ' FROM pg_proc"
         "   WHERE pronamespace = 'pg_catalog'::regnamespace AND (proname IN ('set_config', "
         "'ts_stat',"
         "   'ts_rewrite') OR proname ~ '_to_xml')))";
}

}  // namespace

// By the node tree, since what is built in is not among an object's dependencies. A cast to a
// domain is not looked through; an I/O conversion is what its type's input is.
std::string may_vary(const std::string& tree) {
  const std::string calls =
      "(SELECT FROM regexp_matches(" + tree +
      "::text, ':(funcid|opfuncid|resulttype) (\\d+)( :resultcollid)?', 'g') m JOIN pg_proc f ON"
      " f.oid = CASE WHEN m[1] <> 'resulttype' THEN m[2]::oid WHEN m[3] <> '' THEN (SELECT"
      " i.typinput::oid FROM pg_type i WHERE i.oid = m[2]::oid) END WHERE f.provolatile <> 'i')";
  return "(" + tree +
         "::text ~ '\\{(SQLVALUEFUNCTION|NEXTVALUEEXPR|COERCETODOMAIN |XML|JSON)' OR EXISTS " +
         calls + ")";
}

namespace {

Step code_step() {
  return {"SELECT a.adrelid, 0::oid FROM pg_attrdef a WHERE a.adrelid >= 16384 AND " +
              runs_code("pg_attrdef", "a.oid", "a.adbin") +
              " UNION SELECT c.conrelid, c.contypid FROM pg_constraint c WHERE c.contype = 'c'"
              " AND c.oid >= 16384 AND " +
              runs_code("pg_constraint", "c.oid", "c.conbin"),
          [](Draft& draft, const Reply& reply) {
            for (int i = 0; i < reply.rows(); ++i) {
              pg::Relation* const relation = draft.find_relation(reply.oid(i, 0));
              if (relation != nullptr) relation->writes_run_code = true;
              const auto type = draft.types.find(reply.oid(i, 1));
              if (type != draft.types.end()) type->second.checks_run_code = true;
            }
          }};
}

Step domains_step() {
  return {
      "SELECT c.contypid FROM pg_constraint c WHERE c.contypid <> 0 AND c.contype = 'c'"
      " AND c.oid >= 16384 AND " +
          may_vary("c.conbin"),
      [](Draft& draft, const Reply& reply) {
        for (int i = 0; i < reply.rows(); ++i) {
          const auto type = draft.types.find(reply.oid(i, 0));
          if (type != draft.types.end()) type->second.checks_vary = true;
        }
      }};
}

}  // namespace

std::vector<Step> write_steps() { return {referrers_step(), code_step(), domains_step()}; }

}  // namespace pgcache::origin
