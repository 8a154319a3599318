// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL client that says exactly the bytes it is told to, for tests of what libpq would
// never send: split and damaged messages, exchanges in an odd order, connections that are left half
// open. Written from the manual's chapter on the protocol and sharing no code with the proxy's own
// codec.
//
// Blocking; every wait has a limit (by patience(), see sanitizer.h), after which it throws
// std::runtime_error.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgcache::testing {

struct RawFrame {
  char tag = 0;
  std::string body;  // without tag and length

  // Of ErrorResponse and NoticeResponse: 'C' is the SQLSTATE, 'M' the message.
  std::string field(char code) const;
  // Of DataRow.
  std::vector<std::optional<std::string>> columns() const;
};

namespace message {

using Values = std::vector<std::optional<std::string>>;

std::string be16(int value);
std::string be32(std::uint32_t value);
std::string frame(char tag, std::string_view body);  // tag, length, body
std::string startup(const std::vector<std::pair<std::string, std::string>>& parameters,
                    std::uint32_t version = 196608);
std::string query(std::string_view sql);
std::string parse(std::string_view name, std::string_view sql,
                  const std::vector<std::uint32_t>& types = {});
std::string bind(std::string_view portal, std::string_view statement, const Values& values = {},
                 const std::vector<int>& formats = {}, const std::vector<int>& result_formats = {});
std::string describe(char kind, std::string_view name);
std::string execute(std::string_view portal, std::uint32_t row_limit = 0);
std::string close(char kind, std::string_view name);
std::string sync();
std::string flush();
std::string terminate();
// Parse, Bind, Describe (portal), Execute and Sync, all unnamed.
std::string one_shot(std::string_view sql, const Values& values = {});

}  // namespace message

class RawClient {
 public:
  RawClient(const std::string& host, int port);  // connected, nothing sent
  ~RawClient();
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;

  // Startup with trust authentication, up to and including ReadyForQuery.
  static RawClient session(const std::string& host, int port,
                           std::vector<std::pair<std::string, std::string>> parameters = {});

  // The client's part of a TLS handshake, after which all bytes go that way; nothing is verified.
  // `alpn`: the protocol that is offered, or none. False when the handshake fails.
  bool secure(const std::string& alpn = {});
  // An SSLRequest, its answer 'S', and the handshake. False when any of that fails.
  bool request_tls();
  // Of the server's certificate.
  std::string peer_name() const;

  void send(std::string_view bytes);
  // What the kernel takes without blocking; the number of bytes.
  std::size_t send_some(std::string_view bytes);
  void shutdown_sending();
  void reset();  // closes with RST
  void set_receive_buffer(int bytes);

  std::string read_bytes(std::size_t count);
  RawFrame read_frame(int timeout_ms = 10000);
  // Up to and including the first frame with this tag.
  std::vector<RawFrame> read_until(char tag, int timeout_ms = 10000);
  // The tags of the frames up to the next ReadyForQuery, ParameterStatus left out.
  std::string tags_until_ready();
  bool nothing_arrives(int within_ms);

  enum class End { kClosed, kReset, kOpen };
  // Reads and drops what comes until the other side closes (FIN or RST; in TLS by saying so first,
  // else it counts as reset), or the time is over.
  End wait_for_end(int timeout_ms);

  int process_id() const { return process_id_; }
  std::uint32_t secret() const { return secret_; }
  const std::vector<RawFrame>& greeting() const { return greeting_; }

 private:
  bool wait_readable(int timeout_ms);
  bool fill(int timeout_ms);  // false at the end of the stream
  ssize_t receive(char* into, std::size_t bytes_max);

  struct Tls;

  int fd_ = -1;
  std::unique_ptr<Tls> tls_;
  std::string input_;
  int process_id_ = 0;
  std::uint32_t secret_ = 0;
  std::vector<RawFrame> greeting_;
};

// The last frame of this tag.
const RawFrame* find_frame(const std::vector<RawFrame>& frames, char tag);
// The values of the first column of all DataRows, joined by ','.
std::string first_columns(const std::vector<RawFrame>& frames);

}  // namespace pgcache::testing
