// SPDX-License-Identifier: Apache-2.0
// One statement → a CacheableQuery with its dependencies, or the reason why not; and the effect
// that any other statement may have on the session. Pure; any thread; allocates freely, since it
// runs once for each shape.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pg/catalog.h"
#include "sql/bypass_reason.h"
#include "sql/cacheable_query.h"
#include "sql/shape.h"
#include "sql/side_effects.h"

namespace pgcache::sql {

// What names mean to the session.
struct AnalysisContext {
  const pg::Catalog* catalog = nullptr;
  std::vector<pg::Oid>
      search_path;  // resolved, in order, with pg_catalog where it implicitly stands
  std::vector<pg::Oid> parameter_types;  // declared by Parse; kInvalid or missing = inferred
  bool standard_conforming_strings = true;
  bool trace_passes = false;  // for Dependency.passes; takes several times as long
};

struct NotCacheable {
  BypassReason reason = BypassReason::kUnsupported;
  std::string detail;  // the name that decided, for a person: "now()", "pg_class"
};

// What a statement may do to its session and block, as far as the text tells. Used for statements
// that are not cacheable, to keep what the session remembers true.
enum class StatementKind : std::uint8_t {
  kRead,   // SELECT/VALUES/TABLE, cacheable or not; may call anything when not cacheable
  kBegin,  // BEGIN / START TRANSACTION without an isolation level (statement_name: its tag)
  kBeginReadCommitted,  // with READ COMMITTED (statement_name: its tag)
  kBeginOther,          // with another isolation level
  kCommit,              // COMMIT, END (not AND CHAIN, not PREPARED)
  kRollback,            // ROLLBACK, ABORT of the whole block (not AND CHAIN)
  kSavepoint,           // SAVEPOINT, RELEASE, ROLLBACK TO
  kPrepare,             // PREPARE (statement_name)
  kExecute,             // EXECUTE (statement_name)
  kDeallocate,          // DEALLOCATE name (statement_name)
  kDeallocateAll,       // DEALLOCATE ALL, DISCARD ALL
  kDml,                 // INSERT UPDATE DELETE MERGE COPY-FROM ...
  kSet,    // SET, RESET, and whatever else changes settings; also several statements of which
           // each changes nothing but its session (kDeallocateAll: also prepared statements)
  kQuiet,  // changes nothing that matters here: SHOW, LISTEN, UNLISTEN, NOTIFY, and a read that is
           // cacheable but for a comment
  kDdl,    // utility commands that may change the catalog
  kOther,  // everything else
};

// What EXECUTE gives for a parameter.
struct ExecuteArgument {
  enum class What : std::uint8_t { kOther, kLiteral, kNull, kTrue, kFalse };
  What what = What::kOther;   // kOther: an expression
  bool negated = false;       // a minus sign in front of the literal
  std::uint16_t literal = 0;  // into StatementShape::literals
};
struct ExecuteCall {
  std::vector<ExecuteArgument> arguments;
};

struct Analysis {
  StatementKind kind = StatementKind::kOther;
  std::string statement_name;     // where the kind says so
  ExecuteCall call = {};          // kExecute
  SideEffects side_effects = {};  // of what is not cacheable
  std::variant<CacheableQuery, NotCacheable> outcome = NotCacheable{};

  const CacheableQuery* cacheable() const { return std::get_if<CacheableQuery>(&outcome); }
  const NotCacheable* not_cacheable() const { return std::get_if<NotCacheable>(&outcome); }
};

// Analyses `text`, whose shape is `shape` (from scan_shape over the same text). The outcome holds
// for every text of that shape.
Analysis analyze(std::string_view text, const StatementShape& shape,
                 const AnalysisContext& context);

// Parameter of one execution.
struct Parameter {
  bool is_null = false;
  bool binary = false;
  std::string_view bytes;
};

// Binds the operands of a query to the values of one execution. Never fails: what cannot be read is
// kUnknown.
std::vector<Operand> bind_operands(const CacheableQuery& query,
                                   const std::vector<Literal>& literals,
                                   const std::vector<Parameter>& parameters);

// Three-valued truth with unknown, as a set of possibilities.
enum class Truth : std::uint8_t { kFalse, kTrue, kNull, kUnknown };

// A row as the stream shows it: looked up by column name. Implemented by cache.
class RowView {
 public:
  // State kUnknown when the image does not hold the column.
  virtual Operand column(const ColumnRef& column) const = 0;

 protected:
  ~RowView() = default;
};

Truth evaluate(const Predicate& predicate, const RowView& row,
               const std::vector<Operand>& operands);

// What an expression computes of a row; of operands alone without `row`.
Operand value_of(const Predicate& expression, const RowView* row,
                 const std::vector<Operand>& operands);

// True unless the residual is certainly false or NULL on the row.
inline bool may_match(const Predicate& predicate, const RowView& row,
                      const std::vector<Operand>& operands) {
  const Truth t = evaluate(predicate, row, operands);
  return t == Truth::kTrue || t == Truth::kUnknown;
}

// Whether a condition on operands alone can be true.
bool may_hold(const Predicate& guard, const std::vector<Operand>& operands);

// Calls `visit(const ColumnRef&)` for each column that the predicate looks at.
void each_column(const Predicate& predicate, const std::function<void(const ColumnRef&)>& visit);

// For explain and tests: "users.id = $1 AND status IN ('a', 'b')".
std::string describe(const Predicate& predicate, const CacheableQuery& query);
std::string describe(const Dependency& dependency, const CacheableQuery& query);

}  // namespace pgcache::sql
