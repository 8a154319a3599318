// SPDX-License-Identifier: Apache-2.0
#include "support/raw_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include "support/sanitizer.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("raw client: " + what); }

std::uint32_t read_be32(std::string_view bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), 4);
  return ntohl(value);
}

std::string cstring(std::string_view text) { return std::string(text) + '\0'; }

}  // namespace

struct RawClient::Tls {
  // OpenSSL writes to sockets without MSG_NOSIGNAL.
  Tls() { std::signal(SIGPIPE, SIG_IGN); }
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context{SSL_CTX_new(TLS_client_method()),
                                                       SSL_CTX_free};
  std::unique_ptr<SSL, void (*)(SSL*)> ssl{SSL_new(context.get()), SSL_free};
};

std::string RawFrame::field(char code) const {
  std::size_t at = 0;
  while (at < body.size() && body[at] != '\0') {
    const std::size_t end = body.find('\0', at + 1);
    if (end == std::string::npos) fail("a field without an end");
    if (body[at] == code) return body.substr(at + 1, end - at - 1);
    at = end + 1;
  }
  return {};
}

std::vector<std::optional<std::string>> RawFrame::columns() const {
  std::vector<std::optional<std::string>> values;
  std::size_t at = 2;
  while (at + 4 <= body.size()) {
    const auto length = static_cast<std::int32_t>(read_be32(std::string_view(body).substr(at)));
    at += 4;
    if (length < 0) {
      values.emplace_back(std::nullopt);
    } else {
      values.emplace_back(body.substr(at, static_cast<std::size_t>(length)));
      at += static_cast<std::size_t>(length);
    }
  }
  return values;
}

namespace message {

std::string be16(int value) {
  return {static_cast<char>((value >> 8) & 0xff), static_cast<char>(value & 0xff)};
}

std::string be32(std::uint32_t value) {
  return be16(static_cast<int>(value >> 16)) + be16(static_cast<int>(value & 0xffff));
}

std::string frame(char tag, std::string_view body) {
  return std::string(1, tag) + be32(static_cast<std::uint32_t>(body.size() + 4)) +
         std::string(body);
}

std::string startup(const std::vector<std::pair<std::string, std::string>>& parameters,
                    std::uint32_t version) {
  std::string body = be32(version);
  for (const auto& [name, value] : parameters) body += cstring(name) + cstring(value);
  body += '\0';
  return be32(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

std::string query(std::string_view sql) { return frame('Q', cstring(sql)); }

std::string parse(std::string_view name, std::string_view sql,
                  const std::vector<std::uint32_t>& types) {
  std::string body = cstring(name) + cstring(sql) + be16(static_cast<int>(types.size()));
  for (const std::uint32_t type : types) body += be32(type);
  return frame('P', body);
}

std::string bind(std::string_view portal, std::string_view statement, const Values& values,
                 const std::vector<int>& formats, const std::vector<int>& result_formats) {
  std::string body = cstring(portal) + cstring(statement);
  body += be16(static_cast<int>(formats.size()));
  for (const int format : formats) body += be16(format);
  body += be16(static_cast<int>(values.size()));
  for (const auto& value : values) {
    body += value ? be32(static_cast<std::uint32_t>(value->size())) + *value : be32(0xffffffff);
  }
  body += be16(static_cast<int>(result_formats.size()));
  for (const int format : result_formats) body += be16(format);
  return frame('B', body);
}

std::string describe(char kind, std::string_view name) {
  return frame('D', std::string(1, kind) + cstring(name));
}

std::string execute(std::string_view portal, std::uint32_t row_limit) {
  return frame('E', cstring(portal) + be32(row_limit));
}

std::string close(char kind, std::string_view name) {
  return frame('C', std::string(1, kind) + cstring(name));
}

std::string sync() { return frame('S', {}); }
std::string flush() { return frame('H', {}); }
std::string terminate() { return frame('X', {}); }

std::string one_shot(std::string_view sql, const Values& values) {
  return parse("", sql) + bind("", "", values) + describe('P', "") + execute("") + sync();
}

}  // namespace message

RawClient::RawClient(const std::string& host, int port) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) fail("not an address: " + host);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    const std::string why = std::strerror(errno);
    ::close(fd_);
    fail("cannot connect: " + why);
  }
  const int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      tls_(std::move(other.tls_)),
      input_(std::move(other.input_)),
      process_id_(other.process_id_),
      secret_(other.secret_),
      greeting_(std::move(other.greeting_)) {}

RawClient RawClient::session(const std::string& host, int port,
                             std::vector<std::pair<std::string, std::string>> parameters) {
  RawClient client(host, port);
  parameters.insert(parameters.begin(), {{"user", "postgres"}, {"database", "postgres"}});
  client.send(message::startup(parameters));
  client.greeting_ = client.read_until('Z');
  for (const RawFrame& frame : client.greeting_) {
    if (frame.tag == 'E') fail("refused: " + frame.field('M'));
    if (frame.tag != 'K') continue;
    client.process_id_ = static_cast<int>(read_be32(frame.body));
    client.secret_ = read_be32(std::string_view(frame.body).substr(4));
  }
  return client;
}

