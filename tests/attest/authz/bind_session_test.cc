#include "attest/authz/bind_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "attest/authz/challenge_store.h"
#include "attest/authz/revocation.h"
#include "attest/authz/session_facts.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using verifier::SessionParts;

class BindSessionTest : public testing::Test {
 protected:
  BindSessionTest() : laptop_(rig_) { laptop_.Enroll(); }

  // Refused: no session, and one finding where the device is known.
  void ExpectRefused(const v1::SessionEvidence& evidence, ErrorCode code,
                     bool finding = true, const Origin& origin = kConnection) {
    const size_t before = rig_.LedgerSize();
    const auto answer =
        BindSession(*rig_.service, *rig_.findings, evidence, origin);
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, code) << answer.error().detail;
    const auto ledger = rig_.Ledger();
    ASSERT_EQ(ledger.size(), before + (finding ? 1 : 0));
    if (finding) {
      EXPECT_EQ(ledger.back().kind(), v1::ENTRY_KIND_FINDING);
      EXPECT_EQ(ledger.back().reason(), static_cast<uint32_t>(code));
      EXPECT_EQ(ledger.back().device_id(), AsString(laptop_.device.device_id));
    }
    EXPECT_THAT(rig_.Look([&](StoreView& view) {
      return view.LiveSessions(laptop_.device.device_id);
    }),
                testing::SizeIs(live_));
  }

  ServiceRig rig_;
  Laptop laptop_;
  size_t live_ = 0;  // Sessions that are open.
};

TEST_F(BindSessionTest, BindsAndAttestsTheSessionKey) {
  const LaptopSession session = laptop_.OpenSession();
  const v1::SessionAnswer& answer = session.answer;
  EXPECT_EQ(answer.subject(),
            "os:" + ToHex(laptop_.device.device_id) + ":1000");
  EXPECT_EQ(answer.lease().ttl_s(), 120u);
  EXPECT_EQ(answer.epoch_nonce().size(), 32u);
  EXPECT_EQ(answer.expires_at_ms(), rig_.clock.NowMs() + 900'000);
  EXPECT_EQ(answer.proof().index(), answer.ledger_index());

  jose::KeySet keys;
  keys.Add(rig_.service_key.public_key());
  const auto jws = jose::VerifyJws(answer.client_attestation(),
                                   jose::kTypClientAttestation, keys);
  ASSERT_TRUE(jws.has_value());
  const auto claims = jose::JsonObject::Parse(jws->claims_json, 16'384);
  const auto cnf = jose::JsonObject::Parse(*claims->Object("cnf"), 16'384);
  EXPECT_EQ(
      jose::Es256PublicKey::FromJwkJson(*cnf->Object("jwk"))->thumbprint(),
      session.binding.pop_jkt());

  const v1::LedgerEntry entry = rig_.LastEntry();
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_SESSION);
  EXPECT_EQ(entry.session_id(), session.binding.session_id());
  EXPECT_EQ(entry.session_binding_digest(), AsString(session.digest));
  EXPECT_EQ(entry.subject_pseudonym().size(), 32u);
}

TEST_F(BindSessionTest, KeepsPersonalDataOutOfTheLedger) {
  laptop_.OpenSession();
  const std::string entry = rig_.LastEntry().SerializeAsString();
  EXPECT_EQ(entry.find("ada"), std::string::npos);
  EXPECT_EQ(entry.find("/usr/bin/agent"), std::string::npos);
}

TEST_F(BindSessionTest, GivesNoLongerALifeThanConfigured) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_issued_at_ms(INT64_MIN);
  parts.binding.set_expires_at_ms(INT64_MAX);
  const auto answer = laptop_.Send(parts.Build());
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->expires_at_ms(),
            rig_.clock.NowMs() + rig_.config.sessions.max_lifetime_s * 1000);
}

TEST_F(BindSessionTest, BindsAKeyInsideTheTpm) {
  SessionParts parts(laptop_.device, /*tpm_key=*/true);
  const SessionParts model = laptop_.NewSession();
  parts.binding.set_nonce(model.binding.nonce());
  parts.binding.set_device_id(model.binding.device_id());
  *parts.binding.mutable_workload() = model.binding.workload();
  *parts.binding.mutable_user() = model.binding.user();
  EXPECT_TRUE(laptop_.Send(parts.Build()).has_value());
}

