#include "agent/daemon/enroll.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/agent/daemon/daemon_rig.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

using Mode = TestService::Mode;
using std::chrono::seconds;

Result<v1::Response> EnrollWith(
    const DaemonRig& rig, const std::string& token,
    const std::string& service = TestService::kIssuer) {
  v1::Request request;
  request.mutable_enroll()->set_service(service);
  request.mutable_enroll()->set_token(token);
  return rig.Call(request);
}

TEST(EnrollTest, EnrollsOverALyingNetworkByTheTokensThumbprint) {
  DaemonRig rig;
  const auto enrolled = rig.Enroll();
  ASSERT_TRUE(Succeeds(enrolled));
  EXPECT_EQ(enrolled->device_id().size(), 16u);
  EXPECT_EQ(enrolled->ek_class(), "virtual");
  EXPECT_EQ(rig.Status().device_id(), enrolled->device_id());
}

TEST(EnrollTest, StaysEnrolledAfterARestart) {
  DaemonRig rig;
  const auto enrolled = rig.Enroll();
  ASSERT_TRUE(Succeeds(enrolled));
  rig.Restart();
  EXPECT_TRUE(Eventually([&] { return rig.Status().enrolled(); }));
  EXPECT_EQ(rig.Status().device_id(), enrolled->device_id());
}

TEST(EnrollTest, NothingWorksBeforeIt) {
  DaemonRig rig;
  Client client = rig.Connect();
  EXPECT_TRUE(FailsWith(rig.OpenSession(client), ErrorCode::kNotEnrolled));
  EXPECT_TRUE(FailsWith(rig.Authorize(client, std::string(16, 'x')),
                        ErrorCode::kNotEnrolled));
  EXPECT_TRUE(rig.Status().tpm_not_opened());
  ASSERT_TRUE(Succeeds(rig.Enroll()));
  EXPECT_FALSE(rig.Status().tpm_not_opened());
}

TEST(EnrollTest, RejectsATokenWithAnotherThumbprint) {
  DaemonRig rig;
  std::string token = rig.service.token();
  token.replace(token.rfind('.') + 1, 4, "AAAA");
  EXPECT_TRUE(FailsWith(EnrollWith(rig, token), ErrorCode::kUntrustedKey));
  EXPECT_EQ(rig.service.requests("/v1/enrollments"), 0);
}

// A53
TEST(EnrollTest, RejectsADamagedOrWrongToken) {
  DaemonRig rig;
  EXPECT_TRUE(FailsWith(EnrollWith(rig, "secret"), ErrorCode::kTokenInvalid));
  std::string token = rig.service.token();
  token[5] = token[5] == 'A' ? 'B' : 'A';
  EXPECT_TRUE(FailsWith(EnrollWith(rig, token), ErrorCode::kTokenInvalid));
  EXPECT_FALSE(rig.Status().enrolled());
}

TEST(EnrollTest, RejectsNoPinAtAll) {
  DaemonRig rig;
  EXPECT_TRUE(FailsWith(EnrollWith(rig, ""), ErrorCode::kUntrustedKey));
}

TEST(EnrollTest, RejectsAServiceThatIsNoHttpsUrl) {
  DaemonRig rig;
  for (const std::string service :
       {"", "authz.test", "http://authz.test", "https://", "ftp://a",
        "https://user@authz.test", "https://authz.test/?q"}) {
    EXPECT_TRUE(FailsWith(EnrollWith(rig, rig.service.token(), service),
                          ErrorCode::kBadRequest))
        << service;
  }
  EXPECT_TRUE(CheckIssuer("http://127.0.0.1:8080").has_value());
  EXPECT_EQ(*CheckIssuer("https://authz.test/"), "https://authz.test");
}

TEST(EnrollTest, PinsTheKeysOfManagedConfiguration) {
  DaemonRig rig;
  const std::string path = rig.folder + "/jwks.json";
  std::ofstream(path) << rig.service.jwks();
  AgentConfig config = rig.config;
  config.service.jwks_file = path;
  rig.Reconfigure(config);
  ASSERT_TRUE(Succeeds(EnrollWith(rig, rig.service.token())));
  EXPECT_EQ(rig.service.requests("/v1/jwks"), 0);
}

