// SPDX-License-Identifier: Apache-2.0
#include "proxy/cancel.h"

#include "proxy/origin_dial.h"
#include "proxy/worker.h"
#include "wire/frame.h"

namespace pgcache::proxy {

namespace {
constexpr auto kTimeout = std::chrono::seconds(10);
constexpr std::size_t kReadBytes = 64;
}  // namespace

CancelForwarder::CancelForwarder(Worker& worker, std::function<void()> done)
    : worker_(worker), timer_(worker.loop(), [this] { finish(); }), done_(std::move(done)) {}

void CancelForwarder::start(Worker& worker, origin::Encryption how, const std::string& key,
                            std::function<void()> done) {
  auto self = std::make_shared<CancelForwarder>(worker, std::move(done));
  wire::append_cancel_request(self->request_.tail(), key);
  self->timer_.start(kTimeout);
  OriginDial::start(worker, how,
                    [self](std::unique_ptr<net::Stream> stream, const std::string& /*why*/) {
                      self->on_connected(std::move(stream));
                    });
  worker.keep(self);
}

void CancelForwarder::on_connected(std::unique_ptr<net::Stream> stream) {
  if (!stream || !done_) {
    finish();
    return;
  }
  stream_ = std::move(stream);
  stream_->set_handlers([this] { on_readable(); }, [this] { stream_->write(request_); });
  if (!stream_->write(request_)) {
    finish();
    return;
  }
  stream_->watch_readable(true);
}

// Until the origin closes.
void CancelForwarder::on_readable() {
  const net::Stream::ReadResult result = stream_->read(ignored_, kReadBytes);
  ignored_.consume(ignored_.size());
  if (result == net::Stream::ReadResult::kClosed || result == net::Stream::ReadResult::kReset) {
    finish();
  }
}

void CancelForwarder::finish() {
  if (!done_) return;
  timer_.cancel();
  if (stream_) stream_->close();
  const std::function<void()> done = std::move(done_);
  done_ = nullptr;
  worker_.release(shared_from_this());
  done();
}

}  // namespace pgcache::proxy