// A27
TEST_F(BindSessionTest, RejectsAReplayedNonce) {
  const SessionParts parts = laptop_.NewSession();
  ASSERT_TRUE(laptop_.Send(parts.Build()).has_value());
  live_ = 1;
  ExpectRefused(parts.Build(), ErrorCode::kNonceUnknown);
}

// A27
TEST_F(BindSessionTest, RejectsANonceThatIsOneBitOff) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.mutable_nonce()->at(31) ^= 1;
  ExpectRefused(parts.Build(), ErrorCode::kNonceUnknown);
}

// A27
TEST_F(BindSessionTest, RejectsATruncatedNonce) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.mutable_nonce()->pop_back();
  ExpectRefused(parts.Build(), ErrorCode::kMalformedStatement);
}

// A27
TEST_F(BindSessionTest, RejectsANonceThatExpiredASecondAgo) {
  const SessionParts parts = laptop_.NewSession();
  rig_.clock.Advance(120'000);
  ExpectRefused(parts.Build(), ErrorCode::kNonceExpired);
}

// A27: and the other device can still use its own.
TEST_F(BindSessionTest, RejectsANonceOfAnotherDeviceAndLeavesItUnspent) {
  Laptop other(rig_);
  other.Enroll();
  const SessionParts theirs = other.NewSession();
  SessionParts ours = laptop_.NewSession();
  ours.binding.set_nonce(theirs.binding.nonce());
  ExpectRefused(ours.Build(), ErrorCode::kNonceUnknown);
  EXPECT_TRUE(other.Send(theirs.Build()).has_value());
}

// A27: of several with one nonce exactly one wins.
TEST_F(BindSessionTest, SpendsANonceOnceAmongManyAtOnce) {
  SessionParts parts = laptop_.NewSession();
  std::vector<v1::SessionEvidence> evidence;
  for (int i = 0; i < 8; ++i) {
    parts.binding.set_session_id(verifier::RandomString(16));
    evidence.push_back(parts.Build());
  }
  std::atomic<int> won{0};
  std::atomic<int> unknown{0};
  {
    std::vector<std::jthread> threads;
    for (const v1::SessionEvidence& one : evidence) {
      threads.emplace_back([&] {
        const auto answer = laptop_.Send(one);
        if (answer) ++won;
        if (!answer && answer.error().code == ErrorCode::kNonceUnknown) {
          ++unknown;
        }
      });
    }
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(unknown, 7);
}

TEST_F(BindSessionTest, RejectsAnEpochNonceAsChallenge) {
  v1::ChallengeRequest request;
  request.set_purpose("epoch");
  request.set_device_id(AsString(laptop_.device.device_id));
  request.set_request_nonce(verifier::RandomString(16));
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_nonce(
      IssueChallenge(*rig_.service, request, kConnection)->nonce());
  ExpectRefused(parts.Build(), ErrorCode::kNonceUnknown);
}

TEST_F(BindSessionTest, RejectsAnotherIssuer) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_issuer("https://other.example");
  ExpectRefused(parts.Build(), ErrorCode::kWrongIssuer);
}

// A36
TEST_F(BindSessionTest, RejectsAnotherTenant) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_tenant("other");
  ExpectRefused(parts.Build(), ErrorCode::kWrongTenant);
}

// A19: the evidence was made for another connection.
TEST_F(BindSessionTest, RejectsEvidenceFromAnotherConnection) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_tls_exporter(std::string(32, 'y'));
  ExpectRefused(parts.Build(), ErrorCode::kChannelBindingMismatch);
}

// A19: challenge and session came over different connections.
TEST_F(BindSessionTest, RejectsAChallengeOfAnotherConnection) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_tls_exporter(std::string(32, 'y'));
  ExpectRefused(parts.Build(), ErrorCode::kChannelBindingMismatch,
                /*finding=*/true, {"192.0.2.1", Bytes(32, 'y')});
}