class LostAnswerTest : public testing::TestWithParam<const char*> {};

// F10: the token is not burnt, and the device is the same one.
TEST_P(LostAnswerTest, IsRepeatedWithTheSameAkAndToken) {
  DaemonRig rig;
  rig.service.Set(Mode::kLoseAnswer, GetParam(), 1);
  EXPECT_TRUE(FailsWith(rig.Enroll(), ErrorCode::kServiceUnreachable));
  rig.Restart();
  ASSERT_TRUE(Eventually([&] { return rig.Status().uplink_connected(); }));
  EXPECT_TRUE(Succeeds(rig.Enroll()));
}

// First contact, the credential challenge, and the device record.
INSTANTIATE_TEST_SUITE_P(Enroll, LostAnswerTest,
                         testing::Values("/v1/jwks", "/v1/enrollments",
                                         "/v1/enrollments/"));

TEST(EnrollTest, RepeatsForADeviceThatIsEnrolled) {
  DaemonRig rig;
  const auto first = rig.Enroll();
  ASSERT_TRUE(Succeeds(first));
  Client client = rig.Connect();
  ASSERT_TRUE(Succeeds(rig.OpenSession(client)));
  const auto second = rig.Enroll();
  ASSERT_TRUE(Succeeds(second));
  EXPECT_EQ(second->device_id(), first->device_id());
  // Sessions of before are over, here and at the service.
  EXPECT_EQ(rig.Status().sessions(), 0u);
  EXPECT_TRUE(
      Eventually([&] { return rig.service.session_ends().size() == 1; }));
  const auto session = rig.OpenSession(client);
  ASSERT_TRUE(Succeeds(session));
  EXPECT_TRUE(Succeeds(rig.Authorize(client, *session)));
}

class BadEnrollmentAnswerTest : public testing::TestWithParam<Mode> {};

TEST_P(BadEnrollmentAnswerTest, LeavesTheDeviceNotEnrolled) {
  for (const char* path : {"/v1/jwks", "/v1/enrollments"}) {
    DaemonRig rig;
    rig.service.Set(GetParam(), path);
    EXPECT_FALSE(rig.Enroll().has_value());
    EXPECT_FALSE(rig.Status().enrolled());
    rig.service.Set(Mode::kAnswer, "");
    EXPECT_TRUE(Succeeds(rig.Enroll()));
  }
}

INSTANTIATE_TEST_SUITE_P(Enroll, BadEnrollmentAnswerTest,
                         testing::Values(Mode::kHtml, Mode::kGarbage));

TEST(EnrollTest, RejectsForgedAnswers) {
  for (const Mode mode : {Mode::kForged, Mode::kReplayed}) {
    DaemonRig rig;
    rig.service.Set(mode, "/v1/enrollments");
    EXPECT_TRUE(FailsWith(rig.Enroll(), ErrorCode::kAnswerInvalid));
  }
}

// A54
TEST(EnrollTest, RefusesStateThatWasCopiedFromAnotherMachine) {
  DaemonRig original;
  ASSERT_TRUE(Succeeds(original.Enroll()));
  original.StopDaemon();
  DaemonRig copy;
  copy.StopDaemon();
  std::filesystem::copy(original.config.state_dir, copy.config.state_dir,
                        std::filesystem::copy_options::recursive |
                            std::filesystem::copy_options::overwrite_existing);
  copy.StartDaemon();
  Client client = copy.Connect();
  EXPECT_TRUE(Eventually([&] {
    return FailsWith(copy.OpenSession(client),
                     ErrorCode::kStateBelongsToOtherTpm);
  }));
  EXPECT_FALSE(copy.Status().enrolled());
  EXPECT_EQ(copy.Status().tpm_error().reason(), "state_belongs_to_other_tpm");
  ASSERT_TRUE(Eventually([&] { return copy.Status().uplink_connected(); }));
  EXPECT_TRUE(FailsWith(copy.Enroll(), ErrorCode::kStateBelongsToOtherTpm));
}

}  // namespace
}  // namespace countersign::agent
