#include "agent/daemon/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

#include "agent/daemon/quote_order.h"
#include "tests/agent/loop_thread.h"

namespace countersign::agent {
namespace {

using Urgency = Worker::Urgency;

TEST(WorkerTest, BringsResultsBackToTheLoopInOrder) {
  LoopThread loop;
  std::unique_ptr<Worker> worker;
  std::vector<int> results;
  std::promise<void> all;
  std::thread::id loop_id;
  std::atomic<bool> elsewhere = true;
  loop.Sync([&] {
    loop_id = std::this_thread::get_id();
    worker = std::make_unique<Worker>(loop.loop());
    for (int i = 0; i < 1000; ++i) {
      worker->Submit(
          Urgency::kNormal,
          [&elsewhere, loop_id, i] {
            if (std::this_thread::get_id() == loop_id) elsewhere = false;
            return i;
          },
          [&, i](int result) {
            EXPECT_EQ(std::this_thread::get_id(), loop_id);
            results.push_back(result);
            if (i == 999) all.set_value();
          });
    }
  });
  all.get_future().wait();
  EXPECT_TRUE(elsewhere);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(results[static_cast<size_t>(i)], i);
  }
  loop.Sync([&] { worker.reset(); });
}

TEST(WorkerTest, DoesWhatIsUrgentFirst) {
  LoopThread loop;
  std::unique_ptr<Worker> worker;
  std::promise<void> begun, go_on, all;
  std::vector<char> order;
  loop.Sync([&] {
    worker = std::make_unique<Worker>(loop.loop());
    const auto note = [&](char name) {
      return [&order, &all, name](bool) {
        order.push_back(name);
        if (order.size() == 3) all.set_value();
      };
    };
    worker->Submit(
        Urgency::kNormal,
        [&] {
          begun.set_value();
          go_on.get_future().wait();
          return true;
        },
        note('a'));
    begun.get_future().wait();
    worker->Submit(
        Urgency::kNormal, [] { return true; }, note('b'));
    worker->Submit(
        Urgency::kUrgent, [] { return true; }, note('c'));
  });
  go_on.set_value();
  all.get_future().wait();
  EXPECT_EQ(order, (std::vector<char>{'a', 'c', 'b'}));
  loop.Sync([&] { worker.reset(); });
}

TEST(WorkerTest, EndsWithTasksThatNeverBegan) {
  LoopThread loop;
  std::promise<void> begun;
  std::atomic<int> ran = 0;
  loop.Sync([&] {
    Worker worker(loop.loop());
    worker.Submit(
        Urgency::kNormal,
        [&] {
          begun.set_value();
          return ++ran;
        },
        [](int) {});
    begun.get_future().wait();
    for (int i = 0; i < 100; ++i) {
      worker.Submit(
          Urgency::kNormal, [&ran] { return ++ran; }, [](int) {});
    }
  });
  EXPECT_GE(ran, 1);
}

TEST(WorkerTest, MovesResultsThatCannotBeCopied) {
  LoopThread loop;
  std::unique_ptr<Worker> worker;
  std::promise<int> got;
  loop.Sync([&] {
    worker = std::make_unique<Worker>(loop.loop());
    worker->Submit(
        Urgency::kNormal, [] { return std::make_unique<int>(7); },
        [&](std::unique_ptr<int> value) { got.set_value(*value); });
  });
  EXPECT_EQ(got.get_future().get(), 7);
  loop.Sync([&] { worker.reset(); });
}

TEST(QuoteOrderTest, LetsEachGoWhenAllBeforeItHaveLeft) {
  LoopThread loop;
  std::vector<int> went;
  std::optional<QuoteOrder> order;
  std::vector<std::optional<QuoteOrder::Place>> places(3);
  loop.Sync([&] {
    order.emplace(loop.loop());
    for (auto& place : places) place.emplace(order->Take());
    for (int i = 2; i >= 0; --i) {
      places[static_cast<size_t>(i)]->WhenFirst(
          [&went, i] { went.push_back(i); });
    }
  });
  loop.Sync([&] {
    EXPECT_EQ(went, std::vector<int>{0});
    EXPECT_TRUE(places[0]->first());
    places[1].reset();  // Gave up.
    places[0].reset();
  });
  loop.Sync([&] {
    EXPECT_EQ(went, (std::vector<int>{0, 2}));
    places[2].reset();
  });
}

TEST(QuoteOrderTest, ForgetsACallbackWithItsPlace) {
  LoopThread loop;
  int went = 0;
  loop.Sync([&] {
    QuoteOrder order(loop.loop());
    auto first = std::make_optional(order.Take());
    auto second = std::make_optional(order.Take());
    second->WhenFirst([&] { ++went; });
    second.reset();
    first.reset();
  });
  loop.Sync([&] { EXPECT_EQ(went, 0); });
}

}  // namespace
}  // namespace countersign::agent
