// SPDX-License-Identifier: Apache-2.0
// A private PostgreSQL server for a test.
//
// Who cleans up when the test process is killed: a watchdog, a shell that waits for the end of its
// standard input. Only this process holds the other end of that pipe, so the kernel ends the wait
// whatever becomes of us. It then kills the server and removes the folder.
#include "support/cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace pgcache::testing {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr const char* kTemplateVersion = "2";  // raise it when make_template() changes

[[noreturn]] void fail(const std::string& message) { throw std::runtime_error(message); }

const passwd* server_user() {
  if (geteuid() != 0) return nullptr;
  const passwd* user = getpwnam("postgres");
  if (user == nullptr) fail("running as root, and there is no user postgres to run the server as");
  return user;
}

// Starts a program as the server's user; standard input from `input`, output and errors to `log`.
pid_t spawn(const std::vector<std::string>& arguments, const std::string& log, int input = -1,
            bool as_server_user = true) {
  const passwd* user = as_server_user ? server_user() : nullptr;
  const uid_t uid = user != nullptr ? user->pw_uid : 0;
  const gid_t gid = user != nullptr ? user->pw_gid : 0;
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const int log_fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int in_fd = input >= 0 ? input : open("/dev/null", O_RDONLY | O_CLOEXEC);
  const pid_t pid = fork();
  if (pid == 0) {
    // Between fork and exec only calls that are safe after a fork of a threaded process.
    setsid();
    dup2(in_fd, 0);
    dup2(log_fd, 1);
    dup2(log_fd, 2);
    for (int fd = 3; fd < 1024; ++fd) close(fd);
    if (user != nullptr && (setgroups(1, &gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) {
      _exit(126);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (chdir("/") != 0) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (log_fd >= 0) close(log_fd);
  if (input < 0 && in_fd >= 0) close(in_fd);
  if (pid < 0) fail("fork failed");
  return pid;
}

void run(const std::vector<std::string>& arguments, const std::string& log) {
  int status = 0;
  const pid_t pid = spawn(arguments, log);
  if (waitpid(pid, &status, 0) != pid || status != 0) {
    std::ifstream in(log);
    std::stringstream text;
    text << in.rdbuf();
    fail(arguments[0] + " failed:\n" + text.str());
  }
}

void own_by_server_user(const std::string& path) {
  if (const passwd* user = server_user()) {
    if (chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) fail("chown failed: " + path);
  }
}

// The data folder that every cluster is a copy of. Made by the first who needs it, under a lock.
std::string template_folder(const std::string& bin) {
  const std::string tag = bin.substr(1);
  std::string name = "pgcache-template-" + std::to_string(geteuid()) + "-" + kTemplateVersion + "-";
  for (const char c : tag) name += c == '/' ? '_' : c;
  const std::string folder = (fs::temp_directory_path() / name).string();
  const int lock =
      open((folder + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0 || flock(lock, LOCK_EX) != 0) fail("cannot lock " + folder + ".lock");
  if (!fs::exists(folder + "/PG_VERSION")) {
    const std::string unfinished = folder + ".unfinished";
    const std::string log = folder + ".log";
    fs::remove_all(unfinished);
    fs::remove(log);
    fs::create_directory(unfinished);
    own_by_server_user(unfinished);
    run({bin + "/initdb", "-D", unfinished, "-U", "postgres", "-A", "trust", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"},
        log);
    fs::rename(unfinished, folder);
  }
  close(lock);
  return folder;
}

// True when nobody listens on the port of any local address.
bool port_is_free(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return free;
}

int choose_port() {
  std::random_device random;
  for (int i = 0; i < 200; ++i) {
    const int port = 20000 + static_cast<int>(random() % 12000);
    if (port_is_free(port)) return port;
  }
  fail("no free port between 20000 and 32000");
}

}  // namespace

std::string Cluster::bin_folder() {
  if (const char* given = std::getenv("PGCACHE_PG_BIN")) return given;
  int best = 0;
  std::string found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > best && fs::exists(entry.path() / "bin" / "postgres")) {
      best = version;
      found = (entry.path() / "bin").string();
    }
  }
  if (found.empty()) fail("no PostgreSQL server in /usr/lib/postgresql; set PGCACHE_PG_BIN");
  return found;
}

Cluster::Cluster(const ClusterOptions& options)
    : bin_(options.bin.empty() ? bin_folder() : options.bin) {
  const std::string original = template_folder(bin_);
  std::string folder = (fs::temp_directory_path() / "pgcache-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) fail("mkdtemp failed");
  folder_ = folder;
  chmod(folder_.c_str(), 0755);
  own_by_server_user(folder_);
  try {
    run({"/bin/cp", "-a", "--reflink=auto", original, folder_ + "/data"}, folder_ + "/log");
    start_watchdog();
    for (int attempt = 0; attempt < 10; ++attempt) {
      port_ = choose_port();
      write_configuration(options);
      if (launch()) return;
    }
    fail("the server found no free port:\n" + log_tail());
  } catch (...) {
    if (pid_ > 0) kill9();
    if (watchdog_pipe_ >= 0) close(watchdog_pipe_);
    if (watchdog_ > 0) waitpid(watchdog_, nullptr, 0);
    fs::remove_all(folder_);
    throw;
  }
}

Cluster::~Cluster() {
  stop(StopMode::kImmediate);
  close(watchdog_pipe_);
  waitpid(watchdog_, nullptr, 0);
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Cluster::write_configuration(const ClusterOptions& options) {
  const std::string conf_path = folder_ + "/data/postgresql.conf";
  std::ofstream conf(conf_path, std::ios::trunc);
  conf << "listen_addresses = '127.0.0.1'\nport = " << port_ << "\n"
       << "unix_socket_directories = '" << folder_ << "'\n"
       << "wal_level = logical\nmax_wal_senders = 20\nmax_replication_slots = 20\n"
       << "max_connections = 100\nshared_buffers = 32MB\nmax_slot_wal_keep_size = 20GB\n"
       << "fsync = off\nfull_page_writes = off\n"
       << "autovacuum = " << (options.autovacuum ? "on" : "off") << "\n"
       << "log_min_messages = warning\nlog_line_prefix = '%m [%p] %a '\n"
       << "timezone = 'UTC'\nlog_timezone = 'UTC'\n";
  for (const std::string& line : options.conf) conf << line << "\n";
  std::ofstream hba(folder_ + "/data/pg_hba.conf", std::ios::trunc);
  for (const std::string& line : options.hba) hba << line << "\n";
  hba << "local all all trust\nhost all all 127.0.0.1/32 trust\n"
      << "local replication all trust\nhost replication all 127.0.0.1/32 trust\n";
}

void Cluster::append_conf(const std::string& lines) {
  std::ofstream conf(folder_ + "/data/postgresql.conf", std::ios::app);
  conf << lines << "\n";
}

void Cluster::start() {
  if (pid_ > 0) return;
  if (!launch()) fail("the server's port was taken meanwhile:\n" + log_tail());
}

bool Cluster::launch() {
  std::error_code ignored;
  fs::remove(folder_ + "/data/postmaster.pid", ignored);
  pid_ = spawn({bin_ + "/postgres", "-D", folder_ + "/data"}, folder_ + "/log");
  const auto deadline = steady_clock::now() + std::chrono::seconds(60);
  while (steady_clock::now() < deadline) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      const std::string tail = log_tail();
      if (tail.find("could not create any TCP/IP sockets") != std::string::npos) return false;
      // Processes of a server that was killed are still ending.
      if (tail.find("pre-existing shared memory block") != std::string::npos) {
        std::this_thread::sleep_for(milliseconds(50));
        pid_ = spawn({bin_ + "/postgres", "-D", folder_ + "/data"}, folder_ + "/log");
        continue;
      }
      fail("the server did not start:\n" + tail);
    }
    std::ifstream in(folder_ + "/data/postmaster.pid");
    std::string line;
    for (int i = 0; i < 8 && std::getline(in, line); ++i) {
      if (i == 7 && (line.find("ready") == 0 || line.find("standby") == 0)) return true;
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  kill9();
  fail("the server was not ready in time:\n" + log_tail());
}

bool Cluster::wait_for_exit(int timeout_ms) {
  const auto deadline = steady_clock::now() + milliseconds(timeout_ms);
  while (steady_clock::now() < deadline) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return true;
    }
    std::this_thread::sleep_for(milliseconds(3));
  }
  return false;
}

bool Cluster::stop(StopMode mode, int timeout_ms) {
  if (pid_ <= 0) return true;
  kill(pid_, mode == StopMode::kFast ? SIGINT : SIGQUIT);
  if (wait_for_exit(timeout_ms)) return true;
  kill9();
  return false;
}

void Cluster::restart(StopMode mode) {
  stop(mode);
  start();
}

void Cluster::kill9() {
  if (pid_ <= 0) return;
  // The server leads its own session; its children lead their own process groups, so they are found
  // by their parent before it dies.
  std::vector<pid_t> family{pid_};
  std::ifstream in("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) + "/children");
  pid_t child = 0;
  while (in >> child) family.push_back(child);
  for (const pid_t pid : family) kill(pid, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  std::error_code ignored;
  fs::remove(folder_ + "/data/postmaster.pid", ignored);
}

void Cluster::reload() {
  if (pid_ > 0) kill(pid_, SIGHUP);
}

void Cluster::start_watchdog() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe failed");
  const std::string script = "read x; p=$(head -n1 '" + folder_ +
                             "/data/postmaster.pid' 2>/dev/null); "
                             "[ -n \"$p\" ] && kill -QUIT \"$p\" 2>/dev/null && sleep 1; rm -rf '" +
                             folder_ + "'";
  watchdog_ = spawn({"/bin/sh", "-c", script}, "/dev/null", ends[0], false);
  close(ends[0]);
  watchdog_pipe_ = ends[1];
}

std::string Cluster::dsn(const std::string& dbname, const std::string& user) const {
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + dbname +
         "?sslmode=disable";
}

std::string Cluster::unix_dsn(const std::string& dbname, const std::string& user) const {
  return "host=" + folder_ + " port=" + std::to_string(port_) + " user=" + user +
         " dbname=" + dbname;
}

std::string Cluster::log_tail(std::size_t bytes) const {
  std::ifstream in(folder_ + "/log", std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  const std::string all = text.str();
  return all.size() > bytes ? all.substr(all.size() - bytes) : all;
}

}  // namespace pgcache::testing
