// SPDX-License-Identifier: Apache-2.0
#include "wire/buffers.h"

#include <gtest/gtest.h>

#include <random>

namespace pgcache::wire {
namespace {

TEST(InputBuffer, KeepsOrderOverRandomReadsAndConsumes) {
  std::mt19937 random(7);
  InputBuffer buffer;
  std::string expected;
  std::uint8_t next = 0;
  for (int step = 0; step < 20000; ++step) {
    std::string more(random() % 97, '\0');
    for (char& c : more) c = static_cast<char>(next++);
    buffer.append(more);
    expected += more;
    const std::size_t taken = random() % (expected.size() + 1);
    ASSERT_EQ(buffer.view().substr(0, taken), std::string_view(expected).substr(0, taken));
    buffer.consume(taken);
    expected.erase(0, taken);
    if (step % 100 == 0) buffer.shrink(16);
    ASSERT_EQ(buffer.view(), expected);
  }
}

TEST(OutputQueue, PartialWritesOfOwnAndSharedPieces) {
  std::mt19937 random(11);
  OutputQueue queue;
  std::string expected;
  std::string written;
  std::uint8_t next = 0;
  for (int step = 0; step < 5000; ++step) {
    const bool shared = random() % 4 == 0;
    auto bytes = std::make_shared<std::string>(
        shared ? OutputQueue::kShareBytesMin + random() % 100 : random() % 300, '\0');
    for (char& c : *bytes) c = static_cast<char>(next++);
    expected += *bytes;
    if (shared) {
      queue.append_shared(bytes, *bytes);
    } else {
      queue.append(*bytes);
    }
    ASSERT_EQ(queue.size(), expected.size() - written.size());
    std::string offered;
    for (const std::string_view piece : queue.pieces(3)) offered += piece;
    const std::size_t taken = offered.empty() ? 0 : random() % (offered.size() + 1);
    written += offered.substr(0, taken);
    queue.consume(taken);
    ASSERT_EQ(queue.size(), expected.size() - written.size());
    ASSERT_EQ(queue.empty(), expected.size() == written.size());
  }
  while (!queue.empty()) {
    const std::string piece(queue.pieces(1).front());
    written += piece;
    queue.consume(piece.size());
  }
  EXPECT_EQ(written, expected);
}

TEST(OutputQueue, ASharedBlockLivesUntilItIsWritten) {
  OutputQueue queue;
  auto block = std::make_shared<std::string>(OutputQueue::kShareBytesMin, 'x');
  const std::weak_ptr<std::string> watch = block;
  queue.append("head");
  queue.append_shared(block, *block);
  block.reset();
  queue.append("tail");
  EXPECT_FALSE(watch.expired());
  queue.consume(4 + OutputQueue::kShareBytesMin);
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(queue.pieces(8).front(), "tail");
}

}  // namespace
}  // namespace pgcache::wire
