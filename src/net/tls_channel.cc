// SPDX-License-Identifier: Apache-2.0
#include "net/tls_channel.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <new>

#include "base/check.h"

namespace pgcache::net {
namespace {

constexpr std::size_t kOutputBytes = 64 * 1024;  // records beyond it wait for the socket
// What piles up although nothing is encrypted is answers to a peer that asks and does not read.
constexpr std::size_t kOutputBytesMax = 4 * kOutputBytes;
constexpr std::size_t kKeepBytes = 16 * 1024;
constexpr std::size_t kPiecesMax = 32;
// Small pieces are put together into one record up to this size.
constexpr std::size_t kRecordBytes = 16 * 1024;

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> ignored{};
  return inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

}  // namespace

TlsChannel::TlsChannel(const TlsContextPtr& context, int socket, std::string_view received,
                       const std::string& host)
    : context_(context),
      ssl_(SSL_new(context->get()), &SSL_free),
      socket_(socket),
      host_(host),
      received_(received) {
  BIO* const bio = ssl_ != nullptr ? BIO_new(method()) : nullptr;
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (context->is_server()) {
    SSL_set_accept_state(ssl_.get());
    return;
  }
  SSL_set_connect_state(ssl_.get());
  // RFC 6066 leaves addresses out.
  if (context->send_host() && !host_.empty() && !is_address(host_)) {
    SSL_set_tlsext_host_name(ssl_.get(), host_.c_str());
  }
}

// --- the socket, as OpenSSL sees it

BIO_METHOD* TlsChannel::method() {
  static BIO_METHOD* const made = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pgcache socket");
    CHECK(m != nullptr);
    BIO_meth_set_write(m, &TlsChannel::on_write);
    BIO_meth_set_read(m, &TlsChannel::on_read);
    BIO_meth_set_ctrl(m, &TlsChannel::on_control);
    return m;
  }();
  return made;
}

int TlsChannel::on_write(BIO* bio, const char* bytes, int count) {
  auto& self = *static_cast<TlsChannel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  try {
    self.output_.append(bytes, static_cast<std::size_t>(count));
  } catch (const std::exception&) {  // nothing may be thrown through OpenSSL's frames
    return -1;
  }
  return count;
}

int TlsChannel::on_read(BIO* bio, char* into, int bytes_max) {
  auto& self = *static_cast<TlsChannel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.received_taken_ < self.received_.size()) {
    const std::size_t count =
        self.received_.copy(into, static_cast<std::size_t>(bytes_max), self.received_taken_);
    self.received_taken_ += count;
    if (self.received_taken_ == self.received_.size()) {
      std::string().swap(self.received_);
      self.received_taken_ = 0;
    }
    return static_cast<int>(count);
  }
  const ssize_t count = ::recv(self.socket_, into, static_cast<std::size_t>(bytes_max), 0);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
    BIO_set_retry_read(bio);
  }
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(count);
}

long TlsChannel::on_control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// --- the handshake

TlsChannel::Progress TlsChannel::handshake() {
  CHECK(!established_);
  ERR_clear_error();
  errno = 0;
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    if (Status status = verify_peer(); !status) return fail(status.error().message);
    established_ = unread_ = true;
    return Progress::kDone;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Progress::kWaits;
    case SSL_ERROR_ZERO_RETURN:
      return fail("the peer closed the connection");
    case SSL_ERROR_SYSCALL:
      return fail(errno != 0 ? std::strerror(errno) : "the peer closed the connection");
    default:
      break;
  }
  const long verified = SSL_get_verify_result(ssl_.get());
  std::string why = take_tls_error();
  if (verified != X509_V_OK) {
    why += std::string(" (") + X509_verify_cert_error_string(verified) + ")";
  }
  return fail(std::move(why));
}

TlsChannel::Progress TlsChannel::fail(std::string why) {
  error_ = std::move(why);
  return Progress::kFailed;
}

// The chain has been verified by the handshake. The name is compared as libpq does: an address
// with the addresses of the certificate, anything else with its names, or with the common name when
// there is none.
Status TlsChannel::verify_peer() const {
  if (context_->is_server() || context_->verify() != Verify::kHost) return {};
  if (host_.empty()) return Error{"a host name must be given to verify the server's certificate"};
  X509* certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr) return Error{"the server presented no certificate"};
  const bool matches =
      (is_address(host_) && X509_check_ip_asc(certificate, host_.c_str(), 0) == 1) ||
      X509_check_host(certificate, host_.c_str(), host_.size(),
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
  if (matches) return {};
  return Error{"the server's certificate does not match the host name \"" + host_ + "\""};
}

std::string_view TlsChannel::protocol() const {
  const unsigned char* name = nullptr;
  unsigned bytes = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &bytes);
  return {reinterpret_cast<const char*>(name), bytes};
}

std::string TlsChannel::end_point() const {
  if (context_->is_server()) return context_->end_point();
  return end_point_of(SSL_get0_peer_certificate(ssl_.get()));
}

// --- bytes

TlsChannel::ReadResult TlsChannel::read(wire::InputBuffer& into, std::size_t bytes_max) {
  std::size_t total = 0;
  char* at = into.prepare(bytes_max);
  while (total < bytes_max) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_read_ex(ssl_.get(), at + total, bytes_max - total, &count);
    if (result != 1) {
      const int why = SSL_get_error(ssl_.get(), result);
      const bool later = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
      // The end is told by the next read, which the socket need not announce.
      unread_ = !later && total > 0;
      if (total > 0) break;
      if (why == SSL_ERROR_ZERO_RETURN) return ReadResult::kClosed;
      if (!later || output_.size() > kOutputBytesMax) return ReadResult::kBroken;
      return ReadResult::kNothing;
    }
    total += count;
    unread_ = SSL_has_pending(ssl_.get()) == 1;
    if (!unread_) break;
  }
  into.commit(total);
  return ReadResult::kBytes;
}

bool TlsChannel::encrypt(wire::OutputQueue& from) {
  if (ended_) return false;
  std::string small;
  while (!from.empty() && output_.size() - sent_ < kOutputBytes) {
    const std::vector<std::string_view>& pieces = from.pieces(kPiecesMax);
    std::string_view next = pieces.front().substr(0, kRecordBytes);
    if (pieces.size() > 1 && next.size() < kRecordBytes) {
      small.clear();
      for (const std::string_view piece : pieces) {
        small.append(piece.substr(0, kRecordBytes - small.size()));
        if (small.size() == kRecordBytes) break;
      }
      next = small;
    }
    ERR_clear_error();
    std::size_t count = 0;
    if (SSL_write_ex(ssl_.get(), next.data(), next.size(), &count) != 1) return false;
    from.consume(count);
  }
  return true;
}

bool TlsChannel::flush() {
  while (has_output()) {
    const ssize_t count =
        ::send(socket_, output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (count >= 0) {
      sent_ += static_cast<std::size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno != EINTR) {
      sent_ = output_.size();  // nobody will have it
      return false;
    }
  }
  sent_ = 0;
  output_.clear();
  if (output_.capacity() > kKeepBytes) std::string().swap(output_);
  return true;
}

void TlsChannel::end() {
  if (!established_ || ended_) return;
  ended_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

}  // namespace pgcache::net