bool RawClient::secure(const std::string& alpn) {
  auto tls = std::make_unique<Tls>();
  SSL* ssl = tls->ssl.get();
  if (!alpn.empty()) {
    const std::string offer = static_cast<char>(alpn.size()) + alpn;
    SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(offer.data()),
                        static_cast<unsigned>(offer.size()));
  }
  const timeval limit{10, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  SSL_set_fd(ssl, fd_);
  if (SSL_connect(ssl) != 1) return false;
  tls_ = std::move(tls);
  return true;
}

bool RawClient::request_tls() {
  send(message::be32(8) + message::be32(80877103));
  return read_bytes(1) == "S" && secure();
}

std::string RawClient::peer_name() const {
  char name[256] = {};
  X509* certificate = SSL_get0_peer_certificate(tls_->ssl.get());
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

void RawClient::send(std::string_view bytes) {
  if (tls_ && !bytes.empty()) {
    if (SSL_write(tls_->ssl.get(), bytes.data(), static_cast<int>(bytes.size())) <= 0) {
      fail("cannot send in TLS");
    }
    return;
  }
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) fail(std::string("cannot send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::size_t RawClient::send_some(std::string_view bytes) {
  const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  fail(std::string("cannot send: ") + std::strerror(errno));
}

void RawClient::shutdown_sending() { ::shutdown(fd_, SHUT_WR); }

void RawClient::reset() {
  const linger hard{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(std::exchange(fd_, -1));
}

void RawClient::set_receive_buffer(int bytes) {
  setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

bool RawClient::wait_readable(int timeout_ms) {
  if (tls_ && SSL_has_pending(tls_->ssl.get()) == 1) return true;
  const auto deadline = steady_clock::now() + milliseconds(timeout_ms);
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    pollfd waiting{fd_, POLLIN, 0};
    const int ready = poll(&waiting, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) fail("poll");
  }
}

bool RawClient::fill(int timeout_ms) {
  if (!wait_readable(timeout_ms * patience())) fail("nothing came in time");
  char buffer[65536];
  const ssize_t got = receive(buffer, sizeof buffer);
  if (got < 0) fail(std::string("cannot read: ") + std::strerror(errno));
  input_.append(buffer, static_cast<std::size_t>(got));
  return got > 0;
}

ssize_t RawClient::receive(char* into, std::size_t bytes_max) {
  if (!tls_) return recv(fd_, into, bytes_max, 0);
  const int got = SSL_read(tls_->ssl.get(), into, static_cast<int>(bytes_max));
  if (got > 0) return got;
  return SSL_get_error(tls_->ssl.get(), got) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

std::string RawClient::read_bytes(std::size_t count) {
  while (input_.size() < count) {
    if (!fill(10000)) fail("the stream ended");
  }
  std::string bytes = input_.substr(0, count);
  input_.erase(0, count);
  return bytes;
}

RawFrame RawClient::read_frame(int timeout_ms) {
  const auto need = [&](std::size_t bytes) {
    while (input_.size() < bytes) {
      if (!fill(timeout_ms)) fail("the stream ended");
    }
  };
  need(5);
  const std::uint32_t length = read_be32(std::string_view(input_).substr(1));
  if (length < 4 || length > 1u << 30) fail("a frame with a bad length");
  need(std::size_t{1} + length);
  RawFrame frame{input_[0], input_.substr(5, length - 4)};
  input_.erase(0, std::size_t{1} + length);
  return frame;
}

std::vector<RawFrame> RawClient::read_until(char tag, int timeout_ms) {
  std::vector<RawFrame> frames;
  do {
    frames.push_back(read_frame(timeout_ms));
  } while (frames.back().tag != tag &&
           !(frames.back().tag == 'E' && tag == 'Z' && frames.back().field('S') == "FATAL"));
  return frames;
}

std::string RawClient::tags_until_ready() {
  std::string tags;
  for (const RawFrame& frame : read_until('Z')) {
    if (frame.tag != 'S') tags += frame.tag;
  }
  return tags;
}

bool RawClient::nothing_arrives(int within_ms) {
  return input_.empty() && !wait_readable(within_ms);
}

RawClient::End RawClient::wait_for_end(int timeout_ms) {
  const auto deadline = steady_clock::now() + milliseconds(timeout_ms) * patience();
  char buffer[65536];
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0 || !wait_readable(static_cast<int>(left))) return End::kOpen;
    const ssize_t got = receive(buffer, sizeof buffer);
    if (got == 0) return End::kClosed;
    if (got < 0) return End::kReset;
    input_.append(buffer, static_cast<std::size_t>(got));
  }
}

const RawFrame* find_frame(const std::vector<RawFrame>& frames, char tag) {
  const RawFrame* found = nullptr;
  for (const RawFrame& frame : frames) {
    if (frame.tag == tag) found = &frame;
  }
  return found;
}

std::string first_columns(const std::vector<RawFrame>& frames) {
  std::string joined;
  for (const RawFrame& frame : frames) {
    if (frame.tag != 'D') continue;
    if (!joined.empty()) joined += ',';
    joined += frame.columns().at(0).value_or("NULL");
  }
  return joined;
}

}  // namespace pgcache::testing
