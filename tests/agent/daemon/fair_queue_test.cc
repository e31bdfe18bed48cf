#include "agent/daemon/fair_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace countersign::agent {
namespace {

std::string PopAll(FairQueue<char>& queue) {
  std::string order;
  while (!queue.empty()) order += queue.Pop();
  return order;
}

TEST(FairQueueTest, GivesEachUserATurn) {
  FairQueue<char> queue;
  for (const char c : std::string("aaaa")) queue.Push(1, c);
  for (const char c : std::string("bb")) queue.Push(2, c);
  queue.Push(3, 'c');
  EXPECT_EQ(queue.size(), 7u);
  EXPECT_EQ(queue.size_of(1), 4u);
  EXPECT_EQ(PopAll(queue), "abcabaa");
  EXPECT_EQ(queue.size_of(1), 0u);
}

TEST(FairQueueTest, KeepsTheOrderOfOneUser) {
  FairQueue<char> queue;
  for (const char c : std::string("bcd")) queue.Push(1, c);
  queue.PushFront(1, 'a');
  EXPECT_EQ(PopAll(queue), "abcd");
}

TEST(FairQueueTest, TakesOutWhatIsAskedFor) {
  FairQueue<char> queue;
  for (const char c : std::string("axbx")) queue.Push(1, c);
  for (const char c : std::string("xx")) queue.Push(2, c);
  const auto taken = queue.TakeIf([](char c) { return c == 'x'; });
  EXPECT_EQ(taken.size(), 4u);
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(PopAll(queue), "ab");
  queue.Push(2, 'y');
  EXPECT_EQ(PopAll(queue), "y");
}

}  // namespace
}  // namespace countersign::agent
