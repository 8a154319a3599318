// SPDX-License-Identifier: Apache-2.0
#include "proxy/origin_dial.h"

#include "proxy/worker.h"
#include "wire/startup.h"

namespace pgcache::proxy {

using origin::Encryption;

namespace {
// The connector has its own limit, and says more. That its answer is lost is noticed so much later.
constexpr auto kAnswerTime = std::chrono::seconds(1);
}  // namespace

OriginDial::OriginDial(Worker& worker, Encryption how, Done done)
    : worker_(worker),
      how_(how),
      done_(std::move(done)),
      timer_(worker.loop(), [this] { on_timer(); }) {}

void OriginDial::start(Worker& worker, Encryption how, Done done) {
  auto self = std::make_shared<OriginDial>(worker, how, std::move(done));
  self->connect();
  worker.keep(self);
}

// What throws, for want of memory, ends it.
template <typename F>
void OriginDial::run(F&& f) {
  if (finished_) return;
  try {
    f();
  } catch (const std::exception& error) {
    finish(error.what());
  }
}

void OriginDial::connect() {
  timer_.start(worker_.environment().config->origin_connect_timeout + kAnswerTime);
  worker_.connect_origin(
      [weak = weak_from_this()](net::FileDescriptor socket, const std::string& why) {
        const auto self = weak.lock();
        if (self) self->run([&] { self->on_socket(std::move(socket), why); });
      });
}

void OriginDial::on_socket(net::FileDescriptor socket, const std::string& why) {
  if (!socket.open()) {
    finish(why);
    return;
  }
  stream_ = std::make_unique<net::Stream>(
      worker_.loop(), std::move(socket), [this] { run([this] { on_readable(); }); },
      [this] { run([this] { stream_->write(output_); }); });
  if (how_ == Encryption::kNone) {
    finish({});
    return;
  }
  timer_.start(worker_.environment().config->origin_connect_timeout);
  if (worker_.origin_tls_direct()) {
    start_tls();
    return;
  }
  wire::append_ssl_request(output_.tail());
  stream_->write(output_);  // that it is broken is found by reading
  stream_->watch_readable(true);
}

// One byte answers; what comes behind it is the handshake's and must not be taken for plain.
void OriginDial::on_readable() {
  switch (stream_->read(input_, 1)) {
    case net::Stream::ReadResult::kBytes:
      stream_->watch_readable(false);
      on_answer(input_.view().front());
      return;
    case net::Stream::ReadResult::kNothing:
      return;
    case net::Stream::ReadResult::kClosed:
    case net::Stream::ReadResult::kReset:
      finish("the server closed the connection when asked for SSL");
      return;
  }
}

void OriginDial::start_tls() {
  const net::TlsContextPtr context = worker_.origin_tls().get();
  if (!context) {
    finish("there is no certificate configuration for the origin");
    return;
  }
  stream_->start_tls(context, {}, worker_.origin_tls_host(),
                     [this](const Status& status) { run([&] { on_handshake(status); }); });
}

void OriginDial::on_answer(char answer) {
  if (answer == 'S') {
    start_tls();
  } else if (answer == 'N' && how_ == Encryption::kIfOffered) {
    finish({});
  } else if (answer == 'N') {
    finish("server does not support SSL, but SSL was required");
  } else {
    finish("received invalid response to SSL negotiation");
  }
}

void OriginDial::on_handshake(const Status& status) {
  if (status.ok() && worker_.origin_tls_direct() && stream_->tls()->protocol().empty()) {
    finish("direct SSL connection was established without ALPN protocol negotiation extension");
    return;
  }
  if (status.ok()) {
    finish({});
    return;
  }
  if (how_ == Encryption::kMust) {
    finish("SSL error: " + status.error().message);
    return;
  }
  // In plain then, by a connection of its own.
  how_ = Encryption::kNone;
  stream_->close();
  connect();
}

// Needs no memory; the timer makes the call, so that it comes from no other's handler.
void OriginDial::finish(std::string why) {
  if (finished_) return;
  finished_ = true;
  why_ = std::move(why);
  if (!why_.empty() && stream_) stream_->close();
  timer_.cancel();
  timer_.start_now();
}

void OriginDial::on_timer() {
  if (!finished_) {
    finish("timeout expired");
    return;
  }
  const auto self = shared_from_this();
  worker_.release(self);
  done_(why_.empty() ? std::move(stream_) : nullptr, why_);
}

}  // namespace pgcache::proxy
