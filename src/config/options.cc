// SPDX-License-Identifier: Apache-2.0
// The options, and how each type of option is read and written.
#include "config/options.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "config/values.h"

namespace pgcache::config {
namespace {

constexpr std::int64_t kKiB = 1ll << 10;
constexpr std::int64_t kMiB = 1ll << 20;
constexpr std::int64_t kGiB = 1ll << 30;
constexpr std::int64_t kTiB = 1ll << 40;
constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kNameBytesMax = 63;  // NAMEDATALEN - 1

constexpr std::array kOptions = std::to_array<Option>({
    {"origin", &Config::origin, OptionType::kText, 0, 0, "",
     "The PostgreSQL server to front: a libpq connection URI or conninfo string. What it leaves "
     "out, "
     "and all of it when empty, comes from PG* variables and the password file, as for psql."},
    {"replication_origin", &Config::replication_origin, OptionType::kText, 0, 0, "",
     "The server itself, where origin is a pooler in front of it: pgcache's own connections "
     "(replication, catalog, positions) go there. Sessions of the origin may then change their "
     "server connection with each transaction. Empty: origin is the server."},
    {"listen", &Config::listen, OptionType::kAddresses, 0, 0, "",
     "Where clients connect. Port 0 takes any free one. A directory, with the port of the first "
     "address unless it has its own, gets a Unix socket .s.PGSQL.PORT."},
    {"admin", &Config::admin, OptionType::kHostPort, 0, 0, "",
     "Where /healthz, /readyz, /metrics, /status, /queries, /explain and /precision are served "
     "over "
     "HTTP. Port 0 takes any free one."},
    {"consistency", &Config::consistency, OptionType::kChoice, 0, 0, "eventual session strict",
     "eventual: as fresh as the replication stream; session: a session also sees its own writes; "
     "strict: no read is older than any acknowledged commit."},
    {"strict_verify", &Config::strict_verify, OptionType::kChoice, 0, 0, "lease read",
     "How strict is kept. lease: commits wait for pgcache, which has to be a synchronous standby "
     "of "
     "the origin; hits cost nothing more. read: each hit asks the origin how far it is; commits "
     "wait for nothing."},
    {"strict_ack_timeout", &Config::strict_ack_timeout, OptionType::kDuration, 100, kHour, "",
     "With lease: how long commits may wait for pgcache before it drops the cache, lets them go "
     "on, and starts anew."},
    {"standby_name", &Config::standby_name, OptionType::kText, 0, kNameBytesMax, "",
     "With lease: the name in the origin's synchronous_standby_names. Empty: that of the slot."},
    {"workers", &Config::workers, OptionType::kCount, 0, 1024, "",
     "Threads that serve clients; 0: one for every two processors."},
    {"cache_size", &Config::cache_size, OptionType::kSize, kMiB, 64 * kTiB, "",
     "Memory for cached results; the least recently used leave first."},
    {"max_result_size", &Config::max_result_size, OptionType::kSize, kKiB, kGiB, "",
     "Larger results are passed on and not cached."},
    {"max_shapes", &Config::max_shapes, OptionType::kCount, 1, 10000000, "",
     "Distinct statements whose analysis is kept."},
    {"max_query_size", &Config::max_query_size, OptionType::kSize, kKiB, 16 * kMiB, "",
     "Longer statements are passed on without analysis."},
    {"max_unit_size", &Config::max_unit_size, OptionType::kSize, kKiB, kGiB, "",
     "An extended-protocol exchange is held up to this size until its Sync; a larger one is passed "
     "on as it comes."},
    {"max_clients", &Config::max_clients, OptionType::kCount, 1, 1000000, "",
     "Client connections at a time; further ones are refused with 53300."},
    {"max_clients_per_address", &Config::max_clients_per_address, OptionType::kCount, 0, 1000000,
     "", "The same for each address that clients come from over TCP; 0: no limit."},
    {"tcp_keepalives_idle", &Config::tcp_keepalives_idle, OptionType::kDuration, 0, 9 * kHour, "",
     "Silence on a TCP connection, of a client or to the origin, before its peer is probed; whole "
     "seconds; 0: as the system has it, as for the next three."},
    {"tcp_keepalives_interval", &Config::tcp_keepalives_interval, OptionType::kDuration, 0,
     9 * kHour, "", "Time between such probes; whole seconds."},
    {"tcp_keepalives_count", &Config::tcp_keepalives_count, OptionType::kCount, 0, 127, "",
     "Unanswered probes after which the connection is lost."},
    {"tcp_user_timeout", &Config::tcp_user_timeout, OptionType::kDuration, 0, 9 * kHour, "",
     "How long data may stay unacknowledged before the connection is lost."},
    {"tls_cert", &Config::tls_cert, OptionType::kText, 0, 0, "",
     "File with the certificate (and its chain, PEM) that is presented to clients; empty: TLS is "
     "not offered. It and tls_key are read anew when they change and on SIGHUP."},
    {"tls_key", &Config::tls_key, OptionType::kText, 0, 0, "",
     "File with its private key (PEM, no passphrase), readable by nobody else."},
    {"tls_ca", &Config::tls_ca, OptionType::kText, 0, 0, "",
     "File with the authorities (PEM) that client certificates are verified against."},
    {"tls_client_auth", &Config::tls_client_auth, OptionType::kChoice, 0, 0,
     "none optional require",
     "Certificates of clients: not asked for; verified when there is one; required of all "
     "TLS connections."},
    {"tls_min_version", &Config::tls_min_version, OptionType::kChoice, 0, 0, "1.2 1.3",
     "The oldest version of TLS that clients may use."},
    {"tls_required", &Config::tls_required, OptionType::kSwitch, 0, 0, "",
     "Refuse clients that come over TCP without TLS (28000)."},
    {"session_buffer", &Config::session_buffer, OptionType::kSize, 16 * kKiB, kGiB, "",
     "Bytes queued towards one peer before its other side is no longer read."},
    {"handshake_timeout", &Config::handshake_timeout, OptionType::kDuration, 100, kHour, "",
     "Time for a client to connect and authenticate."},
    {"origin_connect_timeout", &Config::origin_connect_timeout, OptionType::kDuration, 100, kHour,
     "", "Time to reach the origin for a client."},
    {"load_wait_timeout", &Config::load_wait_timeout, OptionType::kDuration, 0, kHour, "",
     "How long a query waits for the same query of another client before it asks the origin "
     "itself."},
    {"tracking_wait_timeout", &Config::tracking_wait_timeout, OptionType::kDuration, 0, kHour, "",
     "How long the first query over a table waits for the table to be tracked before it goes on "
     "uncached."},
    {"max_staleness", &Config::max_staleness, OptionType::kDuration, 10, kHour, "",
     "The cache is bypassed when it was not proven fresh within this time."},
    {"heartbeat_interval", &Config::heartbeat_interval, OptionType::kDuration, 1, kHour, "",
     "How old a proof of freshness becomes before the next; shorter than max_staleness."},
    {"catalog_poll_interval", &Config::catalog_poll_interval, OptionType::kDuration, 10, kHour, "",
     "How often the catalog is polled for changes that do not announce themselves."},
    {"transaction_log_size", &Config::transaction_log_size, OptionType::kSize, kMiB, kTiB, "",
     "Recent transactions kept to check loads against; loads that need older ones are not cached."},
    {"row_images_size", &Config::row_images_size, OptionType::kSize, 0, kTiB, "",
     "Rows as the stream last showed them, kept to tell what a change replaces where the table's "
     "replica identity does not; 0: none."},
    {"table_copies_size", &Config::table_copies_size, OptionType::kSize, 0, kTiB, "",
     "Small tables kept whole, to tell whether a changed row finds others to be joined with; none "
     "takes up more than a quarter; 0: none."},
    {"max_transaction_size", &Config::max_transaction_size, OptionType::kSize, 64 * kKiB, kTiB, "",
     "Of a larger transaction only the tables are kept: all results over them are dropped."},
    {"slot", &Config::slot, OptionType::kName, 0, 0, "",
     "Name of the logical replication slot on the origin; each running pgcache needs its own."},
    {"publication", &Config::publication, OptionType::kText, 1, kNameBytesMax, "",
     "Name of the publication on the origin."},
    {"manage_publication", &Config::manage_publication, OptionType::kSwitch, 0, 0, "",
     "Make the publication and add tables to it when queries need them; false: use it as it is."},
    {"replica_identity", &Config::replica_identity, OptionType::kChoice, 0, 0, "keep full",
     "full: set REPLICA IDENTITY FULL on the tables that pgcache adds to its publication, so that "
     "it "
     "learns whole old rows and drops no more than it must. It is not set back; pgcache cleanup "
     "names the tables."},
    {"ddl_trigger", &Config::ddl_trigger, OptionType::kSwitch, 0, 0, "",
     "Put event triggers on the origin, if its role may, that tell of DDL in the stream. Without "
     "them the catalog is polled only."},
    {"keep_slot", &Config::keep_slot, OptionType::kSwitch, 0, 0, "",
     "Leave slot, publication and event triggers on the origin at a clean shutdown. The slot holds "
     "back WAL until it is used again."},
    {"max_slot_retained", &Config::max_slot_retained, OptionType::kSize, 0, 1024 * kTiB, "",
     "WAL that the slot may hold back at the origin. Beyond it pgcache drops the slot and the "
     "cache, "
     "and begins anew; 0: no limit."},
    {"allow_tables", &Config::allow_tables, OptionType::kTables, 0, 0, "",
     "Only queries over these tables are cached; empty: all."},
    {"deny_tables", &Config::deny_tables, OptionType::kTables, 0, 0, "",
     "Queries over any of these tables are never cached."},
    {"cache", &Config::cache, OptionType::kSwitch, 0, 0, "", "false: a plain proxy."},
    {"defer_begin", &Config::defer_begin, OptionType::kSwitch, 0, 0, "",
     "Answer BEGIN at once and send it to the origin in front of the first statement that needs "
     "the "
     "origin; a READ COMMITTED block that is served from memory alone never gets there. false: "
     "send "
     "every BEGIN."},
    {"log_level", &Config::log_level, OptionType::kChoice, 0, 0, "trace debug info warn error off",
     "The least severe messages that are logged."},
    {"live", &Config::live, OptionType::kSwitch, 0, 0, "",
     "A status line on the terminal, once a second."},
});

constexpr std::array<std::pair<std::string_view, Consistency>, 3> kConsistencyNames = {
    {{"eventual", Consistency::kEventual},
     {"session", Consistency::kSession},
     {"strict", Consistency::kStrict}}};

Error bad_value(const Option& option) { return Error{"allowed: " + allowed_text(option)}; }

std::string join(const std::vector<std::string>& items, std::string_view separator) {
  std::string out;
  for (const std::string& item : items) {
    if (!out.empty()) out += separator;
    out += item;
  }
  return out;
}

std::string range_value_text(OptionType type, std::int64_t value) {
  if (type == OptionType::kSize) return format_size(static_cast<std::uint64_t>(value));
  if (type == OptionType::kDuration) return format_duration(std::chrono::milliseconds(value));
  return std::to_string(value);
}

bool is_choice(const Option& option, std::string_view text) {
  std::string_view rest = option.choices;
  while (!rest.empty()) {
    const std::size_t blank = std::min(rest.find(' '), rest.size());
    if (!text.empty() && rest.substr(0, blank) == text) return true;
    rest.remove_prefix(std::min(blank + 1, rest.size()));
  }
  return false;
}

bool is_slot_name(std::string_view text) {
  return !text.empty() && text.size() <= std::size_t{kNameBytesMax} &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

bool is_table_pattern(std::string_view text) {
  const std::size_t dot = text.find('.');
  return dot != std::string_view::npos && dot > 0 && dot + 1 < text.size();
}

// The number for an option of kind kCount, kSize or kDuration, if it is one and in range.
std::optional<std::int64_t> parse_number(const Option& option, std::string_view text) {
  std::optional<std::int64_t> value;
  if (option.type == OptionType::kSize) {
    value = parse_size(text);
  } else if (option.type == OptionType::kDuration) {
    value = parse_duration_ms(text);
  } else {
    value = parse_integer(text);
  }
  if (!value || *value < option.min || *value > option.max) return std::nullopt;
  return value;
}

// One overload for each alternative of OptionMember.
struct Setter {
  const Option& option;
  std::string_view text;
  Config& config;

  Status operator()(std::string Config::*member) const {
    if (option.type == OptionType::kChoice && !is_choice(option, text)) return bad_value(option);
    if (option.type == OptionType::kName && !is_slot_name(text)) return bad_value(option);
    if (option.type == OptionType::kText && option.max > 0 &&
        (std::cmp_less(text.size(), option.min) || std::cmp_greater(text.size(), option.max))) {
      return bad_value(option);
    }
    if (text.find('\0') != std::string_view::npos) return bad_value(option);
    config.*member = std::string(text);
    return {};
  }
  Status operator()(HostPort Config::*member) const {
    std::optional<HostPort> value = parse_host_port(text);
    if (!value) return bad_value(option);
    config.*member = *std::move(value);
    return {};
  }
  Status operator()(std::vector<HostPort> Config::*) const {
    return set_option_list(option, split_list(text), config);
  }
  Status operator()(Consistency Config::*member) const {
    for (const auto& [name, value] : kConsistencyNames) {
      if (name == text) {
        config.*member = value;
        return {};
      }
    }
    return bad_value(option);
  }
  Status operator()(std::chrono::milliseconds Config::*member) const {
    const std::optional<std::int64_t> value = parse_number(option, text);
    if (!value) return bad_value(option);
    config.*member = std::chrono::milliseconds(*value);
    return {};
  }
  Status operator()(bool Config::*member) const {
    const std::optional<bool> value = parse_switch(text);
    if (!value) return bad_value(option);
    config.*member = *value;
    return {};
  }
  Status operator()(std::vector<std::string> Config::*) const {
    return set_option_list(option, split_list(text), config);
  }
  template <typename Int>
  Status operator()(Int Config::*member) const {
    const std::optional<std::int64_t> value = parse_number(option, text);
    if (!value || std::cmp_greater(*value, std::numeric_limits<Int>::max())) {
      return bad_value(option);
    }
    config.*member = static_cast<Int>(*value);
    return {};
  }
};

struct Getter {
  const Option& option;
  const Config& config;

  std::string operator()(std::string Config::*member) const { return config.*member; }
  std::string operator()(HostPort Config::*member) const {
    return format_host_port(config.*member);
  }
  std::string operator()(std::vector<HostPort> Config::*member) const {
    std::vector<std::string> texts;
    for (const HostPort& address : config.*member) texts.push_back(format_listen_address(address));
    return join(texts, ",");
  }
  std::string operator()(Consistency Config::*member) const {
    for (const auto& [name, value] : kConsistencyNames) {
      if (value == config.*member) return std::string(name);
    }
    return {};
  }
  std::string operator()(std::chrono::milliseconds Config::*member) const {
    return format_duration(config.*member);
  }
  std::string operator()(bool Config::*member) const { return config.*member ? "true" : "false"; }
  std::string operator()(std::vector<std::string> Config::*member) const {
    return join(config.*member, ",");
  }
  template <typename Int>
  std::string operator()(Int Config::*member) const {
    return range_value_text(option.type, static_cast<std::int64_t>(config.*member));
  }
};

Status validate_tls(const Config& config) {
  if (config.tls_cert.empty() != config.tls_key.empty()) {
    return Error{"tls_cert and tls_key go together: one of them is empty"};
  }
  if (config.tls_client_auth != "none" && (config.tls_ca.empty() || config.tls_cert.empty())) {
    return Error{"tls_client_auth = " + config.tls_client_auth + " needs tls_ca and tls_cert"};
  }
  if (config.tls_required && config.tls_cert.empty()) {
    return Error{"tls_required = true needs tls_cert and tls_key: nobody could connect"};
  }
  return {};
}

}  // namespace

std::span<const Option> options() { return kOptions; }

const Option* find_option(std::string_view key) {
  const auto* found =
      std::find_if(kOptions.begin(), kOptions.end(), [&](const Option& o) { return o.key == key; });
  return found == kOptions.end() ? nullptr : found;
}

std::string nearest_key(std::string_view key) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, key.size() / 3) + 1;
  for (const Option& option : kOptions) {
    const std::size_t distance = edit_distance(key, option.key);
    if (distance < best_distance) {
      best = option.key;
      best_distance = distance;
    }
  }
  return std::string(best);
}

