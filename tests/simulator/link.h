// SPDX-License-Identifier: Apache-2.0
// One connection: a client, the session under test, and the server's backend, joined by pipes in
// which bytes travel in pieces of any size. Does for the session what the socket loop does for it
// in the program.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "proxy/session.h"
#include "simulator/client.h"

namespace pgcache::simulator {

class World;

class Link final : public proxy::SessionIo {
 public:
  Link(World& world, std::uint32_t id);
  ~Link() override;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // One random action; false when it was not possible just now.
  bool step();
  // Everything that can be done without new requests, once each; false when nothing was.
  bool settle();
  bool over() const { return over_; }  // to be replaced by a new one

  // The world's accidents.
  void lose_origin();
  void shut_down();
  void reset_client();
  void cancel();

  std::string state() const;
  std::size_t outstanding() const { return session_ ? client_.outstanding() : 0; }
  const proxy::RouteStats& stats() const { return stats_; }
  // Nothing older is of interest.
  std::uint64_t oldest_moment() const;

  // --- proxy::SessionIo
  TimePoint now() override;
  proxy::ClientTls client_tls() override { return proxy::ClientTls::kNotOffered; }
  void start_client_tls(std::string_view /*received*/, proxy::TlsStart /*how*/) override {}
  void connect_origin(origin::Encryption how) override;
  bool channel_binding_holds() override { return false; }
  void on_cancel_key(const std::string& /*key*/) override {}
  void deliver_cancel(std::string /*key*/) override {}
  void forward_cancel(std::string key) override;
  void request_position() override;
  std::function<void()> wake_callback() override;
  void set_timer(TimePoint when) override { timer_ = when; }
  void clear_timer() override { timer_.reset(); }

 private:
  struct Pipe {
    std::string bytes;
    std::size_t capacity = 0;
    bool ended = false;  // nothing more will be put in
    std::size_t room() const { return capacity > bytes.size() ? capacity - bytes.size() : 0; }
    bool over() const { return ended && bytes.empty(); }
  };
  enum class Event : std::uint8_t { kConnected, kRefused, kWake, kPosition };
  struct Mail {
    Event event = Event::kWake;
    pg::Lsn position;
  };
  using Mailbox = std::deque<Mail>;

  void trace(std::string_view what, std::string_view bytes);
  bool act(std::uint32_t choice);
  bool make_requests();
  bool leave();
  bool deliver_to_session();
  bool deliver_to_backend();
  bool deliver_from_backend();
  bool deliver_to_client();
  bool run_backend();
  bool open_mail();
  bool fire_timer();
  void end_session();
  void after_event();
  void note_hits();
  void pump();
  void flush();
  std::string take(Pipe& pipe, std::size_t most);
  void collect_client_output();
  bool fault_drops_frame(std::string& bytes);

  World& world_;
  const std::uint32_t id_;
  std::deque<HitWindow> hits_;
  proxy::RouteStats stats_;
  std::uint64_t hits_seen_ = 0;
  std::uint64_t portal_hits_seen_ = 0;
  std::optional<HitWindow> bind_window_;  // of the last hit
  proxy::SessionEnvironment environment_;
  Client client_;
  std::unique_ptr<Backend> backend_;  // once connected
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::optional<TimePoint> timer_;

  Pipe client_to_session_;
  Pipe session_to_client_;
  Pipe session_to_backend_;
  Pipe backend_to_session_;
  bool origin_open_ = false;
  bool over_limit_ = false;
  bool client_end_told_ = false;
  bool excused_ = false;  // the world broke it
  bool over_ = false;
  std::unique_ptr<proxy::Session> session_;  // last: it is destroyed first
};

}  // namespace pgcache::simulator
