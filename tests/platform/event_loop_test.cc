#include "platform/event_loop.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "tests/fails_with.h"

namespace countersign::platform {
namespace {

using std::chrono::milliseconds;

struct Pipe {
  Pipe() {
    if (::pipe(ends.data()) != 0) std::abort();
  }
  ~Pipe() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  std::array<int, 2> ends{};
};

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto loop = EventLoop::Create();
    ASSERT_TRUE(Succeeds(loop));
    loop_ = *std::move(loop);
  }
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, RunsPostedWorkInOrder) {
  std::string order;
  loop_->Post([&] { order += "a"; });
  loop_->Post([&] { order += "b"; });
  loop_->Post([&] { loop_->Stop(); });
  loop_->Run();
  EXPECT_EQ(order, "ab");
}

TEST_F(EventLoopTest, LosesNoPostFromManyThreads) {
  constexpr int kThreads = 8;
  constexpr int kPosts = 5000;
  int count = 0;  // Only the loop's thread touches it.
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kPosts; ++j) {
        loop_->Post([&] {
          if (++count == kThreads * kPosts) loop_->Stop();
        });
      }
    });
  }
  loop_->Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * kPosts);
}

TEST_F(EventLoopTest, RunsWhatWasPostedBeforeStop) {
  bool ran = false;
  loop_->Post([&] { loop_->Stop(); });
  loop_->Post([&] { loop_->Post([&] { ran = true; }); });
  loop_->Run();
  EXPECT_TRUE(ran);
}

TEST_F(EventLoopTest, StopsFromAnotherThread) {
  std::thread other([&] { loop_->Stop(); });
  loop_->Run();
  other.join();
}

TEST_F(EventLoopTest, TellsThatAHandleIsReadable) {
  const Pipe pipe;
  char got = 0;
  ASSERT_TRUE(Succeeds(loop_->Add(pipe.ends[0], [&] {
    (void)!::read(pipe.ends[0], &got, 1);
    loop_->Stop();
  })));
  ASSERT_EQ(::write(pipe.ends[1], "x", 1), 1);
  loop_->Run();
  EXPECT_EQ(got, 'x');
}

TEST_F(EventLoopTest, TellsThatAHandleIsWritableOnlyWhenAsked) {
  const Pipe pipe;
  int writable = 0;
  ASSERT_TRUE(Succeeds(loop_->Add(
      pipe.ends[1], [] {},
      [&] {
        ++writable;
        loop_->WatchWritable(pipe.ends[1], false);
        loop_->RunAfter(milliseconds(20), [&] { loop_->Stop(); });
      })));
  loop_->RunAfter(milliseconds(20), [&] {
    EXPECT_EQ(writable, 0);
    loop_->WatchWritable(pipe.ends[1], true);
  });
  loop_->Run();
  EXPECT_EQ(writable, 1);
}

TEST_F(EventLoopTest, PausesReading) {
  const Pipe pipe;
  int readable = 0;
  ASSERT_TRUE(Succeeds(loop_->Add(pipe.ends[0], [&] {
    ++readable;
    loop_->WatchReadable(pipe.ends[0], false);
  })));
  ASSERT_EQ(::write(pipe.ends[1], "x", 1), 1);
  loop_->RunAfter(milliseconds(30), [&] {
    EXPECT_EQ(readable, 1);
    loop_->WatchReadable(pipe.ends[0], true);
    loop_->RunAfter(milliseconds(10), [&] { loop_->Stop(); });
  });
  loop_->Run();
  EXPECT_EQ(readable, 2);
}

TEST_F(EventLoopTest, CallbackMayRemoveItsOwnHandle) {
  const Pipe pipe;
  int calls = 0;
  ASSERT_TRUE(
      Succeeds(loop_->Add(pipe.ends[0], [&, text = std::string(100, 'x')] {
        loop_->Remove(pipe.ends[0]);
        calls += static_cast<int>(text.size());  // Still alive.
        loop_->RunAfter(milliseconds(10), [&] { loop_->Stop(); });
      })));
  ASSERT_EQ(::write(pipe.ends[1], "x", 1), 1);
  loop_->Run();
  EXPECT_EQ(calls, 100);
}

TEST_F(EventLoopTest, ForgetsEventsOfAHandleThatAnotherCallbackRemoved) {
  const Pipe first;
  const Pipe second;
  int calls = 0;
  const auto remove_other = [&](int other) {
    ++calls;
    loop_->Remove(other);
    loop_->Stop();
  };
  ASSERT_TRUE(Succeeds(
      loop_->Add(first.ends[0], [&] { remove_other(second.ends[0]); })));
  ASSERT_TRUE(Succeeds(
      loop_->Add(second.ends[0], [&] { remove_other(first.ends[0]); })));
  ASSERT_EQ(::write(first.ends[1], "x", 1), 1);
  ASSERT_EQ(::write(second.ends[1], "x", 1), 1);
  loop_->Run();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, RunsTimersInOrderAndNotEarly) {
  std::string order;
  const auto start = std::chrono::steady_clock::now();
  loop_->RunAfter(milliseconds(40), [&] {
    order += "b";
    loop_->Stop();
  });
  loop_->RunAfter(milliseconds(10), [&] { order += "a"; });
  loop_->Run();
  EXPECT_EQ(order, "ab");
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(40));
}

TEST_F(EventLoopTest, CancelsTimers) {
  bool ran = false;
  const auto timer = loop_->RunAfter(milliseconds(5), [&] { ran = true; });
  loop_->RunAfter(milliseconds(30), [&] { loop_->Stop(); });
  loop_->Cancel(timer);
  loop_->Cancel(timer);
  loop_->Run();
  EXPECT_FALSE(ran);
}

TEST_F(EventLoopTest, SleepsWhenIdle) {
  std::thread runner([&] { loop_->Run(); });
  // Timers that were cancelled must not wake it either.
  loop_->Post([&] { loop_->Cancel(loop_->RunAfter(milliseconds(50), [] {})); });
  std::atomic<long> switches = 0;  // Of the loop's thread, by its own count.
  const auto count = [&switches] {
    rusage used{};
    ::getrusage(RUSAGE_THREAD, &used);
    switches = used.ru_nvcsw - switches;
  };
  loop_->Post(count);
  ::usleep(300'000);
  loop_->Post(count);
  loop_->Stop();
  runner.join();
  // Once to sleep, however long; waking for the second count is no switch.
  EXPECT_LE(switches, 1);
}

}  // namespace
}  // namespace countersign::platform
