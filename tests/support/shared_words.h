// SPDX-License-Identifier: Apache-2.0
// Numbers that a test shares with a process that it starts: a file of 64-bit words in the machine's
// order, mapped by both, gone with the object.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace pgcache::testing {

class SharedWords {
 public:
  static constexpr std::size_t kWords = 8;

  SharedWords() {
    char path[] = "/tmp/pgcache_words_XXXXXX";
    const int file = ::mkstemp(path);
    path_ = path;
    if (file < 0 || ::ftruncate(file, kBytes) != 0) throw std::runtime_error("no shared words");
    void* mapped = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (mapped == MAP_FAILED) throw std::runtime_error("no shared words");
    words_ = static_cast<std::atomic<std::uint64_t>*>(mapped);
  }
  ~SharedWords() {
    ::munmap(words_, kBytes);
    ::unlink(path_.c_str());
  }
  SharedWords(const SharedWords&) = delete;
  SharedWords& operator=(const SharedWords&) = delete;

  const std::string& path() const { return path_; }
  std::atomic<std::uint64_t>& operator[](std::size_t i) { return words_[i]; }

 private:
  static constexpr std::size_t kBytes = kWords * sizeof(std::uint64_t);

  std::string path_;
  std::atomic<std::uint64_t>* words_ = nullptr;
};

}  // namespace pgcache::testing