std::string allowed_text(const Option& option) {
  const auto range = [&] {
    return range_value_text(option.type, option.min) + " to " +
           range_value_text(option.type, option.max);
  };
  switch (option.type) {
    case OptionType::kText:
      return option.max == 0 ? "any text" : "a text of " + range() + " bytes";
    case OptionType::kName:
      return "a name of up to 63 lower-case letters, digits and underscores";
    case OptionType::kChoice: {
      std::string choices(option.choices);
      std::size_t at = 0;
      while ((at = choices.find(' ', at)) != std::string::npos)
        choices.replace(at, 1, ", "), at += 2;
      return "one of " + choices;
    }
    case OptionType::kHostPort:
      return "HOST:PORT, with an IPv6 address in brackets: [::1]:6432";
    case OptionType::kAddresses:
      return "a list of HOST:PORT, with IPv6 addresses in brackets: [::1]:6432, and of "
             "directories: "
             "/DIRECTORY or /DIRECTORY:PORT";
    case OptionType::kCount:
      return "a number from " + range();
    case OptionType::kSize:
      return "a size from " + range() + ", such as 64KiB, 10MB, 1GiB";
    case OptionType::kDuration:
      return "a duration from " + range() + ", such as 250ms, 1s, 2min";
    case OptionType::kSwitch:
      return "true or false";
    case OptionType::kTables:
      return "a list of schema.table or schema.*";
  }
  return {};
}

