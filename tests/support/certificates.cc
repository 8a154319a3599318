// SPDX-License-Identifier: Apache-2.0
#include "support/certificates.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "support/command.h"

namespace pgcache::testing {
namespace {

void must(const std::string& command) {
  const Outcome outcome = run_command(command);
  if (outcome.status != 0) throw std::runtime_error(command + "\n" + outcome.output);
}

std::string request(const std::string& stem, const std::string& common_name) {
  return "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
         "-keyout '" +
         stem + ".key' -out '" + stem + ".crt' -subj '/CN=" + common_name + "'";
}

}  // namespace

Certificates::Certificates() {
  folder_ = (std::filesystem::temp_directory_path() / "pgcache-tls-XXXXXX").string();
  if (mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  chmod(folder_.c_str(), 0755);
  must(request(path("authority"), "pgcache test authority"));
}

Certificates::~Certificates() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void Certificates::make(const std::string& name, const std::string& names,
                        const std::string& common_name) {
  must(request(path(name), common_name) + " -CA '" + authority() + "' -CAkey '" +
       path("authority.key") + "' -addext basicConstraints=critical,CA:FALSE" +
       (names.empty() ? "" : " -addext 'subjectAltName=" + names + "'"));
}

void Certificates::give_to_server(const std::string& name) const {
  const passwd* user = geteuid() == 0 ? getpwnam("postgres") : nullptr;
  if (user == nullptr) return;
  for (const char* ending : {".crt", ".key"}) {
    if (chown(path(name + ending).c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::runtime_error("chown failed: " + path(name + ending));
    }
  }
}

}  // namespace pgcache::testing
