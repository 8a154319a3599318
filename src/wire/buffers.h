// SPDX-License-Identifier: Apache-2.0
// The two buffers of a stream: InputBuffer, which frames are parsed from in place, and OutputQueue,
// which gathers replies so that many leave in one write. Owned by one session; one thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace pgcache::wire {

class InputBuffer {
 public:
  // Room for at least `bytes` more, to be read into. Views handed out earlier become invalid.
  char* prepare(std::size_t bytes) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (capacity_ - end_ < bytes) make_room(bytes);
    return data_.get() + end_;
  }
  std::size_t room() const { return capacity_ - end_; }
  void commit(std::size_t bytes) {
    CHECK(bytes <= room());
    end_ += bytes;
  }
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(prepare(bytes.size()), bytes.data(), bytes.size());
    commit(bytes.size());
  }
  std::string_view view() const { return {data_.get() + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  void consume(std::size_t bytes) {
    CHECK(bytes <= size());
    begin_ += bytes;
  }
  // Gives memory back when nothing is held and the buffer once grew.
  void shrink(std::size_t keep_bytes) {
    if (begin_ != end_ || capacity_ <= keep_bytes) return;
    data_.reset();
    capacity_ = begin_ = end_ = 0;
  }

 private:
  void make_room(std::size_t bytes) {
    const std::size_t used = size();
    if (capacity_ >= used + bytes && begin_ >= used) {
      std::memcpy(data_.get(), data_.get() + begin_, used);
    } else {
      std::size_t capacity = capacity_ < 1024 ? 1024 : capacity_;
      while (capacity < used + bytes) capacity *= 2;
      std::unique_ptr<char[]> bigger(new char[capacity]);
      if (used > 0) std::memcpy(bigger.get(), data_.get() + begin_, used);
      data_ = std::move(bigger);
      capacity_ = capacity;
    }
    begin_ = 0;
    end_ = used;
  }

  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class OutputQueue {
 public:
  // Bytes below this size are copied; larger shared blocks are referred to.
  static constexpr std::size_t kShareBytesMin = 16 * 1024;

  // The tail that small frames are appended to directly.
  std::string& tail() { return tail_; }

  void append(std::string_view bytes) { tail_.append(bytes); }

  // `bytes` must stay valid as long as `owner` lives.
  void append_shared(std::shared_ptr<const void> owner, std::string_view bytes) {
    if (bytes.size() < kShareBytesMin) {
      append(bytes);
      return;
    }
    seal_tail();
    shared_bytes_ += bytes.size();
    segments_.push_back({{}, std::move(owner), bytes});
  }

  bool empty() const { return segments_.empty() && sent_ == tail_.size(); }
  std::size_t size() const { return shared_bytes_ + tail_.size() - sent_in_tail(); }

  // The next pieces to write, at most `max`; valid until the queue is changed.
  std::vector<std::string_view>& pieces(std::size_t max) {
    pieces_.clear();
    for (const Segment& segment : segments_) {
      if (pieces_.size() == max) return pieces_;
      pieces_.push_back(pieces_.empty() ? segment.bytes().substr(sent_) : segment.bytes());
    }
    if (pieces_.size() < max && !tail_.empty()) {
      pieces_.push_back(pieces_.empty() ? std::string_view(tail_).substr(sent_) : tail_);
    }
    return pieces_;
  }

  // `bytes` of pieces() have been written.
  void consume(std::size_t bytes) {
    while (!segments_.empty()) {
      const std::size_t left = segments_.front().bytes().size() - sent_;
      if (bytes < left) {
        sent_ += bytes;
        shared_bytes_ -= bytes;
        return;
      }
      bytes -= left;
      shared_bytes_ -= left;
      sent_ = 0;
      segments_.pop_front();
    }
    sent_ += bytes;
    CHECK(sent_ <= tail_.size());
    if (sent_ == tail_.size()) {
      sent_ = 0;
      tail_.clear();
      if (tail_.capacity() > kKeepBytes) std::string().swap(tail_);
    } else if (sent_ > kKeepBytes && sent_ > tail_.size() / 2) {
      tail_.erase(0, sent_);
      sent_ = 0;
    }
  }

  void clear() {
    segments_.clear();
    tail_.clear();
    shared_bytes_ = sent_ = 0;
  }

 private:
  static constexpr std::size_t kKeepBytes = 64 * 1024;

  struct Segment {
    std::string own;
    std::shared_ptr<const void> owner;
    std::string_view shared;
    std::string_view bytes() const { return owner ? shared : std::string_view(own); }
  };

  std::size_t sent_in_tail() const { return segments_.empty() ? sent_ : 0; }

  // Moves the tail into the list, in front of a shared block.
  void seal_tail() {
    if (tail_.size() == sent_in_tail()) {
      if (segments_.empty()) sent_ = 0;
      tail_.clear();
      return;
    }
    shared_bytes_ += tail_.size() - sent_in_tail();
    segments_.push_back({std::move(tail_), nullptr, {}});
    tail_ = std::string();
  }

  std::deque<Segment> segments_;  // before the tail, in order
  std::string tail_;
  std::size_t sent_ = 0;          // bytes already written of the first segment, or of the tail
  std::size_t shared_bytes_ = 0;  // unsent bytes in segments_
  std::vector<std::string_view> pieces_;
};

}  // namespace pgcache::wire
