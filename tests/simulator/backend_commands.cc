// SPDX-License-Identifier: Apache-2.0
// What commands do to the session, its transaction and the model; and output. See backend.h.
#include <algorithm>
#include <cstdlib>

#include "base/check.h"
#include "proxy/settings.h"
#include "simulator/backend.h"

namespace pgcache::simulator {

namespace {

// The columns of pgcache's question about settings, as expressions.
std::vector<std::string> settings_expressions() {
  std::vector<std::string> expressions(1);
  int depth = 0;
  for (const char c : proxy::settings_query()) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ',' && depth == 0) {
      expressions.emplace_back();
    } else {
      expressions.back().push_back(c);
    }
  }
  return expressions;
}

std::string setting_value(const std::string& expression, const Settings& settings,
                          bool repeatable) {
  const auto names = [&expression](std::string_view part) {
    return expression.find(part) != std::string::npos;
  };
  if (names("current_schemas")) {
    return settings.search_path == 1 ? "pg_catalog\x01"
                                       "alt\x01"
                                       "public"
                                     : "pg_catalog\x01public";
  }
  if (names("pg_my_temp_schema")) return settings.temporary ? "t" : "f";
  if (names("'default_transaction_isolation'")) return "read committed";
  if (names("'transaction_isolation'")) return repeatable ? "repeatable read" : "read committed";
  if (names("'pgcache.mode'")) return std::string(setting_text(Setting::kMode, settings.mode));
  if (names("'client_encoding'")) return "UTF8";
  if (names("'standard_conforming_strings'")) return "on";
  if (names("'DateStyle'")) {
    return std::string(setting_text(Setting::kDateStyle, settings.date_style));
  }
  if (names("'lc_monetary'")) {
    return std::string(setting_text(Setting::kMonetary, settings.monetary));
  }
  return "app";
}

}  // namespace

// --- transactions

void Backend::begin_implicit() {
  if (implicit_ || in_block_) return;
  implicit_ = true;
  saved_ = session_;
}

Tx& Backend::writing() {
  if (tx_ == nullptr) tx_ = &origin_.begin();
  return *tx_;
}

View Backend::view() {
  std::uint64_t at = origin_.moment();
  if (repeatable_) {
    if (!repeatable_at_) repeatable_at_ = at;
    at = *repeatable_at_;
  }
  return {at, tx_, tx_ != nullptr ? tx_->command : 0};
}

std::uint64_t Backend::oldest_view() const {
  return repeatable_at_ ? *repeatable_at_ : origin_.moment();
}

bool Backend::must_not_be_served() const {
  return failed_ || tx_ != nullptr || repeatable_ || current_.mode == 1 || current_.temporary ||
         block_dirty_ || copying_ || waiting_ != nullptr;
}

void Backend::begin_block(const Command& command) {
  if (in_block_) {
    emit_async(notice("there is already a transaction in progress"));
  } else {
    in_block_ = true;
    repeatable_ = command.op == Op::kBeginRepeatable;
    block_dirty_ = repeatable_;
  }
  complete("BEGIN");
}

// Ends the transaction; goes on when it is visible.
void Backend::commit_then(Next next) {
  current_ = session_;
  in_block_ = failed_ = implicit_ = repeatable_ = block_dirty_ = false;
  repeatable_at_.reset();
  portals_.clear();
  if (tx_ == nullptr) {
    next();
    return;
  }
  origin_.write_commit_record(*tx_);
  waiting_ = tx_;
  tx_ = nullptr;
  then_ = std::move(next);
}

void Backend::roll_back() {
  if (tx_ != nullptr) origin_.abort(*tx_);
  tx_ = nullptr;
  current_ = session_ = saved_;
  portals_.clear();
}

void Backend::fail(std::string_view sqlstate, std::string_view message) {
  roll_back();
  if (in_block_) {
    failed_ = true;
  } else {
    implicit_ = false;
  }
  emit(error_response("ERROR", sqlstate, message));
  erred_ = true;
  skipping_ = message_[0] != 'Q';
  flush();
}

