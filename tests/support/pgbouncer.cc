// SPDX-License-Identifier: Apache-2.0
#include "support/pgbouncer.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "support/command.h"

namespace pgcache::testing {

namespace fs = std::filesystem;

std::string Pgbouncer::program() {
  if (const char* given = std::getenv("TEST_PGBOUNCER")) return given;
  for (const char* path : {"/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"}) {
    if (fs::exists(path)) return path;
  }
  return {};
}

bool Pgbouncer::knows_statements() {
  const std::string version = run_command("'" + program() + "' --version").output;
  int major = 0;
  int minor = 0;
  return std::sscanf(version.c_str(), "PgBouncer %d.%d", &major, &minor) == 2 &&
         (major > 1 || minor >= 21);
}

Pgbouncer::Pgbouncer(const PgbouncerOptions& options) {
  std::string folder = (fs::temp_directory_path() / "pgbouncer-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  folder_ = folder;
  chmod(folder_.c_str(), 0777);
  std::ofstream(folder_ + "/users") << "\"postgres\" \"\"\n";
  std::random_device random;
  for (int attempt = 0; attempt < 20; ++attempt) {
    port_ = 20000 + static_cast<int>(random() % 12000);
    std::ostringstream text;
    text << "[databases]\n* = host=127.0.0.1 port=" << options.server_port << "\n[pgbouncer]\n"
         << "listen_addr = 127.0.0.1\nlisten_port = " << port_ << "\nunix_socket_dir =\n"
         << "auth_type = trust\nauth_file = " << folder_
         << "/users\npool_mode = " << options.pool_mode
         << "\ndefault_pool_size = " << options.pool_size << "\nlogfile = " << folder_
         << "/log\nignore_startup_parameters = extra_float_digits,options\nmax_client_conn = 200\n";
    for (const std::string& line : options.conf) text << line << "\n";
    std::ofstream(folder_ + "/pgbouncer.ini") << text.str();
    if (launch(folder_ + "/pgbouncer.ini")) return;
  }
  const std::string log = log_tail();
  fs::remove_all(folder_);
  throw std::runtime_error("pgbouncer did not start:\n" + log);
}

Pgbouncer::~Pgbouncer() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

// False when it ended again, as it does when the port is taken.
bool Pgbouncer::launch(const std::string& configuration) {
  const passwd* user = geteuid() == 0 ? getpwnam("postgres") : nullptr;
  const std::string path = program();
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    if (user != nullptr &&
        (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) {
      _exit(126);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(126);
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
    for (int fd = 3; fd < 1024; ++fd) close(fd);
    execl(path.c_str(), path.c_str(), configuration.c_str(), nullptr);
    _exit(127);
  }
  for (int i = 0; i < 500; ++i) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return false;
    }
    if (log_tail().find("process up") != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

std::string Pgbouncer::dsn(const std::string& dbname, const std::string& user) const {
  return "postgresql://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + dbname +
         "?sslmode=disable";
}

std::string Pgbouncer::log_tail(std::size_t bytes) const {
  std::ifstream in(folder_ + "/log", std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  const std::string all = text.str();
  return all.size() > bytes ? all.substr(all.size() - bytes) : all;
}

}  // namespace pgcache::testing
