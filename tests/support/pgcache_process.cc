// SPDX-License-Identifier: Apache-2.0
// A pgcache process for a test.
#include "support/pgcache_process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "support/pq.h"
#include "support/sanitizer.h"

namespace pgcache::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kReportBytesShown = 12000;

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

pid_t spawn(std::vector<std::string> arguments, const std::vector<std::string>& more_environment,
            const std::string& log) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  environment.insert(environment.begin(), more_environment.begin(), more_environment.end());
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);
  const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    // Between fork and exec only calls that are safe after a fork of a threaded process.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    setpgid(0, 0);
    dup2(in_fd, 0);
    dup2(log_fd, 1);
    dup2(log_fd, 2);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  if (log_fd >= 0) close(log_fd);
  if (in_fd >= 0) close(in_fd);
  if (pid < 0) fail("fork failed");
  return pid;
}

// Reads the whole answer; empty when the server cannot be reached.
std::string http_get(int port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval limit{5 * patience(), 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      send(fd, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char buffer[16384];
    ssize_t n = 0;
    while ((n = recv(fd, buffer, sizeof buffer, 0)) > 0) {
      answer.append(buffer, static_cast<std::size_t>(n));
    }
  }
  close(fd);
  return answer;
}

struct Sample {
  std::string name;
  Labels labels;
  double value = 0;
};

// One line of Prometheus text: name{a="b",c="d"} 1.5. No label value of pgcache's holds a quote.
Sample parse_sample(const std::string& line) {
  Sample sample;
  std::size_t at = line.find_first_of("{ ");
  if (at == std::string::npos) return sample;
  sample.name = line.substr(0, at);
  if (line[at] == '{') {
    ++at;
    while (at < line.size() && line[at] != '}') {
      const std::size_t equals = line.find("=\"", at);
      const std::size_t quote = line.find('"', equals + 2);
      if (equals == std::string::npos || quote == std::string::npos) return {};
      sample.labels[line.substr(at, equals - at)] = line.substr(equals + 2, quote - equals - 2);
      at = quote + 1;
      if (at < line.size() && line[at] == ',') ++at;
    }
    ++at;
  }
  sample.value = std::strtod(line.c_str() + at, nullptr);
  return sample;
}

std::vector<Sample> parse_metrics(const std::string& text) {
  std::vector<Sample> samples;
  std::istringstream in(text);
  std::string line;
  while (std::getline(in, line)) {
    if (!line.empty() && line[0] != '#') samples.push_back(parse_sample(line));
  }
  return samples;
}

bool includes(const Labels& all, const Labels& wanted) {
  for (const auto& [name, value] : wanted) {
    const auto found = all.find(name);
    if (found == all.end() || found->second != value) return false;
  }
  return true;
}

std::uint64_t total(const std::map<std::string, std::uint64_t>& counts) {
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : counts) sum += count;
  return sum;
}

std::map<std::string, std::uint64_t> minus(std::map<std::string, std::uint64_t> later,
                                           const std::map<std::string, std::uint64_t>& earlier) {
  for (const auto& [reason, count] : earlier) later[reason] -= count;
  std::erase_if(later, [](const auto& item) { return item.second == 0; });
  return later;
}

std::string counts_text(const std::string& name,
                        const std::map<std::string, std::uint64_t>& counts) {
  std::string text;
  for (const auto& [reason, count] : counts) {
    if (count == 0) continue;
    text += (text.empty() ? " " + name + "{" : " ") + reason + " " + std::to_string(count);
  }
  return text.empty() ? text : text + "}";
}

}  // namespace

std::uint64_t Routes::bypasses() const { return total(bypass); }
std::uint64_t Routes::fallbacks() const { return total(fallback); }

std::string Routes::text() const {
  return "hit " + std::to_string(hit) + " miss " + std::to_string(miss) +
         counts_text("bypass", bypass) + counts_text("fallback", fallback);
}

