// SPDX-License-Identifier: Apache-2.0
// The contract of the client programs, for C++; as ../python/contract.py. A chapter is a function
// of a URL that returns what the client saw, line by line; it throws where it cannot go on.
#pragma once

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace contract {

using Seen = std::vector<std::string>;
using Work = std::function<Seen(const std::string& url)>;
using Routes = std::map<std::string, long>;

inline std::string pgcache, origin, admin;
inline bool failed = false;

inline const std::vector<std::string> kKinds = {"bool",
                                                "int2",
                                                "int4",
                                                "int8",
                                                "numeric",
                                                "float4",
                                                "float8",
                                                "money",
                                                "oid",
                                                "text",
                                                "varchar",
                                                "bpchar",
                                                "char",
                                                "name",
                                                "bytea",
                                                "date",
                                                "time",
                                                "timetz",
                                                "timestamp",
                                                "timestamptz",
                                                "interval",
                                                "uuid",
                                                "json",
                                                "jsonb",
                                                "jsonpath",
                                                "xml",
                                                "inet",
                                                "cidr",
                                                "macaddr",
                                                "macaddr8",
                                                "bit",
                                                "varbit",
                                                "point",
                                                "line",
                                                "lseg",
                                                "box",
                                                "path",
                                                "polygon",
                                                "circle",
                                                "int4range",
                                                "int8range",
                                                "numrange",
                                                "tsrange",
                                                "tstzrange",
                                                "daterange",
                                                "int4multirange",
                                                "tsvector",
                                                "tsquery",
                                                "pg_lsn",
                                                "int4_array",
                                                "text_array",
                                                "numeric_array",
                                                "timestamptz_array",
                                                "matrix",
                                                "enum",
                                                "domain",
                                                "composite"};

inline void start(char** arguments, const std::string& client, const std::string& version) {
  pgcache = arguments[1];
  origin = arguments[2];
  admin = arguments[3];
  std::printf("client %s %s\n", client.c_str(), version.c_str());
}

inline std::string http_get(const std::string& url, const std::string& path) {
  const std::size_t host = url.find("//") + 2;
  const std::size_t colon = url.find(':', host);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  getaddrinfo(url.substr(host, colon - host).c_str(), url.substr(colon + 1).c_str(), &hints,
              &found);
  const int fd = socket(found->ai_family, SOCK_STREAM, 0);
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0) throw std::runtime_error("no admin");
  freeaddrinfo(found);
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
  if (write(fd, request.data(), request.size()) < 0) throw std::runtime_error("no admin");
  std::string answer;
  char part[65536];
  for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;) answer.append(part, n);
  close(fd);
  return answer;
}

inline Routes routes() {
  static const std::regex sample(
      "\npgcache_(queries_total\\{route=\"(\\w+)\",reason=\"(\\w*)\"\\}|blocks_local_total) "
      "(\\S+)");
  const std::string text = http_get(admin, "/metrics");
  Routes counts;
  for (std::sregex_iterator at(text.begin(), text.end(), sample), end; at != end; ++at) {
    const std::smatch& m = *at;
    const std::string route = m[2].length() == 0 ? "local" : m[2].str();
    counts[m[3].length() == 0 ? route : route + ":" + m[3].str()] += std::stol(m[4]);
  }
  return counts;
}

inline void compare(const Seen& expected, const Seen& seen) {
  for (std::size_t i = 0; i < expected.size() && i < seen.size(); ++i) {
    if (expected[i] == seen[i]) continue;
    throw std::runtime_error("item " + std::to_string(i) + ": the origin gave " + expected[i] +
                             ", pgcache " + seen[i]);
  }
  if (expected.size() != seen.size()) throw std::runtime_error("another number of items");
}

inline Routes attempt(const Work& work, const Seen& expected) {
  const Routes before = routes();
  compare(expected, work(pgcache));
  Routes taken;
  for (const auto& [name, n] : routes()) {
    const auto was = before.find(name);
    const long change = n - (was == before.end() ? 0 : was->second);
    if (change != 0) taken[name] = change;
  }
  return taken;
}

inline bool wanted(Routes& taken, int hits, int local) {
  if (hits == 0) return true;
  for (const auto& [name, n] : taken) {
    if (name == "miss" || name.starts_with("fallback")) return false;
  }
  return taken["hit"] >= hits && taken["local"] >= local;
}

inline std::string text(const Routes& taken) {
  std::string line;
  for (const auto& [name, n] : taken) {
    if (name != "hit" && name != "local") line += " " + name + " " + std::to_string(n);
  }
  return line;
}

inline void chapter(const char* name, const Work& work, int hits = 0, int local = 0) {
  try {
    const Seen expected = work(origin);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
    Routes taken = attempt(work, expected);
    while (!wanted(taken, hits, local)) {
      if (std::chrono::steady_clock::now() > deadline) {
        throw std::runtime_error("routes hit " + std::to_string(taken["hit"]) + " local " +
                                 std::to_string(taken["local"]) + text(taken) +
                                 ", wanted at least hit " + std::to_string(hits) + " local " +
                                 std::to_string(local) + ", no miss");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      taken = attempt(work, expected);
    }
    std::printf("ok %s hits %ld local %ld%s\n", name, taken["hit"], taken["local"],
                text(taken).c_str());
  } catch (const std::exception& error) {
    failed = true;
    std::printf("FAILED %s: %s\n", name, error.what());
  }
  std::fflush(stdout);
}

}  // namespace contract
