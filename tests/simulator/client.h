// SPDX-License-Identifier: Apache-2.0
// A simulated client: makes requests, and checks every byte that comes back.
//
// An answer with a marker in front came from the server: it must be the server's frames, for the
// request whose turn it is. An answer without one was made by the proxy: it must be what the model
// would have answered at some moment of the window that the proxy's promise leaves open.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "simulator/backend.h"

namespace pgcache::simulator {

// An answer from memory, noted when the session gave it.
struct HitWindow {
  std::uint64_t oldest = 0;  // moments of the model
  std::uint64_t newest = 0;
  Moments own_commits{};  // of the session: what reads the table is no older (ADR 21)
  Settings settings;      // that the session had
  bool reloaded =
      false;  // the server's configuration has changed, which the proxy does not know yet
};

struct Counters {
  std::uint64_t requests = 0;
  std::uint64_t answers = 0;  // by the server
  std::uint64_t hits = 0;
  std::uint64_t extended_hits = 0;
  std::uint64_t block_hits = 0;  // within a transaction block
  std::uint64_t errors = 0;
  std::uint64_t local_blocks = 0;  // that the server did not see
};

// Where a client lives. All outlive it.
struct ClientContext {
  Origin& origin;
  Library& library;
  Random& random;
  std::deque<HitWindow>& hits;
  Counters& counters;
  bool calm;   // reads the same few things most of the time
  bool joins;  // most of all joins
  std::function<void(std::string)> fail;
};

class Client {
 public:
  Client(ClientContext context, const std::string& database);

  // --- sending
  std::string& output() { return output_; }
  bool ready() const { return ready_ && !closing(); }
  // Appends the next messages to output(), of a new exchange if the last one is complete.
  void make_requests();
  void finish_open_exchange();  // sends what is missing of the present exchange
  void send_terminate();
  void half_close() { half_closed_ = true; }
  std::size_t outstanding() const { return expected_.size(); }
  bool in_open_exchange() const { return !plan_.empty(); }
  bool half_closed() const { return half_closed_; }
  bool closing() const { return terminated_ || half_closed_ || fatal_seen_; }
  bool fatal_seen() const { return fatal_seen_; }
  bool started() const { return ready_; }

  // --- receiving
  void receive(std::string_view bytes, Backend* backend);
  // All that will come has come. `excused`: the world broke the connection.
  void on_end(bool excused, Backend* backend);

 private:
  struct Expected {
    char tag = 0;
    std::string frame;
    std::string statement;
    std::string portal;
    const Script* script = nullptr;
    std::vector<BoundParameter> parameters;
    std::vector<int> result_formats;
    char kind = 'S';
  };

  // client.cc: checking
  void on_startup_frame(std::string_view frame);
  void on_frame(std::string_view frame, Backend& backend);
  void on_marker(std::uint32_t id, Backend& backend);
  bool is_hidden_parse(const Record& record) const;
  bool is_hidden_describe(const Record& record);
  bool is_hidden_begin(const Record& record);
  bool is_hidden_prepare(const Record& record);
  bool is_own_block_command(const Script& script) const;
  void check_block_command(const Script& script, bool simple);
  void on_record_frame(std::string_view frame, const Record& record);
  void settle_record(Backend& backend);
  void finish_record();
  void on_own_frame(std::string_view frame);
  void on_own_part(std::string_view frame, char wanted);
  struct OpenPortal {
    Call call;
    std::optional<HitWindow>
        window;  // of the look-up that it runs from, once it was run from memory
  };
  void check_hit(const Call& call, OpenPortal* portal);
  void note_done(const Expected& request, bool success);
  void note_commands(const Script& script);
  void pop_expected();
  void drop_until_sync();

  // client_requests.cc: making requests
  void plan(Expected expected) { plan_.push_back(std::move(expected)); }
  void plan_other(char tag, std::string_view body);
  void plan_query(const Script& script);
  void plan_parse(const std::string& name, const Script& script);
  void plan_bind(const std::string& portal, const std::string& statement, const Script& script);
  void plan_target(char tag, char kind, const std::string& name);
  void plan_execute(const std::string& portal, std::uint32_t row_limit);
  void plan_sync();
  void send_planned();
  void plan_exchange();
  Number id();
  std::vector<Number> read_values(Read read);
  Script random_read(bool parameters);
  Script random_write(bool parameters);
  Script simple_command(Op op, std::string text);
  Script setting_command();
  void plan_call(const Script& script, const std::string& portal, bool parse);
  void extended_exchange();
  void named_exchange();
  void several_in_one_query();
  void rare_exchange();
  void own_write_exchange();
  void copy_exchange();

  ClientContext context_;
  std::string output_;
  std::string input_;
  bool ssl_asked_ = false;
  bool ready_ = false;
  bool terminated_ = false;
  bool half_closed_ = false;
  bool fatal_seen_ = false;
  bool in_block_ = false;      // as far as sent
  std::deque<Expected> plan_;  // of the present exchange, not sent yet
  std::map<std::string, const Script*> sent_statements_;

  std::deque<Expected> expected_;
  char status_ = 'I';
  bool dropping_ = false;  // after an error, until the answer to Sync
  std::uint32_t next_record_ = 1;
  std::uint32_t active_ = 0;  // record whose frames are coming
  std::size_t active_at_ = 0;
  bool active_error_ = false;
  bool active_hidden_ = false;
  bool perhaps_hidden_ = false;  // or not: then its answer follows
  bool hidden_portal_ = false;   // a hidden Execute was answered
  std::string own_;              // frames without a marker, of the present answer
  // A BEGIN that the proxy answered and the server has not seen: the messages by which it will.
  std::deque<std::string> unseen_begin_;
  // The same for statements that it prepared in the exchange that executes them.
  std::deque<std::string> unseen_prepare_;
  std::string hidden_describe_;  // that may come behind a hidden Parse
  std::map<std::string, const Script*> statements_;
  std::map<std::string, OpenPortal> portals_;
};

}  // namespace pgcache::simulator
