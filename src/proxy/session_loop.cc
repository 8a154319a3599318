// SPDX-License-Identifier: Apache-2.0
#include "proxy/session_loop.h"

#include <utility>

#include "base/log.h"
#include "proxy/origin_dial.h"
#include "proxy/worker.h"

namespace pgcache::proxy {

namespace {
constexpr std::size_t kClientReadBytes = 16 * 1024;
constexpr std::size_t kOriginReadBytes = 64 * 1024;
constexpr auto kLingerTime = std::chrono::seconds(1);
// PostgreSQL drops a cancel request that comes before its query is read. So long after a query has
// been sent it has been.
constexpr auto kUnreadMax = std::chrono::milliseconds(5);
}  // namespace

SessionLoop::SessionLoop(Worker& worker, net::FileDescriptor client, ClientCounts::Slot slot)
    : worker_(worker),
      client_is_local_(client.is_local()),
      slot_(std::move(slot)),
      client_(
          worker.loop(), std::move(client), [this] { run([this] { read_client(); }); },
          [this] { run([this] { pump(); }); }),
      timer_(worker.loop(), [this] { run([this] { on_timer(); }); }),
      cancel_timer_(worker.loop(), [this] { run([this] { release_cancels(); }); }),
      session_(worker.environment(), *this) {}

void SessionLoop::start() {
  run([this] {
    session_.start();
    pump();
  });
}

void SessionLoop::shut_down() {
  run([this] {
    session_.on_shutdown();
    pump();
  });
}

// What an event makes the session do. Where that throws, for want of memory, the session is at odds
// with its peers, or has half a message for them: it ends, and no other does.
template <typename F>
void SessionLoop::run(F&& f) {
  if (done_) return;
  try {
    f();
    return;
  } catch (const std::exception& error) {
    log_error("a session failed and is closed: {}", error.what());
  }
  RouteStats::bump(worker_.environment().stats->sessions_failed);
  if (done_) return;
  try {
    session_.on_client_closed(true);
  } catch (const std::exception&) {  // a query that runs is not cancelled, then
  }
  finish();
}

TimePoint SessionLoop::now() { return std::chrono::steady_clock::now(); }

ClientTls SessionLoop::client_tls() {
  const config::Config& config = *worker_.environment().config;
  if (config.tls_cert.empty() || client_is_local_) return ClientTls::kNotOffered;
  return config.tls_required ? ClientTls::kRequired : ClientTls::kOffered;
}

void SessionLoop::start_client_tls(std::string_view received, TlsStart how) {
  // An 'S' that the socket does not take was never said: the client waits until it is let go.
  if (!client_.write(session_.to_client()) || !session_.to_client().empty()) {
    session_.to_client().clear();
  }
  client_.start_tls(worker_.client_tls().get(), received, {}, [this, how](const Status& status) {
    run([&] { on_client_handshake(status, how == TlsStart::kDirect); });
  });
}

void SessionLoop::on_client_handshake(const Status& status, bool direct) {
  if (done_) return;
  std::string_view why;
  if (!status.ok()) {
    why = status.error().message;
  } else if (direct && client_.tls()->protocol().empty()) {
    // Without it some other protocol's client might be talked into this conversation.
    why = "direct connection without ALPN";
  }
  if (!why.empty()) {
    log_info("a client's TLS handshake failed: {}", why);
    lose_client(true);
    return;
  }
  session_.on_client_secured();
  pump();
}

// A function for another thread to call: runs `then` on the worker's, if the session still lives.
template <typename... Args>
std::function<void(Args...)> SessionLoop::posting(void (*then)(SessionLoop&, Args...)) {
  return [weak = weak_from_this(), &loop = worker_.loop(), then](Args... args) {
    loop.post([weak, then, args...] {
      const auto self = weak.lock();
      if (self) self->run([&] { then(*self, args...); });
    });
  };
}

void SessionLoop::connect_origin(origin::Encryption how) {
  if (origin_) origin_->close();
  origin_ended_ = false;
  OriginDial::start(
      worker_, how,
      [weak = weak_from_this()](std::unique_ptr<net::Stream> stream, const std::string& why) {
        const auto self = weak.lock();
        if (self) self->run([&] { self->on_origin_connected(std::move(stream), why); });
      });
}

void SessionLoop::on_origin_connected(std::unique_ptr<net::Stream> stream, const std::string& why) {
  if (!stream) {
    session_.on_origin_closed(why);
  } else {
    origin_ = std::move(stream);
    origin_->set_handlers([this] { run([this] { read_origin(); }); },
                          [this] { run([this] { pump(); }); });
    session_.on_origin_connected(origin_->tls() != nullptr);
  }
  pump();
}

bool SessionLoop::channel_binding_holds() {
  if (client_.tls() == nullptr || !origin_ || origin_->tls() == nullptr) return false;
  const std::string ours = client_.tls()->end_point();
  return !ours.empty() && ours == origin_->tls()->end_point();
}

void SessionLoop::on_cancel_key(const std::string& key) {
  cancel_key_ = key;
  worker_.cancel_keys().add(key, {&worker_, weak_from_this()});
}

void SessionLoop::deliver_cancel(std::string key) {
  cancel_request_ = std::move(key);
  const std::optional<CancelKeys::Owner> owner = worker_.cancel_keys().find(cancel_request_);
  if (!owner) {
    forward_cancel(cancel_request_);
    return;
  }
  owner->worker->loop().post(
      [session = owner->session,
       answer = posting(+[](SessionLoop& self, bool taken) { self.on_cancel_delivered(taken); })] {
        const auto other = session.lock();
        if (other && !other->done_) {
          other->take_cancel(answer);
        } else {
          answer(false);
        }
      });
}

// What the client sent before its request may not have been read yet: the request is for that.
void SessionLoop::take_cancel(CancelAnswer answer) {
  bool taken = false;
  bool held = false;
  run([&] {
    if (!client_readable_end_ && session_.wants_client_bytes()) read_client();
    taken = !done_ && session_.on_cancel();
    if (!done_) pump();
    held = !taken && !done_ && hold_cancel(answer);
  });
  if (!held) answer(taken);
}

// True: answered when the query that runs has surely been read, or is over. A later one must not be
// hit.
bool SessionLoop::hold_cancel(CancelAnswer& answer) {
  const Session::Running running = session_.running();
  const Duration since = now() - running.sent;
  if (running.unit == 0 || since >= kUnreadMax) return false;
  if (held_cancels_.empty()) cancel_timer_.start(kUnreadMax - since);
  held_cancels_.emplace_back(running.unit, std::move(answer));
  return true;
}

// One that cannot be answered, for want of memory, costs the others nothing.
void SessionLoop::release_cancels() {
  const std::uint64_t runs = done_ ? 0 : session_.running().unit;
  for (const auto& [unit, answer] : std::exchange(held_cancels_, {})) {
    try {
      answer(!done_ && runs != unit);
    } catch (const std::exception& error) {
      log_error("a cancel request is lost: {}", error.what());
    }
  }
}

void SessionLoop::on_cancel_delivered(bool taken) {
  if (!taken) {
    forward_cancel(cancel_request_);
    return;
  }
  session_.on_origin_closed({});
  pump();
}

void SessionLoop::forward_cancel(std::string key) {
  CancelAnswer own = [this, key](bool over) {
    if (!over) send_cancel(key);
  };
  if (!origin_ || !hold_cancel(own)) send_cancel(std::move(key));
}

void SessionLoop::send_cancel(std::string key) {
  const bool secured = origin_ && origin_->tls() != nullptr;
  const origin::SslMode mode = worker_.environment().origin_ssl_mode;
  worker_.forward_cancel(std::move(key),
                         secured ? origin::Encryption::kMust : origin::first_encryption(mode),
                         posting(+[](SessionLoop& self) {
                           if (self.origin_) return;  // its own query's: nothing waits for it
                           self.session_.on_origin_closed({});
                           self.pump();
                         }));
}

void SessionLoop::request_position() {
  worker_.request_position(
      posting(+[](SessionLoop& self, pg::Lsn position) { self.session_.on_position(position); }));
}

std::function<void()> SessionLoop::wake_callback() {
  return posting(+[](SessionLoop& self) {
    self.session_.on_wake();
    self.pump();
  });
}

void SessionLoop::set_timer(TimePoint when) { timer_.start(when - now()); }

void SessionLoop::clear_timer() { timer_.cancel(); }

void SessionLoop::on_timer() {
  if (lingering_) {
    finish();
    return;
  }
  session_.on_timer();
  pump();
}

// After every event: write what there is to write, close what is to be closed, read on.
void SessionLoop::pump() {
  for (;;) {
    // Noted before the flush: the session stopped taking frames then, whatever the sockets take
    // now.
    over_limit_ = over_limit_ || session_over_limit();
    if (done_ || !flush()) return;
    if (!over_limit_ || session_over_limit()) break;
    over_limit_ = false;
    session_.on_output_drained();
  }
  if (origin_ && session_.close_origin_when_flushed() && session_.to_origin().empty() &&
      origin_->flushed()) {
    origin_->close();
  }
  if (origin_ && session_.end_origin_when_flushed() && session_.to_origin().empty() &&
      origin_->flushed() && !std::exchange(origin_ended_, true)) {
    origin_->shutdown_sending();
  }
  if (session_.close_client_when_flushed() && session_.to_client().empty() && client_.flushed()) {
    linger();
    return;
  }
  watch_reads();
}

bool SessionLoop::session_over_limit() {
  const std::uint64_t limit = worker_.environment().config->session_buffer;
  return session_.to_client().size() > limit || session_.to_origin().size() > limit;
}

bool SessionLoop::flush() {
  if (!session_.to_client().empty() && !client_.write(session_.to_client())) {
    lose_client(true);
    return false;
  }
  if (origin_ && origin_->open() && !session_.to_origin().empty() &&
      !origin_->write(session_.to_origin())) {
    // What it said before it went is still to be read; reading finds the end.
    session_.to_origin().clear();
  }
  return true;
}

void SessionLoop::watch_reads() {
  client_.watch_readable(!client_readable_end_ && session_.wants_client_bytes());
  if (origin_) origin_->watch_readable(session_.wants_origin_bytes());
}

void SessionLoop::read_client() {
  if (done_) return;
  switch (client_.read(session_.client_input(), kClientReadBytes)) {
    case net::Stream::ReadResult::kBytes:
      if (lingering_) {
        session_.client_input().consume(session_.client_input().size());
        return;
      }
      session_.on_client_bytes();
      break;
    case net::Stream::ReadResult::kNothing:
      break;
    case net::Stream::ReadResult::kClosed:
      client_readable_end_ = true;
      if (lingering_) {
        finish();
        return;
      }
      session_.on_client_closed(false);
      break;
    case net::Stream::ReadResult::kReset:
      lose_client(true);
      return;
  }
  pump();
}

void SessionLoop::read_origin() {
  if (done_ || !origin_ || !origin_->open()) return;
  switch (origin_->read(session_.origin_input(), kOriginReadBytes)) {
    case net::Stream::ReadResult::kBytes:
      session_.on_origin_bytes();
      break;
    case net::Stream::ReadResult::kNothing:
      break;
    case net::Stream::ReadResult::kClosed:
    case net::Stream::ReadResult::kReset:
      origin_->close();
      session_.on_origin_closed("the origin closed the connection");
      break;
  }
  pump();
}

void SessionLoop::lose_client(bool reset) {
  session_.on_client_closed(reset);
  finish();
}

// The last bytes have been written. Closing with unread input would send a reset that can destroy
// them on their way, so the client is given a moment to close first.
void SessionLoop::linger() {
  if (lingering_) return;
  lingering_ = true;
  if (origin_) origin_->close();
  client_.shutdown_sending();
  if (client_readable_end_) {
    finish();
    return;
  }
  timer_.start(kLingerTime);
  client_.watch_readable(true);
}

void SessionLoop::finish() {
  if (done_) return;
  done_ = true;
  cancel_timer_.cancel();
  release_cancels();
  timer_.cancel();
  if (!cancel_key_.empty()) worker_.cancel_keys().remove(cancel_key_);
  client_.close();
  if (origin_) origin_->close();
  worker_.forget(shared_from_this());
}

}  // namespace pgcache::proxy