Routes operator-(const Routes& later, const Routes& earlier) {
  return {later.hit - earlier.hit, later.miss - earlier.miss, minus(later.bypass, earlier.bypass),
          minus(later.fallback, earlier.fallback)};
}

PgcacheProcess::PgcacheProcess(PgcacheOptions options) : options_(std::move(options)) {
  if (options_.binary.empty()) {
    const char* given = std::getenv("PGCACHE_BINARY");
    if (given == nullptr) fail("set PGCACHE_BINARY to the pgcache program");
    options_.binary = given;
  }
  std::string path = (std::filesystem::temp_directory_path() / "pgcache-log-XXXXXX").string();
  const int fd = mkstemp(path.data());
  if (fd < 0) fail("cannot make a log file");
  close(fd);
  log_path_ = path;
  try {
    start();
  } catch (...) {
    kill9();
    judge_reports();
    unlink(log_path_.c_str());
    throw;
  }
}

PgcacheProcess::~PgcacheProcess() {
  if (!stop()) complain(bad_end("it did not end in time"));
  judge_end();
  unlink(log_path_.c_str());
}

void PgcacheProcess::start() {
  if (running()) return;
  judge_end();
  ended_by_itself_ = true;
  exit_status_ = 0;
  std::vector<std::string> arguments{options_.binary, "run",
                                     "--origin",      options_.origin,
                                     "--listen",      "127.0.0.1:" + std::to_string(port_),
                                     "--admin",       "127.0.0.1:" + std::to_string(admin_port_)};
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  const std::size_t log_start = read_file(log_path_).size();
  pid_ = spawn(std::move(arguments), options_.environment, log_path_);
  const bool listening = wait_until(
      [&] {
        return read_file(log_path_).find(" listens on ", log_start) != std::string::npos ||
               !running();
      },
      options_.ready_timeout_ms);
  if (!listening || !running()) fail("pgcache did not start:\n" + log_tail());
  read_ports();
  if (options_.wait_ready && !wait_ready(options_.ready_timeout_ms)) {
    fail("pgcache was not ready in time: " + http("/readyz").body + "\n" + log_tail());
  }
}

// The last line "... listens on HOST:PORT, admin on HOST:PORT, ..." of the log.
void PgcacheProcess::read_ports() {
  const std::string log = read_file(log_path_);
  const std::size_t at = log.rfind(" listens on ");
  const std::size_t first = log.find(':', at);
  const std::size_t admin = log.find("admin on ", first);
  const std::size_t second = log.find(':', admin);
  if (second == std::string::npos) fail("no ports in the log:\n" + log);
  port_ = std::atoi(log.c_str() + first + 1);
  admin_port_ = std::atoi(log.c_str() + second + 1);
}

bool PgcacheProcess::running() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, &exit_status_, WNOHANG) == 0) return true;
  pid_ = -1;
  return false;
}

std::string PgcacheProcess::bad_end(const std::string& why) const {
  const std::string log = read_file(log_path_);
  const std::size_t report = std::min(log.find("Sanitizer: "), log.find("runtime error: "));
  const std::size_t line = report == std::string::npos ? report : log.rfind('\n', report);
  return "pgcache did not end well: " + why + "\n" +
         (line == std::string::npos ? log_tail() : log.substr(line + 1, kReportBytesShown));
}

void PgcacheProcess::judge_reports() {
  const std::string reports = sanitizer_reports(read_file(log_path_));
  if (reports == reports_) return;
  reports_ = reports;
  complain(bad_end(reports));
}

void PgcacheProcess::judge_end() {
  judge_reports();
  if (exit_status_ != 0 && ended_by_itself_) {
    complain(bad_end("status of waitpid " + std::to_string(exit_status_)));
  }
}

bool PgcacheProcess::stop(int timeout_ms) {
  if (!running()) return true;
  kill(pid_, SIGTERM);
  if (wait_until([&] { return !running(); }, timeout_ms)) return true;
  kill9();
  return false;
}

