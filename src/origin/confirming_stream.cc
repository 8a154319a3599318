// SPDX-License-Identifier: Apache-2.0
#include "origin/confirming_stream.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "origin/problems.h"
#include "origin/replication_slot.h"
#include "origin/replication_stream.h"

namespace pgcache::origin {
namespace {

constexpr Duration kConnectTimeout = std::chrono::seconds(2);
constexpr std::chrono::milliseconds kStatusInterval(50);

// A walsender that has the name already comes first, and keeps its place as long as it lives.
std::optional<pg::Lsn> start_stream(Link& link, const std::string& slot, int walsender) {
  if (walsender != 0) {
    const Reply ended = end_walsender(link, slot, walsender);
    if (!ended.ok()) log_warning("stand-in: {}", ended.failure().message);
  }
  const Reply where = link.query("IDENTIFY_SYSTEM");
  const auto position =
      where.ok() && where.rows() == 1 ? pg::parse_lsn(where.text(0, 2)) : std::nullopt;
  if (!position) return std::nullopt;
  const Reply started = link.query("START_REPLICATION PHYSICAL " + pg::to_string(*position));
  if (!started.ok() || started.status() != PGRES_COPY_BOTH) {
    if (started.ok() || !started.failure().interrupted) {
      log_warning("stand-in: the origin does not stream: {}",
                  started.ok() ? "no stream" : started.failure().message);
    }
    return std::nullopt;
  }
  if (PQsetnonblocking(link.raw(), 1) != 0) return std::nullopt;
  log_info("stand-in: commits at the origin are confirmed although the cache does not follow");
  return position;
}

// What has come in, and how far it reaches; nothing when the stream has ended.
std::optional<pg::Lsn> receive(Link& link, pg::Lsn position) {
  if (PQconsumeInput(link.raw()) == 0) return std::nullopt;
  while (true) {
    char* buffer = nullptr;
    const int length = PQgetCopyData(link.raw(), &buffer, 1);
    if (length == 0) return position;
    if (length < 0) return std::nullopt;
    const std::unique_ptr<char, void (*)(void*)> owner(buffer, PQfreemem);
    const auto message = parse_stream_message({buffer, static_cast<std::size_t>(length)});
    if (!message) return std::nullopt;
    if (const XLogData* data = std::get_if<XLogData>(&*message)) {
      position = std::max(position, pg::Lsn{data->start.value + data->payload.size()});
    } else {
      position = std::max(position, std::get<Keepalive>(*message).end);
    }
  }
}

}  // namespace

Duration ack_watch_interval(const config::Config& config) {
  return std::clamp<Duration>(config.strict_ack_timeout / 10, std::chrono::milliseconds(10),
                              std::chrono::milliseconds(250));
}

void confirm_all(const config::Config& config, int walsender, const Event& leave,
                 const std::function<void()>& on_turn) {
  LinkOptions options = link_options(config, config.own_standby_name());
  options.replication = true;
  options.connect_timeout = kConnectTimeout;
  options.stop = &leave;
  auto opened = Link::open(options);
  if (const Failure* failure = std::get_if<Failure>(&opened)) {
    if (!failure->interrupted) log_warning("stand-in: cannot connect: {}", failure->message);
    return;
  }
  Link& link = *std::get<std::unique_ptr<Link>>(opened);
  std::optional<pg::Lsn> position = start_stream(link, config.slot, walsender);
  while (position && !leave.raised()) {
    on_turn();
    if (!link.put_copy(make_status_update(*position, std::chrono::system_clock::now(), false))) {
      return;
    }
    std::array<pollfd, 2> p{pollfd{leave.fd(), POLLIN, 0}, pollfd{link.socket(), POLLIN, 0}};
    poll(p.data(), p.size(), static_cast<int>(kStatusInterval.count()));
    position = receive(link, *position);
  }
}

}  // namespace pgcache::origin
