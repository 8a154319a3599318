// SPDX-License-Identifier: Apache-2.0
// Transaction blocks of which the origin need not hear, or not yet: BEGIN is answered here, and
// sent in front of the first statement that goes to the origin; a block that ends before that has
// never been there. docs/adr/0014 says why that is right. See session.h.
//
// The BEGIN that is sent is Parse, Bind and Execute without a Sync: should it fail, the origin
// discards the statement behind it instead of executing it outside of a block. Until it is
// confirmed nothing of a further exchange is sent (Hold::kBegin).
#include <algorithm>
#include <new>

#include "pg/sqlstate.h"
#include "proxy/session.h"
#include "wire/backend.h"

namespace pgcache::proxy {

using sql::StatementKind;

namespace {

// In front of a read in the same query.
constexpr std::size_t kBeginBytesMax = 100;

}  // namespace

BlockCommand Session::block_command(const cache::Shape& shape) {
  switch (shape.analysis.kind) {
    case StatementKind::kBegin:
    case StatementKind::kBeginReadCommitted:
      return BlockCommand::kBegin;
    case StatementKind::kCommit:
    case StatementKind::kRollback:
      return BlockCommand::kEnd;
    case StatementKind::kRead:
    case StatementKind::kSavepoint:
    case StatementKind::kPrepare:
    case StatementKind::kQuiet:
    case StatementKind::kExecute:
    case StatementKind::kBeginOther:
    case StatementKind::kDeallocate:
    case StatementKind::kDeallocateAll:
    case StatementKind::kDml:
    case StatementKind::kSet:
    case StatementKind::kDdl:
    case StatementKind::kOther:
      return BlockCommand::kNone;
  }
  return BlockCommand::kNone;
}

// Whether the origin's ignorance of a block that begins now would stay unnoticed: it has nothing to
// do, would end no block for lasting too long, and the block's isolation level is known.
bool Session::may_defer(const sql::StatementShape& scanned, const cache::Shape& shape) const {
  if (!env_.config->defer_begin || !cacheable_session_ || scanned.pgcache_off) return false;
  if (open_unit_ || !tracker_.idle() || unread_statement_) return false;
  const bool known =
      settings_ && settings_epoch_ == env_.settings_epoch->load(std::memory_order_acquire);
  if (!known || settings_refusal() || transaction_settings_.limited()) return false;
  if (env_.cache->unavailable(io_.now())) return false;
  return transaction_settings_.read_committed ||
         shape.analysis.kind == StatementKind::kBeginReadCommitted;
}

void Session::begin_here(std::string_view sql, const cache::Shape& shape, bool simple) {
  begin_.state = Begin::kDeferred;
  begin_.sql = sql;
  begin_.simple = simple;
  status_ = 'T';
  block_ = Block::kClean;
  block_read_committed_ = true;
  wire::append_command_complete(to_client_.tail(), shape.analysis.statement_name);
  RouteStats::bump(env_.stats->blocks_deferred);
}

void Session::end_here(const cache::Shape& shape) {
  begin_.state = Begin::kNone;
  status_ = 'I';
  block_ = Block::kNone;
  block_read_committed_ = false;
  behind_.unnamed_portal = behind_.snapshot = false;
  forget_portals();
  const bool commit = shape.analysis.kind == StatementKind::kCommit;
  wire::append_command_complete(to_client_.tail(), commit ? "COMMIT" : "ROLLBACK");
  RouteStats::bump(env_.stats->blocks_local);
}

void Session::append_ready() {
  if (status_ == 'I') release_notifications();
  wire::append_ready_for_query(to_client_.tail(), status_);
}

// A simple query that begins a block, or ends one that the origin does not know. False: not
// answered.
bool Session::answer_block_command(std::string_view sql, const sql::StatementShape& scanned,
                                   const cache::Shape& shape) {
  if (!is_ascii(sql)) return false;  // in the wrong encoding the origin would refuse it
  switch (block_command(shape)) {
    case BlockCommand::kNone:
      return false;
    case BlockCommand::kBegin:
      if (status_ != 'I' || !may_defer(scanned, shape)) return false;
      begin_here(sql, shape, true);
      break;
    case BlockCommand::kEnd:
      if (begin_.state != Begin::kDeferred) return false;
      end_here(shape);
      break;
  }
  append_ready();
  statements_.erase({});
  portals_.erase({});
  behind_.unnamed_statement = true;
  return true;
}

// A simple query of two statements, the BEGIN of a block that may be deferred and a cacheable read
// (as far as that is known without the settings): how many bytes are in front of the read. 0: it is
// something else.
std::size_t Session::begin_in_front(std::string_view sql) const {
  const std::size_t semicolon = sql.substr(0, kBeginBytesMax).find(';');
  if (semicolon == std::string_view::npos || status_ != 'I' ||
      env_.config->max_query_size < sql.size()) {
    return 0;
  }
  const std::string_view begin = sql.substr(0, semicolon);
  const std::size_t start = sql.find_first_not_of(" \n", semicolon + 1);
  if (start == std::string_view::npos) return 0;
  const std::string_view read = sql.substr(start);
  const bool plain = std::all_of(begin.begin(), begin.end(), [](char c) {
    return c == ' ' || c == '\n' || (is_of_name(c) && (c & 0x80) == 0);
  });
  if (!plain || leading_keyword(begin) != Lead::kUtility) return 0;
  if (leading_keyword(read) != Lead::kRead) return 0;
  const sql::StatementShape scanned = sql::scan_shape(begin, needs_conforming());
  const cache::ShapePtr shape = find_shape(begin, scanned, {});
  if (!shape || block_command(*shape) != BlockCommand::kBegin) return 0;
  if (settings_ && !may_defer(scanned, *shape)) return 0;
  const cache::ShapePtr shape_of_read =
      find_shape(read, sql::scan_shape(read, needs_conforming()), {});
  return shape_of_read && !is_hopeless(*shape_of_read) ? start : 0;
}

// Answers the BEGIN of such a query. What is left of it, should it go to the origin: the read in
// the place where it was, so that positions in errors are the same.
std::string Session::begin_before_query(std::string_view text, std::size_t begin_bytes) {
  const std::string_view begin = text.substr(0, text.find(';'));
  const cache::ShapePtr shape =
      find_shape(begin, sql::scan_shape(begin, needs_conforming()), {});  // the one found before
  if (!shape) throw std::bad_alloc();
  begin_here(begin, *shape, true);
  std::string rest(begin_bytes, ' ');
  rest.append(text.substr(begin_bytes));
  std::string padded;
  wire::append_query(padded, rest);
  return padded;
}

// Whether the unit's commands can all be answered here, each in the state that those before it
// leave behind. In front of a BEGIN nothing may have been executed in the same transaction.
bool Session::may_answer_blocks() const {
  bool in_block = begin_.state == Begin::kDeferred;
  bool fresh = status_ == 'I';
  bool any = false;
  for (const std::size_t at : executes_) {
    const Step& step = steps_[at];
    any |= step.command != BlockCommand::kNone;
    switch (step.command) {
      case BlockCommand::kNone:
        fresh = false;
        break;
      case BlockCommand::kBegin:
        if (in_block || !fresh ||
            !may_defer(step.statement->text->shape, *step.statement->analysed)) {
          return false;
        }
        in_block = true;
        break;
      case BlockCommand::kEnd:
        if (!in_block) return false;
        in_block = false;
        fresh = true;
        break;
    }
  }
  return any;
}

void Session::serve_block_command(const Step& step) {
  const cache::Shape& shape = *step.statement->analysed;
  if (step.command == BlockCommand::kBegin) {
    begin_here(step.statement->text->sql, shape, false);
  } else {
    end_here(shape);
  }
}

// What a unit's Execute of this statement does to blocks, where its messages are plain enough to be
// answered here.
BlockCommand Session::command_of(Statement& statement, const wire::Bind& bind) const {
  const StatementText& text = *statement.text;
  const bool plain = text.lead == Lead::kUtility && text.parameter_types.empty() &&
                     bind.parameters.empty() && bind.portal.empty() &&
                     bind.result_formats_be.size() <= 2 && is_ascii(text.sql);
  if (!plain) return BlockCommand::kNone;
  const cache::ShapePtr shape = shape_of(statement);
  return shape ? block_command(*shape) : BlockCommand::kNone;
}

// In front of whatever goes to the origin.
void Session::begin_at_origin() {
  if (begin_.state == Begin::kExchange) exchange_at_origin();
  if (begin_.state != Begin::kDeferred) return;
  begin_.state = Begin::kSent;
  std::string& out = to_origin_.tail();
  wire::append_parse(out, {}, begin_.sql, {});
  wire::append_plain_bind(out);
  wire::append_plain_execute(out);
  for (const wire::Request request :
       {wire::Request::kParse, wire::Request::kBind, wire::Request::kExecute}) {
    tracker_.sent({request, true, kBeginCookie});
  }
  // The unnamed statement and portal are this BEGIN's now. A client that sent its BEGIN in this
  // form has that portal too, and perhaps the statement.
  const StatementPtr unnamed = statements_.find({});
  if (unnamed) unnamed->at_origin = false;
  if (unnamed && !begin_.simple && unnamed->text->sql == begin_.sql) note_at_origin(unnamed);
  behind_.unnamed_statement = !unnamed;
  if (begin_.simple) {
    wire::append_close(out, 'P', {});
    tracker_.sent({wire::Request::kClose, true, 0});
    behind_.unnamed_portal = false;
  } else {
    unnamed_portal_open_ = true;
  }
}

// An answer to the BEGIN that was sent. False: the frame answers something else.
bool Session::on_begin_frame(char tag, std::string_view frame,
                             const wire::Attribution& attribution) {
  if (attribution.request.cookie != kBeginCookie) return false;
  if (tag == 'C') begin_.state = Begin::kNone;
  if (tag != 'E') return true;
  // The client has been told that its block has begun: nothing can be executed in its place.
  to_client_.append(frame);
  fail({"FATAL",
        pg::sqlstate::kConnectionFailure,
        "pgcache could not begin the transaction block at the origin server",
        {}});
  return true;
}

// PostgreSQL delivers notifications between transactions only. To the origin there is none, so it
// sends them at once.
bool Session::hold_notification(std::string_view frame) {
  const std::size_t size = begin_.notifications.size() + frame.size();
  const bool in_block = begin_.state == Begin::kDeferred || begin_.state == Begin::kExchange;
  if (!in_block || size > env_.config->session_buffer) return false;
  begin_.notifications.append(frame);
  return true;
}

void Session::release_notifications() {
  if (begin_.notifications.empty()) return;
  to_client_.append(begin_.notifications);
  begin_.notifications.clear();
}

}  // namespace pgcache::proxy
