// SPDX-License-Identifier: Apache-2.0
// The pgoutput plugin's messages (manual, 55.9 "Logical Replication Message Formats", protocol
// version 1 with `messages`) → whole committed transactions. Fed with the payload of each XLogData
// message, in order. Pure; one thread.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "cdc/row_change.h"

namespace pgcache::cdc {

class PgoutputDecoder {
 public:
  // A transaction that holds more than this is summarised as overflowed.
  explicit PgoutputDecoder(std::uint64_t transaction_bytes_max);

  // Yields a transaction when `payload` is its Commit. An error means that the stream cannot be
  // understood: the caller drops everything and starts cold. Unknown message types are an error.
  Result<std::optional<Transaction>> feed(std::string_view payload);

  // Forgets a transaction that the connection's end cut short. Rows of a relation are an error
  // until its Relation message comes again, as a new walsender sends it; the earlier form is
  // remembered only to tell whether it changed meanwhile.
  void on_disconnect();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace pgcache::cdc
