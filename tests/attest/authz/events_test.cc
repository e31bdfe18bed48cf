#include "attest/authz/events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>

#include "attest/authz/revocation.h"
#include "attest/authz/session_end_watch.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using testing::ElementsAre;

class EventsTest : public testing::Test {
 protected:
  EventsTest() { laptop_.Enroll(); }

  v1::EventsRequest Request(const LaptopSession& session) const {
    v1::EventsRequest request;
    request.set_device_id(session.binding.device_id());
    request.set_event_token(session.answer.event_token());
    request.set_after_index(session.answer.ledger_index());
    request.set_request_nonce(std::string(16, 'n'));
    return request;
  }
  // Ends as the laptop ends it, by a last action.
  void Close(const LaptopSession& session) {
    v1::Action end = laptop_.NewAction(session);
    end.clear_action_request();
    end.set_session_end("client_closed");
    laptop_.Decide(laptop_.NewBatch({end}));
  }
  ErrorCode CodeOf(const v1::EventsRequest& request) {
    const auto events = EventsOf(*rig_.service, request);
    return events ? ErrorCode::kInternal : events.error().code;
  }

  ServiceRig rig_;
  Laptop laptop_{rig_};
};

TEST_F(EventsTest, TellsOfEachEndOnce) {
  const LaptopSession first = laptop_.OpenSession();
  const LaptopSession second = laptop_.OpenSession();
  v1::EventsRequest request = Request(first);
  EXPECT_EQ(EventsOf(*rig_.service, request)->ended_size(), 0);
  Close(second);
  const auto events = EventsOf(*rig_.service, request);
  ASSERT_TRUE(events.has_value()) << events.error().detail;
  ASSERT_EQ(events->ended_size(), 1);
  EXPECT_EQ(events->ended(0).session_id(), second.binding.session_id());
  EXPECT_EQ(events->ended(0).ended(), "client_closed");
  request.set_after_index(events->up_to_index());
  EXPECT_EQ(EventsOf(*rig_.service, request)->ended_size(), 0);
}

TEST_F(EventsTest, TellsNothingOfOtherDevices) {
  const LaptopSession session = laptop_.OpenSession();
  Laptop other(rig_);
  other.Enroll();
  const LaptopSession others = other.OpenSession();
  Close(session);
  EXPECT_EQ(EventsOf(*rig_.service, Request(others))->ended_size(), 0);
}

TEST_F(EventsTest, GivesATokenThatGoesOn) {
  const LaptopSession session = laptop_.OpenSession();
  v1::EventsRequest request = Request(session);
  rig_.clock.Advance(23 * 3600 * 1000);
  const auto events = EventsOf(*rig_.service, request);
  ASSERT_TRUE(events.has_value());
  rig_.clock.Advance(2 * 3600 * 1000);
  EXPECT_EQ(CodeOf(request), ErrorCode::kEpochExpired);
  request.set_event_token(events->event_token());
  EXPECT_TRUE(EventsOf(*rig_.service, request).has_value());
}

TEST_F(EventsTest, RefusesATokenOfAnotherDevice) {
  const LaptopSession session = laptop_.OpenSession();
  Laptop other(rig_);
  other.Enroll();
  v1::EventsRequest request = Request(other.OpenSession());
  request.set_device_id(session.binding.device_id());
  EXPECT_EQ(CodeOf(request), ErrorCode::kNonceUnknown);
}

TEST_F(EventsTest, RefusesAnEpochNonceAsAToken) {
  const LaptopSession session = laptop_.OpenSession();
  v1::EventsRequest request = Request(session);
  request.set_event_token(session.answer.epoch_nonce());
  EXPECT_EQ(CodeOf(request), ErrorCode::kNonceUnknown);
}

TEST_F(EventsTest, RefusesARevokedDevice) {
  const LaptopSession session = laptop_.OpenSession();
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           AsBytes(session.binding.device_id()), "lost")
                  .has_value());
  EXPECT_EQ(CodeOf(Request(session)), ErrorCode::kDeviceRevoked);
}

TEST_F(EventsTest, RefusesFieldsOfAnotherLength) {
  const LaptopSession session = laptop_.OpenSession();
  v1::EventsRequest request = Request(session);
  request.set_request_nonce("short");
  EXPECT_EQ(CodeOf(request), ErrorCode::kBadRequest);
  request = Request(session);
  request.set_device_id("short");
  EXPECT_EQ(CodeOf(request), ErrorCode::kBadRequest);
}

TEST_F(EventsTest, WatchTellsOfEndsFromAnywhere) {
  const LaptopSession before = laptop_.OpenSession();
  Close(before);
  std::mutex mutex;
  std::condition_variable told;
  std::vector<std::string> ended;
  const auto watch =
      SessionEndWatch::Start(*rig_.store, [&](const SessionRow& session) {
        const std::lock_guard lock(mutex);
        ended.push_back(AsString(session.id));
        told.notify_all();
      });
  ASSERT_TRUE(watch.has_value());
  const LaptopSession first = laptop_.OpenSession();
  const LaptopSession second = laptop_.OpenSession();
  // As another process does it, over a connection of its own.
  auto elsewhere =
      *SqliteStore::Open(rig_.config.database, SqliteStore::Mode::kMustExist);
  ASSERT_TRUE(RevokeDevice(*elsewhere, *rig_.ledger, rig_.clock,
                           AsBytes(first.binding.device_id()), "lost")
                  .has_value());
  std::unique_lock lock(mutex);
  EXPECT_TRUE(told.wait_for(lock, std::chrono::seconds(5),
                            [&] { return ended.size() == 2; }));
  EXPECT_THAT(ended, ElementsAre(first.binding.session_id(),
                                 second.binding.session_id()));
}

}  // namespace
}  // namespace countersign::authz