TEST_F(BindSessionTest, RejectsAnUnboundChannelWhereOneIsRequired) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.clear_tls_exporter();
  ExpectRefused(parts.Build(), ErrorCode::kChannelBindingMismatch);
}

// TLS 1.2 has no exporter: two empty ones are not a match.
TEST_F(BindSessionTest, RejectsTls12WhereABoundChannelIsRequired) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.clear_tls_exporter();
  ExpectRefused(parts.Build(), ErrorCode::kChannelBindingMismatch,
                /*finding=*/true, {"192.0.2.1", {}});
}

TEST(BindSessionWithoutBindingTest, TakesAnUnboundChannelWhereAllowed) {
  ServiceRig rig({.require_channel_binding = false});
  Laptop laptop(rig);
  laptop.Enroll();
  SessionParts parts = laptop.NewSession();
  parts.binding.clear_tls_exporter();
  EXPECT_TRUE(
      BindSession(*rig.service, *rig.findings, parts.Build(), {"192.0.2.1", {}})
          .has_value());
}

// A01
TEST_F(BindSessionTest, RejectsWhatNoTpmGenerated) {
  SessionParts parts = laptop_.NewSession();
  parts.change_quote = [](auto& fields) { fields.magic ^= 1; };
  ExpectRefused(parts.Build(), ErrorCode::kQuoteNotTpmGenerated);
}

TEST_F(BindSessionTest, RejectsACertificationPassedOffAsAQuote) {
  SessionParts parts = laptop_.NewSession();
  parts.change_quote = [](auto& fields) {
    fields.type = tpm::kStAttestCertify;
  };
  ExpectRefused(parts.Build(), ErrorCode::kNotAQuote);
}

TEST_F(BindSessionTest, RejectsTrailingBytesInTheAttest) {
  v1::SessionEvidence evidence = laptop_.NewSession().Build();
  evidence.mutable_quote()->mutable_attest()->push_back('\0');
  ExpectRefused(evidence, ErrorCode::kMalformedEvidence);
}

// A04
TEST_F(BindSessionTest, RejectsTheSha1Bank) {
  SessionParts parts = laptop_.NewSession();
  parts.change_quote = [](auto& fields) {
    fields.selection[5] = tpm::kAlgSha1;
  };
  ExpectRefused(parts.Build(), ErrorCode::kPcrSelectionMismatch);
}

// A02, A03
TEST_F(BindSessionTest, RejectsFewerOrNoPcrs) {
  SessionParts parts = laptop_.NewSession();
  parts.change_quote = [](auto& fields) {
    fields.selection = tpm::PcrSelection::FromText("sha256:0-6")->Encode();
  };
  ExpectRefused(parts.Build(), ErrorCode::kPcrSelectionMismatch);
  SessionParts none = laptop_.NewSession();
  none.change_quote = [](auto& fields) { fields.selection = {0, 0, 0, 0}; };
  ExpectRefused(none.Build(), ErrorCode::kPcrSelectionMismatch);
}

// A05
TEST_F(BindSessionTest, RejectsPcrValuesThatWereNotQuoted) {
  v1::SessionEvidence evidence = laptop_.NewSession().Build();
  evidence.mutable_quote()->mutable_pcr_values(0)->at(0) ^= 1;
  ExpectRefused(evidence, ErrorCode::kPcrDigestMismatch);
}

// A22
TEST_F(BindSessionTest, RejectsAnEventLogThatWasNotQuoted) {
  v1::SessionEvidence evidence = laptop_.NewSession().Build();
  evidence.mutable_event_log()->pop_back();
  ExpectRefused(evidence, ErrorCode::kEventLogMismatch);
}

// A25
TEST_F(BindSessionTest, RejectsABadSignature) {
  v1::SessionEvidence evidence = laptop_.NewSession().Build();
  evidence.mutable_quote()->mutable_signature()->back() ^= 1;
  ExpectRefused(evidence, ErrorCode::kBadSignature);
}

TEST_F(BindSessionTest, RejectsAStatementOfAnotherType) {
  SessionParts parts = laptop_.NewSession();
  parts.type = statement::TypeUri(statement::StatementType::kLogin);
  ExpectRefused(parts.Build(), ErrorCode::kUnknownStatementType);
}

