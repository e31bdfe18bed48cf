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

// Submits tasks with these names, upper case for urgent ones, while another one
// runs; the order in which they ran.
std::string OrderOf(const std::string& names) {
  LoopThread loop;
  std::unique_ptr<Worker> worker;
  std::promise<void> begun, go_on, all;
  std::string order;
  loop.Sync([&] {
    worker = std::make_unique<Worker>(loop.loop());
    worker->Submit(
        Urgency::kNormal,
        [&] {
          begun.set_value();
          go_on.get_future().wait();
          return true;
        },
        [](bool) {});
    begun.get_future().wait();
    for (const char name : names) {
      const bool urgent = name >= 'A' && name <= 'Z';
      worker->Submit(
          urgent ? Urgency::kUrgent : Urgency::kNormal, [] { return true; },
          [&order, &all, &names, name](bool) {
            order.push_back(name);
            if (order.size() == names.size()) all.set_value();
          });
    }
  });
  go_on.set_value();
  all.get_future().wait();
  loop.Sync([&] { worker.reset(); });
  return order;
}

TEST(WorkerTest, DoesWhatIsUrgentFirst) { EXPECT_EQ(OrderOf("abC"), "Cab"); }

// A49: opening sessions is urgent; who does nothing else must not keep
// everybody's actions from being quoted.
TEST(WorkerTest, DoesSomeOfTheRestAmongMuchThatIsUrgent) {
  EXPECT_EQ(OrderOf("abABCD"), "AaBbCD");
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
