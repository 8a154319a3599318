// SPDX-License-Identifier: Apache-2.0
// What a session keeps of the queries, exchanges, statements and portals that are under way. Plain
// records of session.h: one session, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/cache.h"
#include "proxy/effects.h"
#include "proxy/environment.h"
#include "proxy/portals.h"
#include "proxy/settings.h"
#include "proxy/statements.h"
#include "wire/frontend.h"

namespace pgcache::proxy {

enum class Begin : std::uint8_t {
  kNone,      // as the origin says
  kDeferred,  // the block is the client's alone
  kExchange,  // likewise, and it is the present exchange: it ends with that, and has no BEGIN
  kSent,      // its BEGIN is on the way
};
enum class BlockCommand : std::uint8_t { kNone, kBegin, kEnd };  // BEGIN; COMMIT or ROLLBACK

// A query that was forwarded after the cache had been asked, and what is captured of its answer.
struct Inflight {
  std::uint64_t id = 0;
  Route route = Route::kMiss;
  cache::ShapePtr shape;
  std::unique_ptr<cache::Load> load;  // null: only the latency is of interest
  bool complete = false;
  bool answered = false;         // without an error
  StatementPtr statement;        // of an Execute, when known
  std::uint64_t generation = 0;  // plans_generation() when it was decided
  std::uint64_t doubts = 0;      // of the session, then
  bool parsed = false;           // in the same exchange
  std::string row_description;
  std::string rows;
  std::uint64_t row_count = 0;
  bool limited = false;                   // loaded under the key of its row limit
  std::optional<std::uint64_t> rows_max;  // it has no more
  std::optional<std::string> formats_be;  // of the result, if only the statement is described
  bool suspended = false;    // the limit has ended an Execute, and the portal may go on
  bool in_portions = false;  // of several Executes
  std::string portal;        // where that can be
  bool lost = false;         // rows were fetched of it that are not captured, or it is another
  bool opened = false;       // in front of a Flush, and executed behind it
  // What it prepares, being a PREPARE.
  std::string prepared_name;
  StatementPtr prepared;
  TimePoint started;  // then: of its first exchange
};
struct Unit {
  std::uint64_t id = 0;
  TimePoint started;
  TimePoint sent;  // the last of it so far
  Effects effects;
  std::vector<Inflight> inflight;
  // Of a pooled session: a query for the settings was added behind the client's.
  enum class Added : std::uint8_t { kNone, kSent, kAnswering } added = Added::kNone;
  SettingsPtr settings;   // under which its loads are published
  bool preparing = true;  // so far statements were prepared and described, and nothing bound
  bool refused = false;   // a query that executes a statement which has changed
};
// A statement text to be decided upon, wherever it came from.
struct ReadCandidate {
  std::string_view sql;
  const sql::StatementShape* statement_shape = nullptr;
  cache::ShapePtr shape;
  const std::vector<wire::BindParameter>* parameters = nullptr;
  std::string_view result_formats_be;
  bool simple = false;
  bool by_execute = false;  // an EXECUTE, in SQL, of the statement
  cache::ResultNeeds needs;
  bool may_wait = false;
  std::int32_t row_limit = 0;  // of the Execute
  bool whole = false;          // what the limit leaves out will be asked for
  bool goes_on = false;        // may be asked for later
};
// Where the origin is behind what the client has been told, since answers from memory did not
// reach it. Hidden requests make it good just before the client could notice.
struct Behind {
  bool unnamed_statement = false;  // the client's last simple query would have destroyed it
  bool unnamed_portal = false;     // likewise, or replaced it; matters inside a block only
  bool snapshot = false;           // the block's first query would have taken one
};
// A block that the client has begun, and the origin need not know of yet.
struct DeferredBegin {
  Begin state = Begin::kNone;
  bool simple = false;        // it came as a simple query
  std::string sql;            // its text
  std::string notifications;  // that the client gets behind the block
};
// What came of it.
struct Verdict {
  enum class Kind : std::uint8_t {
    kHit,
    kPortal,  // more of a portal that is in memory
    kBlock,
    kLoad,
    kMiss,
    kBypass,
    kFallback,
    kHeld
  };
  Kind kind = Kind::kBypass;
  sql::BypassReason bypass = sql::BypassReason::kUnsupported;
  FallbackReason fallback = FallbackReason::kCacheError;
  cache::CachedResultPtr result;
  std::unique_ptr<cache::Load> load;
  bool limited = false;                   // the load is for the row limit only
  std::optional<std::uint64_t> rows_max;  // the answer has no more
};
// What an EXECUTE stands for. The parameters point into `texts`.
struct Executed {
  StatementPtr statement;
  std::vector<std::string> texts;
  std::vector<wire::BindParameter> parameters;
};
// A reply that is at hand, and waits for its turn behind what the origin answers.
struct LocalReply {
  std::uint64_t id = 0;
  cache::CachedResultPtr result;
  std::string_view rows;               // in it
  std::string frames;                  // behind the rows
  std::optional<MemoryPortal> before;  // the portal, should the request be discarded
};
// What is asked of the portals in memory at the origin.
struct PortalNeed {
  bool opened = false;
  bool run = false;   // as far as here
  bool only = false;  // and to go on there
};
inline constexpr PortalNeed kGoOnThere{true, true, true};
// A portal that is being opened at the origin, or run there as far as it was run here.
struct PortalOpening {
  std::uint64_t id = 0;  // the cookie of its requests; the last is a Close
  std::string name;
  MemoryPortal::AtOrigin before;  // should they be discarded
  bool goes_on = false;           // what uses it is behind it already
  cache::CachedResultPtr result;  // whose rows it gives once more; null: whatever they are
  std::size_t at = 0;             // beyond `end`: they are not the same
  std::size_t end = 0;
};
// One message of an extended unit.
struct Step {
  char tag = 0;  // a Flush is the last
  std::string_view frame;
  wire::Parse parse;
  wire::Bind bind;
  wire::Target target;
  wire::Execute execute;
  bool understood = false;
  StatementPtr statement;              // of Parse and Bind, when known, and what is described
  std::size_t bind_step = 0;           // of Execute and Describe: the Bind of its portal
  bool understood_portal = false;      // of Describe: that Bind is in the unit
  bool statement_described = false;    // of Bind: not its portal
  std::uint64_t inflight_id = 0;       // of Bind: the Inflight of its portal's Execute
  bool parsed_here = false;            // of Bind: its statement's Parse is in the unit
  bool needs_row_description = false;  // of Bind: its portal is described in the unit
  bool executed_again = false;         // of Bind
  std::optional<std::size_t> resumes;  // of Execute: an earlier one in the unit
  bool in_memory = false;              // of Execute, Describe, Close: the portal of an earlier unit
  BlockCommand command = BlockCommand::kNone;  // of Execute

