// SPDX-License-Identifier: Apache-2.0
#include "net/stream.h"

#include <event2/event.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>

namespace pgcache::net {
namespace {

using std::chrono::milliseconds;

// Before libevent allocates anything: it finds no memory while a test says so.
bool no_memory = false;
[[maybe_unused]] const bool replaced = [] {
  event_set_mem_functions(
      [](std::size_t bytes) { return no_memory ? nullptr : std::malloc(bytes); },
      [](void* old, std::size_t bytes) { return no_memory ? nullptr : std::realloc(old, bytes); },
      std::free);
  return true;
}();

// A stream on a loop, and the other end of its connection as a bare descriptor.
class StreamTest : public ::testing::Test {
 protected:
  StreamTest() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
    peer_ = FileDescriptor(ends[1]);
    stream_.emplace(
        loop_, FileDescriptor(ends[0]),
        [this] {
          ++readable_;
          if (on_readable_) on_readable_();
        },
        [this] {
          ++writable_;
          if (on_writable_) on_writable_();
        });
  }

  void run_for(milliseconds time) {
    Timer end(loop_, [this] { loop_.stop(); });
    end.start(time);
    loop_.run();
  }
  void peer_says(std::string_view bytes) {
    ASSERT_EQ(::send(peer_.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  std::size_t peer_reads_all() {
    std::string into(1 << 20, '\0');
    std::size_t total = 0;
    for (;;) {
      const ssize_t bytes = ::recv(peer_.get(), into.data(), into.size(), 0);
      if (bytes <= 0) return total;
      total += static_cast<std::size_t>(bytes);
    }
  }

  EventLoop loop_;
  FileDescriptor peer_;
  std::optional<Stream> stream_;
  wire::InputBuffer in_;
  int readable_ = 0;
  int writable_ = 0;
  std::function<void()> on_readable_;
  std::function<void()> on_writable_;
};

TEST_F(StreamTest, IsBrokenWhereItCannotBeWatched) {
  on_readable_ = [this] {
    EXPECT_EQ(stream_->read(in_, 2), Stream::ReadResult::kReset);
    stream_->close();
  };
  no_memory = true;
  stream_->watch_readable(true);
  no_memory = false;
  wire::OutputQueue out;
  out.append("x");
  EXPECT_FALSE(stream_->write(out));
  run_for(milliseconds(10));
  EXPECT_EQ(readable_, 1);
}

TEST_F(StreamTest, IsBrokenWhereItsWritingCannotGoOn) {
  wire::OutputQueue out;
  out.append(std::string(8 << 20, 'x'));
  no_memory = true;
  EXPECT_FALSE(stream_->write(out));
  no_memory = false;
  EXPECT_EQ(stream_->read(in_, 2), Stream::ReadResult::kReset);
}

TEST(TimerWithoutMemory, SaysSo) {
  EventLoop loop;
  int fired = 0;
  Timer timer(loop, [&] {
    ++fired;
    loop.stop();
  });
  no_memory = true;
  EXPECT_THROW(timer.start(milliseconds(1)), std::bad_alloc);
  timer.start_now();
  loop.run();
  no_memory = false;
  EXPECT_EQ(fired, 1);
}

TEST_F(StreamTest, TellsOfBytesUntilTheyAreRead) {
  stream_->watch_readable(true);
  peer_says("abcdef");
  on_readable_ = [this] {
    EXPECT_EQ(stream_->read(in_, 2), Stream::ReadResult::kBytes);
    if (in_.size() == 6) loop_.stop();
  };
  loop_.run();
  EXPECT_EQ(in_.view(), "abcdef");
  EXPECT_EQ(readable_, 3);
  EXPECT_EQ(stream_->read(in_, 2), Stream::ReadResult::kNothing);
}

TEST_F(StreamTest, IsSilentWhileNobodyWantsToRead) {
  stream_->watch_readable(true);
  stream_->watch_readable(false);
  peer_says("x");
  run_for(milliseconds(30));
  EXPECT_EQ(readable_, 0);
  on_readable_ = [this] {
    EXPECT_EQ(stream_->read(in_, 16), Stream::ReadResult::kBytes);
    loop_.stop();
  };
  stream_->watch_readable(true);
  loop_.run();
  EXPECT_EQ(readable_, 1);
}

TEST_F(StreamTest, TellsOfTheEnd) {
  stream_->watch_readable(true);
  peer_.close();
  on_readable_ = [this] {
    EXPECT_EQ(stream_->read(in_, 16), Stream::ReadResult::kClosed);
    stream_->close();
    loop_.stop();
  };
  loop_.run();
  EXPECT_EQ(readable_, 1);
  EXPECT_FALSE(stream_->open());
}

TEST_F(StreamTest, WritesWhatTheSocketTakesAndTheRestLater) {
  wire::OutputQueue out;
  const std::string block(8 << 20, 'b');
  out.append(block);
  ASSERT_TRUE(stream_->write(out));
  ASSERT_FALSE(out.empty());
  std::size_t received = 0;
  on_writable_ = [&] {
    ASSERT_TRUE(stream_->write(out));
    received += peer_reads_all();
    if (out.empty()) loop_.stop();
  };
  received += peer_reads_all();
  loop_.run();
  EXPECT_EQ(received + peer_reads_all(), block.size());
  EXPECT_GE(writable_, 1);
}

TEST_F(StreamTest, WritesManyPiecesInOrder) {
  wire::OutputQueue out;
  std::string expected;
  for (char c = 'a'; c <= 'z'; ++c) {
    auto block = std::make_shared<std::string>(wire::OutputQueue::kShareBytesMin, c);
    out.append("-");
    out.append_shared(block, *block);
    expected += "-" + *block;
  }
  std::string received;
  std::string into(1 << 20, '\0');
  while (received.size() < expected.size()) {
    ASSERT_TRUE(stream_->write(out));
    const ssize_t bytes = ::recv(peer_.get(), into.data(), into.size(), 0);
    ASSERT_GT(bytes, 0);
    received.append(into, 0, static_cast<std::size_t>(bytes));
  }
  EXPECT_TRUE(received == expected);
  EXPECT_TRUE(out.empty());
}

TEST_F(StreamTest, AWriteToAGoneReaderFails) {
  peer_.close();
  wire::OutputQueue out;
  out.append("x");
  EXPECT_FALSE(stream_->write(out));
}

TEST_F(StreamTest, ClosedByTheOtherHandlerOfOneBatchIsNotTold) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  const FileDescriptor other_peer(ends[1]);
  int told = 0;
  std::optional<Stream> other;
  const auto close_both = [&] {
    ++told;
    stream_->close();
    other->close();
  };
  other.emplace(loop_, FileDescriptor(ends[0]), close_both, [] {});
  on_readable_ = close_both;
  stream_->watch_readable(true);
  other->watch_readable(true);
  peer_says("x");
  ASSERT_EQ(::send(other_peer.get(), "y", 1, 0), 1);
  run_for(milliseconds(30));
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace pgcache::net