void Backend::write_error(WriteError error) {
  switch (error) {
    case WriteError::kNone:
      return;
    case WriteError::kDuplicate:
      fail("23505", "duplicate key value violates unique constraint");
      return;
    case WriteError::kLocked:
      fail("55P03", "canceling statement due to lock timeout");
      return;
    case WriteError::kSerialization:
      fail("40001", "could not serialize access due to concurrent update");
      return;
  }
}

// --- commands

void Backend::run(const Command& command, const Call& call, bool describe, Next next) {
  if (cancelled_ && command.op != Op::kCommit && command.op != Op::kRollback) {
    fail("57014", "canceling statement due to user request");
    next();
    return;
  }
  switch (command.op) {
    case Op::kRead:
      run_read(command, call, describe);
      break;
    case Op::kBegin:
    case Op::kBeginRepeatable:
      begin_block(command);
      break;
    case Op::kCommit:
      if (failed_ || !in_block_) {
        if (!in_block_) emit_async(notice("there is no transaction in progress"));
        const bool failed = failed_;
        if (failed) roll_back();
        commit_then([this, failed, next] {
          complete(failed ? "ROLLBACK" : "COMMIT");
          next();
        });
      } else {
        commit_then([this, next] {
          complete("COMMIT");
          next();
        });
      }
      return;
    case Op::kRollback:
      roll_back();
      commit_then([] {});
      complete("ROLLBACK");
      break;
    case Op::kSet:
    case Op::kSetLocal:
    case Op::kSetByFunction:
      run_set(command, describe);
      break;
    case Op::kSettings:
      run_settings_query(describe);
      break;
    case Op::kDiscardPlans:
      complete("DISCARD PLANS");
      break;
    case Op::kDiscardAll:
    case Op::kDeallocate:
    case Op::kTempTable:
      run_discard(command);
      break;
    case Op::kCopy: {
      block_dirty_ |= in_block_;
      std::string body(1, '\0');
      put16(body, 0);
      emit(frame('G', body));
      flush();
      copying_ = true;
      copy_data_.clear();
      copy_command_ = command;
      after_copy_ = std::move(next);
      return;
    }
    default:
      run_write(command, call);
      break;
  }
  next();
}

void Backend::run_read(const Command& command, const Call& call, bool describe) {
  if (command.read == Read::kMissingTable) {
    fail("42P01", "relation does not exist");
    return;
  }
  const View seen = view();
  const Table table =
      evaluate(command, argument_values(command, call.parameters), current_, origin_, seen);
  if (describe) emit(row_description(table.columns, call.result_formats));
  for (const Row& row : table.rows) {
    emit(row_frame(table.columns, row, call.result_formats, current_));
  }
  complete_read(call, current_, table.rows.size());
}

void Backend::run_write(const Command& command, const Call& call) {
  block_dirty_ |= in_block_;
  Tx& tx = writing();
  const WriteResult result =
      write(command, argument_values(command, call.parameters), current_, origin_, tx, view());
  ++tx.command;
  if (result.error != WriteError::kNone) {
    write_error(result.error);
    return;
  }
  const std::string rows = std::to_string(result.rows);
  complete(command.op == Op::kInsert     ? "INSERT 0 " + rows
           : command.op == Op::kDelete   ? "DELETE " + rows
           : command.op == Op::kTruncate ? "TRUNCATE TABLE"
                                         : "UPDATE " + rows);
}

void Backend::run_set(const Command& command, bool describe) {
  block_dirty_ |= in_block_;
  if (command.setting == Setting::kMonetary) overridden_ = true;
  current_.of(command.setting) = command.value;
  if (command.op != Op::kSetLocal) session_.of(command.setting) = command.value;
  if (command.op != Op::kSetByFunction) {
    complete("SET");
    return;
  }
  if (describe) emit(row_description(columns_of(command), {}));
  emit(data_row({std::string(setting_text(command.setting, command.value))}));
  complete("SELECT 1");
}