  // As new, but for the memory that it keeps.
  void reset() {
    std::vector<wire::BindParameter> parameters = std::move(bind.parameters);
    parameters.clear();
    *this = Step{};
    bind.parameters = std::move(parameters);
  }
};

// A Parse or Close of a statement that is under way, or a Query in the middle of an exchange,
// which destroys the unnamed one.
struct PendingStatement {
  std::uint64_t cookie = 0;
  std::string name;
  StatementPtr statement;  // null: closed
  StatementPtr before;     // what had the name, and keeps it should this fail
  bool behind = false;     // likewise, of the unnamed one: what behind_ said,
  bool unread = false;     // and unread_statement_
  bool plain = true;       // no encoding makes anything else of its text
};

// Before a Bind or simple query that is under way and, if it comes to that, replaces it.
struct UnnamedPortal {
  std::uint64_t cookie = 0;
  std::optional<MemoryPortal> portal;
  bool behind = false;
};

// Statements that have been answered here and are being prepared at the origin.
struct Preparing {
  StatementPtr statement;
  cache::CachedResultPtr result;  // as which it was described
};

// Statements that only memory knew, on their way to the origin.
struct CatchingUp {
  std::uint64_t cookie = 0;  // of the hidden Parse, and of the Describe behind it
  StatementPtr statement;
  bool described = false;         // there is one
  bool client_describes = false;  // the client's is behind it
};

}  // namespace pgcache::proxy
