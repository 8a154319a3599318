// SPDX-License-Identifier: Apache-2.0
// The thin loop around a Session: moves bytes between two sockets and it, and carries out what it
// asks for. Lives on its worker's thread, in the worker's list of sessions.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "net/event_loop.h"
#include "net/stream.h"
#include "proxy/client_counts.h"
#include "proxy/session.h"

namespace pgcache::proxy {

class Worker;

class SessionLoop final : public SessionIo, public std::enable_shared_from_this<SessionLoop> {
 public:
  SessionLoop(Worker& worker, net::FileDescriptor client, ClientCounts::Slot slot);
  void start();
  void shut_down();  // pgcache ends: FATAL 57P01

  // SessionIo
  TimePoint now() override;
  ClientTls client_tls() override;
  void start_client_tls(std::string_view received, TlsStart how) override;
  void connect_origin(origin::Encryption how) override;
  bool channel_binding_holds() override;
  void on_cancel_key(const std::string& key) override;
  void deliver_cancel(std::string key) override;
  void forward_cancel(std::string key) override;
  void request_position() override;
  std::function<void()> wake_callback() override;
  void set_timer(TimePoint when) override;
  void clear_timer() override;

 private:
  template <typename F>
  void run(F&& f);
  void pump();
  bool flush();  // false when the client is gone
  bool session_over_limit();
  void watch_reads();
  void read_client();
  void read_origin();
  void lose_client(bool reset);
  void finish();
  void linger();
  void on_timer();
  using CancelAnswer = std::function<void(bool taken)>;
  void take_cancel(CancelAnswer answer);
  bool hold_cancel(CancelAnswer& answer);
  void release_cancels();
  void send_cancel(std::string key);
  void on_cancel_delivered(bool taken);
  void on_client_handshake(const Status& status, bool direct);
  void on_origin_connected(std::unique_ptr<net::Stream> stream, const std::string& why);
  template <typename... Args>
  std::function<void(Args...)> posting(void (*then)(SessionLoop&, Args...));

  friend class Worker;
  std::shared_ptr<SessionLoop> next_ended_;  // in the worker's list

  Worker& worker_;
  const bool client_is_local_;  // a Unix socket
  const ClientCounts::Slot slot_;
  net::Stream client_;
  std::unique_ptr<net::Stream> origin_;  // null until there is one
  net::Timer timer_;
  net::Timer cancel_timer_;
  Session session_;
  std::string cancel_key_;      // of this session
  std::string cancel_request_;  // the key in the client's CancelRequest
  // Requests for a query that the origin may not have read yet, and which it is.
  std::vector<std::pair<std::uint64_t, CancelAnswer>> held_cancels_;
  bool over_limit_ = false;
  bool client_readable_end_ = false;  // end of file seen
  bool origin_ended_ = false;         // its connection's sending side is shut
  bool lingering_ = false;
  bool done_ = false;
};

}  // namespace pgcache::proxy
