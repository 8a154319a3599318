// SPDX-License-Identifier: Apache-2.0
#include "simulator/link.h"

#include <algorithm>

#include "simulator/world.h"

namespace pgcache::simulator {

namespace {
constexpr std::size_t kClientReadBytes = 16 * 1024;
constexpr std::size_t kOriginReadBytes = 64 * 1024;
constexpr std::uint32_t kActions = 10;

}  // namespace

void Link::trace(std::string_view what, std::string_view bytes) {
  if (!world_.tracing()) return;
  world_.trace("link " + std::to_string(id_) + " " + std::string(what) + " " + printable(bytes));
}

Link::Link(World& world, std::uint32_t id)
    : world_(world),
      id_(id),
      client_({world.origin(), world.library(), world.random(), hits_, world.totals().counters,
               world.calm(), world.joins(),
               [this](const std::string& message) {
                 world_.fail("link " + std::to_string(id_) + ": " + message);
               }},
              world.random().one_in(20) ? "other" : "app") {
  world.prepare(environment_);
  environment_.stats = &stats_;
  const std::size_t capacities[] = {100, 1000, 100000};
  for (Pipe* pipe :
       {&client_to_session_, &session_to_client_, &session_to_backend_, &backend_to_session_}) {
    pipe->capacity = capacities[world.random().below(3)];
  }
  session_ = std::make_unique<proxy::Session>(environment_, *this);
  collect_client_output();
}

Link::~Link() {
  if (backend_) backend_->disconnect();
}

// --- SessionIo

TimePoint Link::now() { return world_.now(); }

void Link::connect_origin(origin::Encryption /*how*/) {
  const bool refused = world_.random().one_in(30);
  mailbox_->push_back({refused ? Event::kRefused : Event::kConnected, {}});
}

void Link::forward_cancel(std::string key) {
  if (backend_ && key.size() >= 8) cancel();
}

void Link::request_position() {
  std::weak_ptr<Mailbox> box = mailbox_;
  world_.request_position([box](pg::Lsn position) {
    if (const auto mailbox = box.lock()) mailbox->push_back({Event::kPosition, position});
  });
}

std::function<void()> Link::wake_callback() {
  std::weak_ptr<Mailbox> box = mailbox_;
  const bool lost = world_.fault() == Fault::kLoseWakes;
  return [box, lost] {
    if (const auto mailbox = box.lock(); mailbox && !lost) mailbox->push_back({Event::kWake, {}});
  };
}

// --- steps

bool Link::step() { return act(world_.random().below(kActions)); }

bool Link::settle() {
  bool any = false;
  if (session_ && client_.ready() && client_.in_open_exchange()) {
    client_.finish_open_exchange();
    collect_client_output();
    any = true;
  }
  for (std::uint32_t choice = 2; choice < kActions && !over_ && !world_.failed(); ++choice) {
    any |= act(choice);
  }
  return any;
}

bool Link::act(std::uint32_t choice) {
  if (!session_ && (!backend_ || backend_->closed())) over_ = true;
  if (over_) return false;
  switch (choice) {
    case 0:
      return make_requests();
    case 1:
      return leave();
    case 2:
      return deliver_to_session();
    case 3:
      return deliver_to_backend();
    case 4:
      return run_backend();
    case 5:
      return deliver_from_backend();
    case 6:
      return deliver_to_client();
    case 7:
      return open_mail();
    case 8:
      return fire_timer();
    default:
      return run_backend();
  }
}

bool Link::make_requests() {
  if (!session_ || !client_.ready() || client_.outstanding() > 6) return false;
  client_.make_requests();
  collect_client_output();
  return true;
}

bool Link::leave() {
  if (!session_ || !client_.ready() || !world_.random().one_in(60)) return false;
  switch (world_.random().below(4)) {
    case 0:
      client_.send_terminate();
      collect_client_output();
      client_to_session_.ended = true;
      break;
    case 1:
    case 2:
      client_.finish_open_exchange();
      client_.half_close();
      collect_client_output();
      client_to_session_.ended = true;
      break;
    default:
      reset_client();
      break;
  }
  return true;
}

void Link::collect_client_output() {
  client_to_session_.bytes += client_.output();  // a client's own buffers know no limit
  client_.output().clear();
}

std::string Link::take(Pipe& pipe, std::size_t most) {
  Random& random = world_.random();
  std::size_t n = std::min(pipe.bytes.size(), most);
  if (n > 1 && !world_.draining() && random.one_in(3)) {
    n = 1 + random.below(static_cast<std::uint32_t>(n));
  }
  std::string part = pipe.bytes.substr(0, n);
  pipe.bytes.erase(0, n);
  return part;
}

bool Link::deliver_to_session() {
  if (!session_ || session_to_client_.ended) return false;
  if (client_to_session_.bytes.empty()) {
    if (!client_to_session_.ended || client_end_told_ || !session_->wants_client_bytes()) {
      return false;
    }
    client_end_told_ = true;
    trace("client's end -> session", {});
    session_->on_client_closed(false);
  } else {
    if (!session_->wants_client_bytes()) return false;
    const std::string part = take(client_to_session_, kClientReadBytes);
    trace("client -> session", part);
    session_->client_input().append(part);
    session_->on_client_bytes();
  }
  after_event();
  return true;
}

bool Link::deliver_to_backend() {
  if (!backend_ || backend_->closed()) return false;
  if (session_to_backend_.bytes.empty()) {
    if (!session_to_backend_.over() || backend_->can_step()) return false;
    backend_->disconnect();
    return true;
  }
  const std::string part = take(session_to_backend_, kOriginReadBytes);
  trace("session -> server", part);
  backend_->receive(part);
  if (session_) pump();
  return true;
}

bool Link::run_backend() {
  if (!backend_ || !backend_->can_step()) return false;
  trace("server steps", {});
  backend_->step();
  return true;
}

// Faults: one whole frame is lost, or comes twice. The backend's output ends at frame borders.
bool Link::fault_drops_frame(std::string& bytes) {
  const Fault fault = world_.fault();
  if (fault != Fault::kLoseFrames && fault != Fault::kRepeatFrames) return false;
  const std::string first(first_frame(bytes));
  if (first.empty() || !client_.started() || !world_.random().one_in(40)) return false;
  if (fault == Fault::kLoseFrames) {
    bytes.erase(0, first.size());
  } else {
    bytes.insert(0, first);
  }
  return true;
}

bool Link::deliver_from_backend() {
  if (!backend_ || !session_ || !origin_open_) return false;
  if (!backend_->output().empty()) {
    std::string bytes = std::move(backend_->output());
    backend_->output().clear();
    fault_drops_frame(bytes);
    backend_to_session_.bytes += bytes;
  }
  if (!session_->wants_origin_bytes()) return false;
  if (backend_to_session_.bytes.empty()) {
    if (!backend_->closed()) return false;
    origin_open_ = false;
    session_->on_origin_closed("the server closed the connection");
  } else {
    const std::string part = take(backend_to_session_, kOriginReadBytes);
    trace("server -> session", part);
    session_->origin_input().append(part);
    session_->on_origin_bytes();
  }
  after_event();
  return true;
}

bool Link::deliver_to_client() {
  if (session_to_client_.bytes.empty()) {
    if (!session_to_client_.over() || over_ || !session_) return false;
    client_.on_end(excused_, backend_.get());
    end_session();
    return true;
  }
  const std::string part = take(session_to_client_, kOriginReadBytes);
  trace("session -> client", part);
  client_.receive(part, backend_.get());
  collect_client_output();
  if (session_) pump();
  return true;
}

bool Link::open_mail() {
  if (!session_ || mailbox_->empty()) return false;
  const Mail mail = mailbox_->front();
  mailbox_->pop_front();
  constexpr std::string_view names[] = {"connected", "refused", "woken", "told a position"};
  trace(names[static_cast<std::size_t>(mail.event)], {});
  switch (mail.event) {
    case Event::kConnected:
      backend_ =
          std::make_unique<Backend>(world_.origin(), world_.library(), world_.random(), id_,
                                    world_.configured(), world_.fault() == Fault::kStaleSettings);
      origin_open_ = true;
      session_->on_origin_connected(false);
      break;
    case Event::kRefused:
      session_->on_origin_closed("connection refused");
      break;
    case Event::kWake:
      ++world_.totals().waits;
      session_->on_wake();
      break;
    case Event::kPosition:
      session_->on_position(mail.position);
      break;
  }
  after_event();
  return true;
}

bool Link::fire_timer() {
  if (!session_ || !timer_ || *timer_ > world_.now()) return false;
  if (world_.fault() == Fault::kLoseWakes && client_.started()) return false;
  trace("timer", {});
  timer_.reset();
  session_->on_timer();
  after_event();
  return true;
}

// --- what the socket loop does

void Link::after_event() {
  note_hits();
  pump();
  if (!session_) return;
  const std::size_t limit = world_.config().session_buffer + 2 * kOriginReadBytes;
  if (session_->to_client().size() > limit || session_->to_origin().size() > 4 * limit) {
    world_.fail("link " + std::to_string(id_) + ": an output queue outgrew its limit");
  }
}

void Link::note_hits() {
  for (const std::uint64_t hits = stats_.hits.load(); hits_seen_ < hits; ++hits_seen_) {
    // A portal's rows are those of the moment when it was bound.
    const std::uint64_t of_portals = stats_.portal_hits.load() - portal_hits_seen_;
    const bool goes_on = of_portals >= hits - hits_seen_ && bind_window_;  // the last ones
    portal_hits_seen_ += goes_on ? 1 : 0;
    std::optional<HitWindow> window = goes_on ? bind_window_ : world_.hit_window();
    bind_window_ = window;
    if (!window) {
      world_.fail("link " + std::to_string(id_) + ": a hit while nothing is proven fresh");
      return;
    }
    if (!backend_ || backend_->must_not_be_served()) {
      world_.fail("link " + std::to_string(id_) + ": a hit that the session's state forbids");
      return;
    }
    if (world_.config().consistency == config::Consistency::kSession ||
        world_.fault() == Fault::kOwnWritesUnseen) {
      window->own_commits = backend_->own_commits();
    }
    window->settings = backend_->settings();
    trace("hit", {});
    hits_.push_back(*window);
  }
}

void Link::flush() {
  const auto move_to = [](wire::OutputQueue& from, Pipe& to) {
    while (!from.empty() && to.room() > 0) {
      const std::string_view piece = from.pieces(1).front();
      const std::size_t n = std::min(piece.size(), to.room());
      to.bytes.append(piece.substr(0, n));
      from.consume(n);
    }
  };
  move_to(session_->to_client(), session_to_client_);
  if (!origin_open_) return;
  if (backend_->closed()) {
    session_->to_origin().clear();
  } else {
    move_to(session_->to_origin(), session_to_backend_);
  }
}

void Link::pump() {
  const std::uint64_t limit = world_.config().session_buffer;
  const auto over = [&] {
    return session_->to_client().size() > limit || session_->to_origin().size() > limit;
  };
  for (;;) {
    over_limit_ |= over();  // what the event left: the session may have stopped because of it
    flush();
    if (!over_limit_ || over()) break;
    over_limit_ = false;
    session_->on_output_drained();
    note_hits();
  }
  if (origin_open_ && session_->close_origin_when_flushed() && session_->to_origin().empty()) {
    origin_open_ = false;
    session_to_backend_.ended = true;
  }
  if (session_->close_client_when_flushed() && session_->to_client().empty()) {
    session_to_client_.ended = true;
    origin_open_ = false;
    session_to_backend_.ended = true;
  }
}

void Link::end_session() {
  note_hits();
  session_.reset();
  mailbox_ = std::make_shared<Mailbox>();
  timer_.reset();
  origin_open_ = false;
  session_to_backend_.ended = true;
  session_to_client_.bytes.clear();
}

// --- accidents

void Link::lose_origin() {
  trace("loses its server", {});
  if (!backend_ || backend_->closed() || !session_) return;
  excused_ = true;
  if (world_.random().one_in(2)) {
    backend_->die();
  } else {
    backend_->disconnect();
    if (world_.random().one_in(2)) backend_->output().clear();
  }
}

void Link::shut_down() {
  trace("is shut down", {});
  if (!session_) return;
  excused_ = true;
  session_->on_shutdown();
  after_event();
}

void Link::reset_client() {
  trace("loses its client", {});
  if (!session_) return;
  session_->on_client_closed(true);
  end_session();
}

void Link::cancel() {
  if (backend_ && !backend_->is_idle()) backend_->cancel();
}

// --- for the checks

std::uint64_t Link::oldest_moment() const {
  std::uint64_t oldest = world_.origin().moment();
  for (const HitWindow& hit : hits_) oldest = std::min(oldest, hit.oldest);
  if (backend_) oldest = std::min(oldest, backend_->oldest_view());
  return oldest;
}

std::string Link::state() const {
  return "link " + std::to_string(id_) + ": " + std::to_string(client_.outstanding()) +
         " requests are not answered; to session " +
         std::to_string(client_to_session_.bytes.size()) + " bytes, to client " +
         std::to_string(session_to_client_.bytes.size()) + ", to server " +
         std::to_string(session_to_backend_.bytes.size()) + ", from server " +
         std::to_string(backend_to_session_.bytes.size());
}

}  // namespace pgcache::simulator