void PgcacheProcess::kill9() {
  if (!running()) return;
  ended_by_itself_ = false;
  kill(pid_, SIGKILL);
  waitpid(pid_, &exit_status_, 0);
  pid_ = -1;
}

std::string PgcacheProcess::dsn(const std::string& dbname, const std::string& user) const {
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + dbname +
         "?sslmode=disable&gssencmode=disable";
}

std::string PgcacheProcess::log_tail(std::size_t bytes) const {
  const std::string all = read_file(log_path_);
  return all.size() > bytes ? all.substr(all.size() - bytes) : all;
}

HttpAnswer PgcacheProcess::http(const std::string& path) const {
  const std::string text = http_get(admin_port_, path);
  const std::size_t body = text.find("\r\n\r\n");
  if (text.size() < 12 || body == std::string::npos) return {};
  return {std::atoi(text.c_str() + 9), text.substr(body + 4)};
}

double PgcacheProcess::metric(const std::string& name, const Labels& labels) const {
  double sum = 0;
  for (const Sample& sample : parse_metrics(http("/metrics").body)) {
    if (sample.name == name && includes(sample.labels, labels)) sum += sample.value;
  }
  return sum;
}

Routes PgcacheProcess::routes() const {
  const HttpAnswer answer = http("/metrics");
  if (answer.status != 200) fail("no metrics:\n" + log_tail());
  Routes routes;
  for (Sample& sample : parse_metrics(answer.body)) {
    if (sample.name != "pgcache_queries_total") continue;
    const auto count = static_cast<std::uint64_t>(sample.value);
    const std::string& route = sample.labels["route"];
    const std::string& reason = sample.labels["reason"];
    if (route == "hit") routes.hit += count;
    if (route == "miss") routes.miss += count;
    if (route == "bypass") routes.bypass[reason] += count;
    if (route == "fallback") routes.fallback[reason] += count;
  }
  return routes;
}

std::string PgcacheProcess::status_field(const std::string& key) const {
  const std::string body = http("/status").body;
  const std::size_t at = body.find("\n  \"" + key + "\": ");
  if (at == std::string::npos) return {};
  std::size_t begin = body.find(": ", at) + 2;
  std::size_t end = body.find('\n', begin);
  std::string value = body.substr(begin, end - begin);
  if (!value.empty() && value.back() == ',') value.pop_back();
  if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  return value;
}

bool PgcacheProcess::wait_ready(int timeout_ms) const {
  return wait_until([&] { return http("/readyz").status == 200; }, timeout_ms);
}

void PgcacheProcess::settle(const std::string& origin, int timeout_ms) const {
  Connection connection(origin);
  wait_applied(parse_lsn(connection.query("SELECT pg_current_wal_flush_lsn()").value()),
               timeout_ms);
}

void PgcacheProcess::wait_applied(std::uint64_t lsn, int timeout_ms) const {
  const auto applied = [&] {
    const std::string text = status_field("applied_lsn");
    return !text.empty() && parse_lsn(text) >= lsn;
  };
  if (!wait_until(applied, timeout_ms)) {
    fail("pgcache did not apply everything in time: applied " + status_field("applied_lsn") +
         ", wanted " + std::to_string(lsn >> 32) + "/" + std::to_string(lsn & 0xffffffffu) +
         " (decimal)\n" + http("/status").body + log_tail());
  }
}

bool wait_until(const std::function<bool()>& done, int timeout_ms) {
  const auto deadline = steady_clock::now() + milliseconds(timeout_ms) * patience();
  while (!done()) {
    if (steady_clock::now() >= deadline) return done();
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

std::uint64_t parse_lsn(const std::string& text) {
  unsigned high = 0;
  unsigned low = 0;
  if (std::sscanf(text.c_str(), "%X/%X", &high, &low) != 2) fail("not an LSN: " + text);
  return (std::uint64_t{high} << 32) | low;
}

}  // namespace pgcache::testing
