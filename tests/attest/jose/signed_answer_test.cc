#include "attest/jose/signed_answer.h"

#include <gtest/gtest.h>

#include <string>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"
#include "attest/jose/jws.h"
#include "countersign/v1/service.pb.h"

namespace countersign::jose {
namespace {

constexpr const char* kRequest = "the request's bytes";
constexpr const char* kPayload = "the answer's bytes";

class SignedAnswerTest : public testing::Test {
 protected:
  SignedAnswerTest() { keys_.Add(key_.public_key()); }

  v1::ServiceSigned Sign(const AnswerAddress& address,
                         const std::string& payload = kPayload) const {
    return SignAnswer(key_, address, AsBytes(kRequest), payload, 1'900'000'000)
        .value();
  }
  Result<std::string> Verify(const v1::ServiceSigned& answer) const {
    return VerifyAnswer(keys_, address_, Sha256(AsBytes(kRequest)), answer);
  }
  // Refused as not from the service, with a detail that says why.
  void ExpectInvalid(const v1::ServiceSigned& answer,
                     const std::string& detail) const {
    const auto payload = Verify(answer);
    ASSERT_FALSE(payload) << detail;
    EXPECT_EQ(payload.error().code, ErrorCode::kAnswerInvalid);
    EXPECT_NE(payload.error().detail.find(detail), std::string::npos)
        << payload.error().detail;
  }

  Es256Key key_ = Es256Key::Generate().value();
  KeySet keys_;
  AnswerAddress address_{"https://authz.example", std::string(32, 'a'),
                         std::string(kKindDecisions)};
};

TEST_F(SignedAnswerTest, ReturnsThePayloadOfTheRightAnswer) {
  EXPECT_EQ(Verify(Sign(address_)), kPayload);
}

TEST_F(SignedAnswerTest, SpeaksToADeviceThatHasNoNameYet) {
  address_.audience.clear();
  EXPECT_EQ(Verify(Sign(address_)), kPayload);
}

TEST_F(SignedAnswerTest, OutlivesItsRequestWhereTheCallerSaysSo) {
  EXPECT_EQ(VerifyAnswer(keys_, address_, std::nullopt, Sign(address_)),
            kPayload);
}

TEST_F(SignedAnswerTest, RejectsAnotherKey) {
  const auto stranger = Es256Key::Generate().value();
  ExpectInvalid(
      SignAnswer(stranger, address_, AsBytes(kRequest), kPayload, 1).value(),
      "jws_unknown_key");
}

TEST_F(SignedAnswerTest, RejectsAJwsThatIsNotAnAnswer) {
  v1::ServiceSigned answer = Sign(address_);
  answer.set_jws(SignJws(key_, kTypGrant, "{}").value());
  ExpectInvalid(answer, "jws_type");
  answer.set_jws("");
  ExpectInvalid(answer, "jws_malformed");
}

TEST_F(SignedAnswerTest, RejectsAnotherIssuer) {
  AnswerAddress other = address_;
  other.issuer = "https://other.example";
  ExpectInvalid(Sign(other), "issuer");
}

TEST_F(SignedAnswerTest, RejectsAnAnswerToAnotherDevice) {
  AnswerAddress other = address_;
  other.audience = std::string(32, 'b');
  ExpectInvalid(Sign(other), "device");
  other.audience.clear();
  ExpectInvalid(Sign(other), "device");
}

TEST_F(SignedAnswerTest, RejectsAnAnswerOfAnotherKind) {
  AnswerAddress other = address_;
  other.kind = std::string(kKindChallenge);
  ExpectInvalid(Sign(other), "kind");
}

TEST_F(SignedAnswerTest, RejectsTheAnswerToAnotherRequest) {
  ExpectInvalid(
      SignAnswer(key_, address_, AsBytes("other"), kPayload, 1).value(),
      "request");
}

TEST_F(SignedAnswerTest, RejectsAChangedPayload) {
  v1::ServiceSigned answer = Sign(address_);
  answer.set_payload("other bytes");
  ExpectInvalid(answer, "payload");
  answer.clear_payload();
  ExpectInvalid(answer, "payload");
}

TEST_F(SignedAnswerTest, TurnsASignedRefusalIntoItsError) {
  v1::ErrorInfo info;
  info.set_number(static_cast<uint32_t>(ErrorCode::kNonceExpired));
  info.set_detail("120 s\nago");
  AnswerAddress refusal = address_;
  refusal.kind = std::string(kKindError);
  const auto payload = Verify(Sign(refusal, info.SerializeAsString()));
  ASSERT_FALSE(payload);
  EXPECT_EQ(payload.error().code, ErrorCode::kNonceExpired);
  EXPECT_EQ(payload.error().detail, "120 s\\u{a}ago");
}

TEST_F(SignedAnswerTest, TakesAnUnknownRefusalForARefusal) {
  AnswerAddress refusal = address_;
  refusal.kind = std::string(kKindError);
  for (uint32_t number : {0u, 65'000u, 1u << 31,
                          static_cast<uint32_t>(ErrorCode::kAnswerInvalid)}) {
    v1::ErrorInfo info;
    info.set_number(number);
    const auto payload = Verify(Sign(refusal, info.SerializeAsString()));
    ASSERT_FALSE(payload);
    EXPECT_EQ(payload.error().code, ErrorCode::kServiceRejected) << number;
  }
  ExpectInvalid(Sign(refusal, "\xff\xff"), "malformed");
}

// An uplink cannot make a refusal any more than a permit.
TEST_F(SignedAnswerTest, RejectsARefusalToAnotherRequest) {
  AnswerAddress refusal = address_;
  refusal.kind = std::string(kKindError);
  ExpectInvalid(SignAnswer(key_, refusal, AsBytes("other"), "", 1).value(),
                "request");
}

}  // namespace
}  // namespace countersign::jose
