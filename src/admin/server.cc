// SPDX-License-Identifier: Apache-2.0
// The HTTP side of the admin endpoint: Beast on one thread. A connection reads a request, writes
// its answer, and goes on while both sides want to keep it. Everything has a limit: the number of
// connections (further ones are closed at once), the size of a request, and the time it takes.
#include "admin/server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "admin/answer.h"
#include "base/log.h"

namespace pgcache::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::size_t kConnectionsMax = 64;
constexpr std::uint32_t kHeaderBytesMax = 8192;
constexpr std::uint64_t kBodyBytesMax = 4096;
constexpr std::size_t kDrainBytesMax = 65536;
constexpr auto kRequestTimeout = std::chrono::seconds(15);
constexpr auto kWriteTimeout = std::chrono::seconds(15);
constexpr auto kDrainTimeout = std::chrono::seconds(1);
constexpr auto kAcceptRetry = std::chrono::milliseconds(100);

std::uint16_t status_of(const error_code& error) {
  if (error == http::error::header_limit) return 431;
  if (error == http::error::body_limit) return 413;
  return 400;
}

Answer guarded_answer(std::string_view method, std::string_view target, const AdminSources& sources,
                      std::string_view accept) {
  try {
    return answer(method, target, sources, accept);
  } catch (const std::exception& error) {  // out of memory, say: the proxy itself lives on
    log_error("admin: {}", error.what());
    Answer failed;
    failed.status = 500;
    failed.body = "internal error\n";
    return failed;
  }
}

// Owned by its own pending operation; gone when none is left. `live` counts connections.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const AdminSources& sources, std::shared_ptr<std::size_t> live)
      : stream_(std::move(socket)), sources_(sources), live_(std::move(live)) {
    ++*live_;
  }
  ~Connection() { --*live_; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(kHeaderBytesMax);
    parser_->body_limit(kBodyBytesMax);
    stream_.expires_after(kRequestTimeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const error_code& error, std::size_t) {
                       self->on_read(error);
                     });
  }

 private:
  void on_read(const error_code& error) {
    if (error == http::error::end_of_stream) {
      finish();
    } else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
               error != http::error::partial_message) {
      Answer refused;
      refused.status = status_of(error);
      refused.body = error.message() + "\n";
      write(std::move(refused), false, false);
    } else if (!error) {
      const auto& request = parser_->get();
      const std::string_view method(request.method_string().data(), request.method_string().size());
      const std::string_view target(request.target().data(), request.target().size());
      const auto header = request[http::field::accept];
      const std::string_view accept(header.data(), header.size());
      write(guarded_answer(method, target, sources_, accept), request.keep_alive(),
            method == "HEAD");
    }
    // Any other error is a peer that went away or was too slow: the connection ends here.
  }

  void write(Answer made, bool keep_alive, bool head) {
    response_ = {};
    response_.version(11);
    response_.result(made.status);
    response_.set(http::field::server, "pgcache");
    response_.set(http::field::content_type, made.content_type);
    response_.set(http::field::cache_control, "no-store");
    if (made.status == 405) response_.set(http::field::allow, "GET, HEAD");
    response_.keep_alive(keep_alive);
    response_.content_length(made.body.size());
    if (!head) response_.body() = std::move(made.body);
    stream_.expires_after(kWriteTimeout);
    http::async_write(
        stream_, response_,
        [self = shared_from_this(), keep_alive](const error_code& error, std::size_t) {
          self->on_written(error, keep_alive);
        });
  }

  void on_written(const error_code& error, bool keep_alive) {
    if (error) return;
    if (keep_alive) {
      read();
    } else {
      finish();
    }
  }

  // Closing with unread input resets the connection, and the peer may lose the answer: so first say
  // that nothing more comes, and take what is still under way.
  void finish() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kDrainTimeout);
    drain();
  }

  void drain() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(4096),
                            [self = shared_from_this()](const error_code& error, std::size_t n) {
                              self->drained_ += n;
                              if (!error && self->drained_ < kDrainBytesMax) self->drain();
                            });
  }

  beast::tcp_stream stream_;
  const AdminSources& sources_;
  std::shared_ptr<std::size_t> live_;
  beast::flat_buffer buffer_{kHeaderBytesMax + kBodyBytesMax};
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::size_t drained_ = 0;
};

}  // namespace

struct AdminServer::Impl {
  Impl(config::HostPort address, AdminSources given)
      : listen(std::move(address)), sources(std::move(given)) {}

  Status bind() {
    const std::string where = listen.host + " port " + std::to_string(listen.port);
    error_code error;
    tcp::resolver resolver(context);
    const auto found =
        resolver.resolve(listen.host, std::to_string(listen.port), tcp::resolver::passive, error);
    if (error) return Error{"admin: cannot resolve " + where + ": " + error.message()};
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (!error) bound_port = acceptor.local_endpoint(error).port();
    if (error) {
      error_code ignored;
      acceptor.close(ignored);
      return Error{"admin: cannot listen on " + where + ": " + error.message()};
    }
    return {};
  }

  void accept() {
    acceptor.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {  // no descriptors left, most likely: some time later there may be
        retry.expires_after(kAcceptRetry);
        retry.async_wait([this](const error_code& cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      if (*live < kConnectionsMax) {
        std::make_shared<Connection>(std::move(socket), sources, live)->read();
      }
      accept();
    });
  }

  config::HostPort listen;
  AdminSources sources;
  std::shared_ptr<std::size_t> live = std::make_shared<std::size_t>(0);  // with the connections
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  asio::steady_timer retry{context};
  std::uint16_t bound_port = 0;
  std::thread thread;
};

AdminServer::AdminServer(config::HostPort listen, AdminSources sources)
    : impl_(std::make_unique<Impl>(std::move(listen), std::move(sources))) {}

AdminServer::~AdminServer() { stop(); }

Status AdminServer::start() {
  if (const Status bound = impl_->bind(); !bound.ok()) return bound;
  impl_->accept();
  impl_->thread = std::thread([impl = impl_.get()] { impl->context.run(); });
  return {};
}

std::uint16_t AdminServer::port() const { return impl_->bound_port; }

void AdminServer::stop() {
  impl_->context.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace pgcache::admin