TEST_F(BindSessionTest, RejectsBytesThatAreNotCanonical) {
  v1::SessionEvidence evidence = laptop_.NewSession().Build();
  evidence.mutable_statement()->mutable_body()->append("\xf8\x07\x01", 3);
  ExpectRefused(evidence, ErrorCode::kNonCanonical, /*finding=*/false);
}

TEST_F(BindSessionTest, RejectsAnUnknownDevice) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_device_id(verifier::RandomString(16));
  ExpectRefused(parts.Build(), ErrorCode::kDeviceUnknown, /*finding=*/false);
}

// A29: the session of this AK, said to be another device's.
TEST_F(BindSessionTest, RejectsAnotherDevicesName) {
  Laptop other(rig_);
  other.Enroll();
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_device_id(AsString(other.device.device_id));
  ExpectRefused(parts.Build(), ErrorCode::kAkNotBound, /*finding=*/false);
}

TEST_F(BindSessionTest, RejectsARevokedDevice) {
  const SessionParts parts = laptop_.NewSession();
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  ExpectRefused(parts.Build(), ErrorCode::kDeviceRevoked);
}

// A07
TEST_F(BindSessionTest, RejectsATpmClockThatWentBack) {
  laptop_.OpenSession();
  live_ = 1;
  laptop_.device.clock.clock_ms -= 1;
  ExpectRefused(laptop_.NewSession().Build(), ErrorCode::kTpmClockRollback);
}

// A08
TEST_F(BindSessionTest, EndsEarlierSessionsWhenTheTpmWasReset) {
  const LaptopSession before = laptop_.OpenSession();
  laptop_.device.clock.restart_count += 1;
  const LaptopSession after = laptop_.OpenSession();
  const auto row = rig_.Look([&](StoreView& view) {
    return view.FindSession(AsBytes(before.binding.session_id()));
  });
  EXPECT_EQ(row->end_reason, "reboot");
  EXPECT_LT(row->end_index, after.answer.ledger_index());
  EXPECT_EQ(rig_.Ledger()[row->end_index].kind(), v1::ENTRY_KIND_SESSION_END);
}

TEST_F(BindSessionTest, EndsExpiredSessionsWhenANewOneOpens) {
  const LaptopSession before = laptop_.OpenSession();
  rig_.clock.Advance(900'000);
  laptop_.OpenSession();
  const auto row = rig_.Look([&](StoreView& view) {
    return view.FindSession(AsBytes(before.binding.session_id()));
  });
  EXPECT_EQ(row->end_reason, "expired");
}

TEST_F(BindSessionTest, RejectsASessionKeyThatWasNotQuoted) {
  SessionParts parts = laptop_.NewSession();
  parts.session_key = fakes::NewSessionKey();
  ExpectRefused(parts.Build(), ErrorCode::kSessionKeyMismatch);
}

TEST_F(BindSessionTest, RejectsALoginThatItDoesNotKnow) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.mutable_user()->set_user_session_id("made-up");
  ExpectRefused(parts.Build(), ErrorCode::kLoginEnded);
}

TEST_F(BindSessionTest, RejectsAWorkloadThatNoRuleCouldPermit) {
  rig_.SetRules(R"(
[[rule]]
name = "other"
outcome = "permit"
[rule.workload]
executable = ["/usr/bin/other"]
)");
  ExpectRefused(laptop_.NewSession().Build(), ErrorCode::kWorkloadNotAllowed);
}

TEST_F(BindSessionTest, RejectsALifetimeThatIsNotPositive) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_expires_at_ms(parts.binding.issued_at_ms());
  ExpectRefused(parts.Build(), ErrorCode::kMalformedStatement);
}

TEST_F(BindSessionTest, RejectsAnIdThatIsInUse) {
  const LaptopSession first = laptop_.OpenSession();
  live_ = 1;
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_session_id(first.binding.session_id());
  ExpectRefused(parts.Build(), ErrorCode::kMalformedStatement);
}