void Backend::run_settings_query(bool describe) {
  static const std::vector<std::string> expressions = settings_expressions();
  view();  // a statement like any other: it fixes the snapshot of REPEATABLE READ
  Command command;
  command.op = Op::kSettings;
  if (describe) emit(row_description(columns_of(command), {}));
  std::vector<std::optional<std::string>> cells;
  for (const std::string& expression : expressions) {
    if (expression.find("'idle_") != std::string::npos) {
      cells.emplace_back(pid_ % 3 == 0 ? "0.02" : "0");
      continue;
    }
    cells.emplace_back(setting_value(expression, lies_ ? start_ : current_, repeatable_));
  }
  emit(data_row(cells));
  complete("SELECT 1");
}

void Backend::run_discard(const Command& command) {
  if (command.op == Op::kTempTable) {
    block_dirty_ |= in_block_;
    writing();
    current_.temporary = session_.temporary = true;
    complete("CREATE TABLE");
  } else if (command.op == Op::kDeallocate) {
    if (statements_.erase(command.name) == 0) {
      fail("26000", "prepared statement does not exist");
    } else {
      complete("DEALLOCATE");
    }
  } else if (in_block_) {
    fail("25001", "DISCARD ALL cannot run inside a transaction block");
  } else {
    current_ = session_ = saved_ = start_;
    statements_.clear();
    complete("DISCARD ALL");
  }
}

// --- COPY

void Backend::dispatch_copy(char tag, std::string_view body) {
  switch (tag) {
    case 'd':
      copy_data_.append(body);
      return;
    case 'c':
      finish_copy(false);
      return;
    case 'f':
      finish_copy(true);
      return;
    case 'X':
      disconnect();
      return;
    default:
      return;  // Sync and Flush are ignored; clients send nothing else
  }
}

// Lines of three numbers each; the second may be \N.
void Backend::finish_copy(bool failed) {
  copying_ = false;
  const Next next = std::move(after_copy_);
  if (failed || cancelled_) {
    fail("57014", "COPY from stdin failed");
    next();
    return;
  }
  Tx& tx = writing();
  std::uint64_t rows = 0;
  for (const char* at = copy_data_.c_str(); *at != '\0';) {
    Row row;
    for (std::size_t column = 0; column < 3; ++column) {
      if (*at != '\\') row[column] = std::atoi(at);
      while (*at != '\t' && *at != '\n') ++at;
      ++at;
    }
    const WriteResult result = origin_.insert(tx, resolve(copy_command_, current_), row, {});
    if (result.error != WriteError::kNone) {
      write_error(result.error);
      next();
      return;
    }
    ++rows;
  }
  ++tx.command;
  complete("COPY " + std::to_string(rows));
  next();
}

// --- the end, and output

void Backend::disconnect() {
  if (closed_) return;
  closed_ = true;
  if (tx_ != nullptr) origin_.abort(*tx_);
  tx_ = nullptr;
  waiting_ = nullptr;
  then_ = nullptr;
}

void Backend::die() {
  emit_async(error_response("FATAL", "57P01", "terminating connection"));
  flush();
  disconnect();
}

const Record* Backend::record(std::uint32_t id) const {
  if (id < first_record_ || id >= records_end()) return nullptr;
  return &records_[id - first_record_];
}

void Backend::forget_records_below(std::uint32_t id) {
  while (first_record_ < id && !records_.empty()) {
    records_.pop_front();
    ++first_record_;
  }
}

void Backend::emit(std::string_view frame) {
  if (random_.one_in(150)) emit_async(notice("by the way"));
  if (silent_) {
    pending_.append(frame);
    return;
  }
  if (!record_open_) {
    record_open_ = true;
    pending_.append(marker(records_end()));
    records_.push_back({message_, {}, false});
  }
  records_.back().frames.append(frame);
  pending_.append(frame);
}

void Backend::complete_read(const Call& call, const Settings& settings, std::size_t rows) {
  const std::string tag = fingerprint_tag(call, settings, rows);
  library_.remember(tag, call, settings);
  complete(tag);
}

void Backend::emit_ready() {
  cancelled_ = false;
  if (current_.date_style != reported_style_) {
    reported_style_ = current_.date_style;
    emit_async(parameter_status("DateStyle", setting_text(Setting::kDateStyle, reported_style_)));
  }
  emit(ready_for_query(status()));
  flush();
}

void Backend::flush() {
  output_.append(pending_);
  pending_.clear();
}

}  // namespace pgcache::simulator
