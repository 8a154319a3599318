// SPDX-License-Identifier: Apache-2.0
// TLS of one connection: turns plain bytes into records and back, over a socket that never blocks.
// Part of a Stream, which knows the event loop; this knows OpenSSL. One thread.
//
// Records that go out are gathered, so that many leave in one write; what the socket does not take
// waits here. Records that come in are read ahead as far as one read reaches, so that a channel can
// hold bytes that the socket will never announce: see unread().
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/tls_context.h"
#include "wire/buffers.h"

namespace pgcache::net {

class TlsChannel {
 public:
  // `received`: bytes that were read from the socket before and belong to the handshake. `host` is
  // the server's name or address, as the user gave it; only for the side that connects.
  TlsChannel(const TlsContextPtr& context, int socket, std::string_view received,
             const std::string& host);

  enum class Progress { kDone, kWaits, kFailed };
  // kWaits: for bytes of the peer, or for room when there is output.
  Progress handshake();
  bool established() const { return established_; }
  // Why the handshake failed.
  const std::string& error() const { return error_; }

  enum class ReadResult { kBytes, kNothing, kClosed, kBroken };
  ReadResult read(wire::InputBuffer& into, std::size_t bytes_max);
  // Bytes may be here that the last read left.
  bool unread() const { return unread_; }

  // Encrypts from the queue while there is room for output. False when the connection is broken.
  bool encrypt(wire::OutputQueue& from);
  // Sends output as far as the socket takes it. False when the connection is broken.
  bool flush();
  bool has_output() const { return sent_ < output_.size(); }
  // close_notify becomes output; nothing can be encrypted any more.
  void end();

  // The protocol that was agreed upon (ALPN); empty when none was.
  std::string_view protocol() const;
  // tls-server-end-point of the server's certificate, whichever side that is.
  std::string end_point() const;

 private:
  static BIO_METHOD* method();
  static int on_write(BIO* bio, const char* bytes, int count);
  static int on_read(BIO* bio, char* into, int bytes_max);
  static long on_control(BIO* bio, int command, long number, void* pointer);
  Status verify_peer() const;
  Progress fail(std::string why);

  TlsContextPtr context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  int socket_;
  std::string host_;
  std::string received_;
  std::size_t received_taken_ = 0;
  std::string output_;
  std::size_t sent_ = 0;
  std::string error_;
  bool established_ = false;
  bool unread_ = false;
  bool ended_ = false;
};

}  // namespace pgcache::net