TEST_F(BindSessionTest, RejectsThePreviousSessionOfAnotherDevice) {
  Laptop other(rig_);
  other.Enroll();
  const LaptopSession theirs = other.OpenSession();
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_previous_evidence_digest(AsString(theirs.digest));
  ExpectRefused(parts.Build(), ErrorCode::kSessionOfOtherDevice);
}

TEST_F(BindSessionTest, RejectsAPreviousSessionThatDoesNotExist) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_previous_evidence_digest(verifier::RandomString(32));
  ExpectRefused(parts.Build(), ErrorCode::kMalformedStatement);
}

// A33, A38
TEST_F(BindSessionTest, RejectsTextsThatCannotBeShown) {
  for (const char* uid : {"1000\n", "1' OR '1'='1", "", "10\u202e00"}) {
    SessionParts parts = laptop_.NewSession();
    parts.binding.mutable_user()->set_os_id(uid);
    ExpectRefused(parts.Build(), ErrorCode::kMalformedStatement);
  }
  SessionParts parts = laptop_.NewSession();
  parts.binding.mutable_workload()->set_executable_path(
      std::string("/usr/bin/a\0b", 12));
  ExpectRefused(parts.Build(), ErrorCode::kMalformedStatement);
}

TEST_F(BindSessionTest, LimitsTheFindingsOfOneDevice) {
  SessionParts parts = laptop_.NewSession();
  parts.binding.set_tenant("other");
  const v1::SessionEvidence evidence = parts.Build();
  const size_t before = rig_.LedgerSize();
  for (int i = 0; i < 30; ++i) {
    EXPECT_FALSE(laptop_.Send(evidence).has_value());
  }
  EXPECT_EQ(rig_.LedgerSize(), before + 10);
}

TEST_F(BindSessionTest, RenewsLeasesAndTellsWhichSessionsEnded) {
  const LaptopSession session = laptop_.OpenSession();
  Laptop other(rig_);
  other.Enroll();
  const LaptopSession theirs = other.OpenSession();
  v1::ChallengeRequest request;
  request.set_purpose("epoch");
  request.set_device_id(AsString(laptop_.device.device_id));
  request.set_request_nonce(verifier::RandomString(16));
  request.add_session_ids(session.binding.session_id());
  request.add_session_ids(theirs.binding.session_id());  // A41
  request.add_session_ids("");                           // A38
  const auto renew = [&] {
    return *IssueChallenge(*rig_.service, request, kConnection);
  };
  EXPECT_EQ(renew().leases(0).ttl_s(), 120u);
  EXPECT_EQ(renew().leases(1).ended(), "unknown");
  EXPECT_EQ(renew().leases(2).ended(), "unknown");
  rig_.clock.Advance(900'000);
  EXPECT_EQ(renew().leases(0).ended(), "expired");
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  EXPECT_EQ(IssueChallenge(*rig_.service, request, kConnection).error().code,
            ErrorCode::kDeviceRevoked);
}

TEST_F(BindSessionTest, RejectsChallengesThatMakeNoSense) {
  v1::ChallengeRequest good;
  good.set_purpose("session");
  good.set_device_id(AsString(laptop_.device.device_id));
  good.set_request_nonce(verifier::RandomString(16));
  const auto code = [&](auto change) {
    v1::ChallengeRequest request = good;
    change(request);
    return IssueChallenge(*rig_.service, request, kConnection).error().code;
  };
  EXPECT_EQ(code([](auto& r) { r.set_purpose("anything"); }),
            ErrorCode::kBadRequest);
  EXPECT_EQ(code([](auto& r) { r.set_purpose("login"); }),
            ErrorCode::kNoProvider);
  EXPECT_EQ(code([](auto& r) { r.set_device_id("short"); }),
            ErrorCode::kBadRequest);
  EXPECT_EQ(code([](auto& r) { r.clear_request_nonce(); }),
            ErrorCode::kBadRequest);
  EXPECT_EQ(code([](auto& r) {
              for (int i = 0; i < 257; ++i) r.add_session_ids("x");
            }),
            ErrorCode::kBadRequest);
  EXPECT_EQ(code([](auto& r) { r.set_device_id(std::string(16, '\0')); }),
            ErrorCode::kDeviceUnknown);
}

}  // namespace
}  // namespace countersign::authz
