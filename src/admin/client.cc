// SPDX-License-Identifier: Apache-2.0
// One HTTP request, and its answer read.
#include "admin/client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

namespace pgcache::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

constexpr std::uint64_t kBodyBytesMax = 16u << 20;

// Connect, write, read: each step starts the next one, and the stream's clock ends them all.
class Exchange {
 public:
  Exchange(const config::HostPort& address, const std::string& target) {
    request_.method(http::verb::get);
    request_.target(target);
    request_.version(11);
    request_.set(http::field::host, address.host);
    request_.keep_alive(false);
    parser_.body_limit(kBodyBytesMax);
  }

  error_code run(const config::HostPort& address, std::chrono::milliseconds timeout) {
    error_code failed;
    tcp::resolver resolver(context_);
    const auto found = resolver.resolve(address.host, std::to_string(address.port), failed);
    if (failed) return failed;
    stream_.expires_after(timeout);
    stream_.async_connect(found, [&](const error_code& error, const tcp::endpoint&) {
      if (finished(error, failed)) return;
      http::async_write(stream_, request_, [&](const error_code& written, std::size_t) {
        if (finished(written, failed)) return;
        http::async_read(stream_, buffer_, parser_,
                         [&](const error_code& read, std::size_t) { finished(read, failed); });
      });
    });
    context_.run();
    return failed;
  }

  unsigned status() const { return parser_.get().result_int(); }
  const std::string& body() const { return parser_.get().body(); }

 private:
  static bool finished(const error_code& error, error_code& out) {
    out = error;
    return bool(error);
  }

  asio::io_context context_{1};
  beast::tcp_stream stream_{context_};
  beast::flat_buffer buffer_;
  http::request<http::empty_body> request_;
  http::response_parser<http::string_body> parser_;
};

}  // namespace

Result<std::string> fetch(const config::HostPort& address, const std::string& target,
                          std::chrono::milliseconds timeout) {
  Exchange exchange(address, target);
  if (const error_code error = exchange.run(address, timeout)) return Error{error.message()};
  if (exchange.status() != 200) return Error{"status " + std::to_string(exchange.status())};
  return exchange.body();
}

Result<PrecisionReport> parse_precision(const std::string& text) {
  using Json = nlohmann::json;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("tables") || !json["tables"].is_array() ||
      !json.contains("origin") || !json["origin"].is_string()) {
    return Error{"not a report of /precision"};
  }
  PrecisionReport report;
  report.origin = json["origin"].get<std::string>();
  for (const Json& one : json["tables"]) {
    const auto word = [&](const char* key) {
      return one.is_object() && one.contains(key) && one[key].is_string()
                 ? one[key].get<std::string>()
                 : std::string();
    };
    const auto number = [&](const char* key) {
      return one.is_object() && one.contains(key) && one[key].is_number_unsigned()
                 ? one[key].get<std::uint64_t>()
                 : 0;
    };
    TablePrecision table{word("table"), word("schema"), word("name"), word("identity"), {}};
    table.counts.invalidations = number("invalidations");
    table.counts.coarse = number("coarse");
    if (!table.name.empty()) report.tables.push_back(std::move(table));
  }
  return report;
}

}  // namespace pgcache::admin
