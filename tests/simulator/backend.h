// SPDX-License-Identifier: Apache-2.0
// The simulated server's side of one connection: protocol 3 over the model, one message a step.
//
// In front of the frames that answer one message it puts a marker (a NotificationResponse, which a
// proxy has to relay in its place), and keeps a Record of the message and of the answer. So a
// client can tell what the server said from what the proxy made up, and compare both.
//
// COMMIT writes its record at once and answers only when the transaction has become visible, which
// the world decides: until then the backend is blocked.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "simulator/statements.h"

namespace pgcache::simulator {

struct Record {
  std::string request;  // the whole message
  std::string frames;
  bool done = false;
};

// The DataRows and the CommandComplete of a read. The tag also holds a fingerprint of everything
// that the answer depends on besides the data, so that an answer under a wrong key is always seen.
std::string read_answer(const Call& call, const Table& table, const Settings& settings);
std::string fingerprint_tag(const Call& call, const Settings& settings, std::size_t rows);

class Backend {
 public:
  // `configured`: the server's lc_monetary, for sessions that do not set it. `lies`: tells pgcache
  // the settings that the session began with (a fault on purpose).
  Backend(Origin& origin, Library& library, Random& random, std::uint32_t pid,
          const int& configured, bool lies);

  void receive(std::string_view bytes) { input_.append(bytes); }
  bool can_step() const;
  void step();
  std::string& output() { return output_; }
  // The peer has gone; what is not committed yet is rolled back.
  void disconnect();
  // Ends the connection with an error that nobody asked for.
  void die();
  void cancel() { cancelled_ = true; }
  bool closed() const { return closed_; }

  // --- for the checks
  const Record* record(std::uint32_t id) const;
  void forget_records_below(std::uint32_t id);
  std::uint32_t records_end() const {
    return first_record_ + static_cast<std::uint32_t>(records_.size());
  }
  const Settings& settings() const { return current_; }
  // The moment of the last commit that this session made.
  const Moments& own_commits() const { return own_commits_; }
  // A session in this state must not be answered from memory.
  bool must_not_be_served() const;
  bool is_idle() const { return started_ && input_.empty() && !waiting_; }
  // The moment that the open block's reads look at, or the present.
  std::uint64_t oldest_view() const;

 private:
  struct Portal {
    Call call;
    Table table;
    Settings settings;
    std::size_t position = 0;
    bool complete = false;
  };
  using Next = std::function<void()>;

  // backend.cc: messages
  void start(std::string_view packet);
  void finish_startup();
  void reload_configuration();
  void dispatch(std::string_view frame);
  void dispatch_copy(char tag, std::string_view body);
  void on_query(std::string_view body);
  void run_next();
  void finish_query();
  void on_sync();
  void on_parse(std::string_view body);
  void on_bind(std::string_view body);
  void on_describe(std::string_view body);
  void on_execute(std::string_view body);
  void execute_portal(Portal& portal, std::size_t row_limit);
  void on_close(std::string_view body);
  void finish_copy(bool failed);

  // backend_commands.cc: what commands do
  void run(const Command& command, const Call& call, bool describe, Next next);
  void run_read(const Command& command, const Call& call, bool describe);
  void run_write(const Command& command, const Call& call);
  void run_set(const Command& command, bool describe);
  void run_settings_query(bool describe);
  void note_own(char tag, std::string_view body);
  void run_discard(const Command& command);
  void begin_block(const Command& command);
  void begin_implicit();
  Tx& writing();
  View view();
  void commit_then(Next next);
  void roll_back();
  void fail(std::string_view sqlstate, std::string_view message);
  bool refuses(const Script* script) const;
  void write_error(WriteError error);

  // output
  void emit(std::string_view frame);
  void emit_async(std::string_view frame) { pending_.append(frame); }
  void complete(std::string_view tag) { emit(command_complete(tag)); }
  void complete_read(const Call& call, const Settings& settings, std::size_t rows);
  void emit_ready();
  void flush();
  char status() const { return failed_ ? 'E' : in_block_ ? 'T' : 'I'; }

  Origin& origin_;
  Library& library_;
  Random& random_;
  const std::uint32_t pid_;
  const int& configured_;
  const bool lies_;
  std::string input_;
  std::string pending_;  // not flushed yet
  std::string output_;
  bool started_ = false;
  bool asked_password_ = false;
  bool closed_ = false;
  bool skipping_ = false;  // after an error, until Sync
  bool cancelled_ = false;
  bool erred_ = false;         // the present message
  bool silent_ = false;        // the present message is the proxy's own
  bool own_exchange_ = false;  // and so is all since the last Sync

  std::deque<Record> records_;
  std::uint32_t first_record_ = 1;
  bool record_open_ = false;
  std::string message_;  // the present one

  const Script* query_ = nullptr;  // the simple query under way
  std::size_t query_at_ = 0;
  std::string copy_data_;
  bool copying_ = false;
  Command copy_command_;
  Next after_copy_;

  Tx* waiting_ = nullptr;
  Next then_;

  Tx* tx_ = nullptr;
  bool implicit_ = false;
  bool in_block_ = false;
  bool failed_ = false;
  bool repeatable_ = false;
  std::optional<std::uint64_t> repeatable_at_;
  Moments own_commits_{};  // the moments of the last that changed the table
  bool block_dirty_ = false;

  bool overridden_ = false;  // lc_monetary was set: the configuration does not matter
  Settings start_;           // as the session began
  Settings saved_;           // at the start of the transaction
  Settings session_;         // what a commit would leave
  Settings current_;
  int reported_style_ = 0;

  std::map<std::string, const Script*, std::less<>> statements_;
  std::map<std::string, Portal, std::less<>> portals_;
};

}  // namespace pgcache::simulator