Status set_option(const Option& option, std::string_view text, Config& config) {
  return std::visit(Setter{option, text, config}, option.member);
}

Status set_option_list(const Option& option, std::vector<std::string> items, Config& config) {
  if (const auto* addresses = std::get_if<std::vector<HostPort> Config::*>(&option.member)) {
    std::vector<HostPort> read;
    for (const std::string& item : items) {
      std::optional<HostPort> address = parse_listen_address(item);
      if (!address) return bad_value(option);
      read.push_back(*std::move(address));
    }
    if (read.empty()) return bad_value(option);
    config.*(*addresses) = std::move(read);
    return {};
  }
  const auto* member = std::get_if<std::vector<std::string> Config::*>(&option.member);
  if (member == nullptr) return bad_value(option);
  for (const std::string& item : items) {
    if (!is_table_pattern(item)) {
      return Error{"\"" + item + "\" is neither; " + bad_value(option).message};
    }
  }
  config.*(*member) = std::move(items);
  return {};
}

std::string option_text(const Option& option, const Config& config) {
  return std::visit(Getter{option, config}, option.member);
}

Status validate(const Config& config) {
  if (config.heartbeat_interval >= config.max_staleness) {
    return Error{"heartbeat_interval (" + format_duration(config.heartbeat_interval) +
                 ") must be shorter than max_staleness (" + format_duration(config.max_staleness) +
                 "): freshness would never be proven in time"};
  }
  if (config.max_result_size > config.cache_size) {
    return Error{"max_result_size (" + format_size(config.max_result_size) +
                 ") must not exceed cache_size (" + format_size(config.cache_size) + ")"};
  }
  if (config.replica_identity == "full" && !config.manage_publication) {
    return Error{
        "replica_identity = full needs manage_publication = true: it is set on the tables that "
        "pgcache adds to its publication"};
  }
  if (Status status = validate_tls(config); !status) return status;
  for (const HostPort& listen : config.listen) {
    if (listen.port != 0 && listen.port == config.admin.port && listen.host == config.admin.host) {
      return Error{"listen and admin are the same address, " + format_host_port(listen)};
    }
  }
  return {};
}

}  // namespace pgcache::config
