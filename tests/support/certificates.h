// SPDX-License-Identifier: Apache-2.0
// Certificates for tests, made by the openssl program in a private folder: an authority of their
// own, and what it signs. Gone with the object. Failures throw std::runtime_error.
#pragma once

#include <string>

namespace pgcache::testing {

class Certificates {
 public:
  Certificates();
  ~Certificates();
  Certificates(const Certificates&) = delete;
  Certificates& operator=(const Certificates&) = delete;

  const std::string& folder() const { return folder_; }
  std::string path(const std::string& file) const { return folder_ + "/" + file; }
  std::string authority() const { return path("authority.crt"); }

  // NAME.crt and NAME.key, signed by the authority. `names` is a subjectAltName such as
  // "DNS:localhost,IP:127.0.0.1"; empty: none.
  void make(const std::string& name, const std::string& names,
            const std::string& common_name = "pgcache test");
  // Readable by the user that servers run as; keys stay private. When run as root.
  void give_to_server(const std::string& name) const;

 private:
  std::string folder_;
};

}  // namespace pgcache::testing
