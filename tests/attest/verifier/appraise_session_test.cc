#include "attest/verifier/appraise.h"
#include "tests/attest/verifier/evidence.h"
#include "tests/fails_with.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

class AppraiseSessionTest : public testing::Test {
 protected:
  AppraiseSessionTest() {
    expected_.tls_exporter = Bytes(32, 'x');
    expected_.consume_nonce = [this](const v1::SessionBinding&) -> Status {
      ++nonces_consumed_;
      return nonce_answer_;
    };
  }

  void ExpectRefused(const v1::SessionEvidence& evidence, ErrorCode code) {
    const auto result = AppraiseSession(evidence, known_, expected_);
    ASSERT_TRUE(Succeeds(result));
    ASSERT_FALSE(result->trusted());
    EXPECT_EQ(Name(result->refusal().code), Name(code))
        << result->refusal().detail;
  }
  void ExpectRefused(ErrorCode code) { ExpectRefused(parts_.Build(), code); }
  // Refused before the nonce was looked at: a stranger cannot spend one.
  void ExpectRefusedUnspent(ErrorCode code) {
    ExpectRefused(code);
    EXPECT_EQ(nonces_consumed_, 0);
  }

  Device device_;  // Its own: tests change its log and clock.
  KnownDevice known_ = device_.Known();
  SessionParts parts_{device_};
  ExpectedSession expected_;
  Status nonce_answer_;
  int nonces_consumed_ = 0;
};

TEST_F(AppraiseSessionTest, TrustsGoodEvidence) {
  const v1::SessionEvidence evidence = parts_.Build();
  const auto result = AppraiseSession(evidence, known_, expected_);
  ASSERT_TRUE(Succeeds(result));
  ASSERT_TRUE(result->trusted()) << Name(result->refusal().code);
  const AppraisedSession& session = result->claims();
  EXPECT_EQ(session.digest,
            statement::StatementDigest(StatementType::kSessionBinding,
                                       AsBytes(evidence.statement().body())));
  EXPECT_EQ(session.binding.session_id(), parts_.binding.session_id());
  EXPECT_EQ(session.pcrs.clock(), device_.clock);
  EXPECT_TRUE(session.channel_bound);
  EXPECT_FALSE(session.new_boot);
  EXPECT_EQ(nonces_consumed_, 1);
}

TEST_F(AppraiseSessionTest, TrustsATpmKey) {
  const SessionParts parts(device_, /*tpm_key=*/true);
  const auto result = AppraiseSession(parts.Build(), known_, expected_);
  ASSERT_TRUE(Succeeds(result));
  EXPECT_TRUE(result->trusted());
}

TEST_F(AppraiseSessionTest, CannotAppraiseAnEventLogOverItsBound) {
  v1::SessionEvidence evidence = parts_.Build();
  evidence.set_event_log(std::string(tpm::kMaxEventLogSize + 1, '\0'));
  EXPECT_TRUE(FailsWith(AppraiseSession(evidence, known_, expected_),
                        ErrorCode::kTooLarge));
}

TEST_F(AppraiseSessionTest, RejectsAnUnknownType) {
  parts_.type = "application/vnd.countersign.session-binding.v2+protobuf";
  ExpectRefusedUnspent(ErrorCode::kUnknownStatementType);
}

// The type is part of the digest, so one statement never passes as another.
TEST_F(AppraiseSessionTest, RejectsAnotherKnownType) {
  parts_.type = statement::TypeUri(StatementType::kLogin);
  ExpectRefusedUnspent(ErrorCode::kUnknownStatementType);
}

// A14, A29: signed bytes and parsed fields are the same bytes.
TEST_F(AppraiseSessionTest, RejectsAChangedStatement) {
  for (const auto& change :
       std::vector<std::function<void(v1::SessionBinding&)>>{
           [](auto& b) { b.mutable_user()->set_os_name("mallory"); },
           [](auto& b) { b.mutable_workload()->set_executable_path("/tmp/x"); },
           [](auto& b) { b.set_device_id(std::string(16, 'd')); },
           [](auto& b) { b.set_purpose("another"); },
           [](auto& b) { b.set_session_id(std::string(16, 's')); }}) {
    v1::SessionEvidence evidence = parts_.Build();
    v1::SessionBinding binding = parts_.binding;
    change(binding);
    evidence.mutable_statement()->set_body(
        AsString(statement::SerializeStatement(binding)));
    ExpectRefused(evidence, ErrorCode::kDigestMismatch);
  }
  EXPECT_EQ(nonces_consumed_, 0);
}

// A28: moving a character from one field to the next is another statement.
TEST_F(AppraiseSessionTest, FieldsThatConcatenateAlikeAreDifferentStatements) {
  v1::SessionBinding one = parts_.binding;
  one.mutable_user()->set_os_name("ada");
  one.mutable_user()->set_os_id("1000");
  v1::SessionBinding other = parts_.binding;
  other.mutable_user()->set_os_name("ada1");
  other.mutable_user()->set_os_id("000");
  const auto digest = [](const v1::SessionBinding& binding) {
    return statement::StatementDigest(StatementType::kSessionBinding,
                                      statement::SerializeStatement(binding));
  };
  EXPECT_NE(digest(one), digest(other));
}

// A01
TEST_F(AppraiseSessionTest, RejectsAQuoteWithAnotherMagic) {
  parts_.change_quote = [](auto& fields) { fields.magic = 1; };
  ExpectRefusedUnspent(ErrorCode::kQuoteNotTpmGenerated);
}

TEST_F(AppraiseSessionTest, RejectsACertificationPassedOffAsAQuote) {
  parts_.change_quote = [](auto& fields) {
    fields.type = tpm::kStAttestCertify;
  };
  ExpectRefusedUnspent(ErrorCode::kNotAQuote);
}

TEST_F(AppraiseSessionTest, RejectsAQuoteOverAnotherStatement) {
  parts_.change_quote = [](auto& fields) { fields.extra_data[0] ^= 1; };
  ExpectRefusedUnspent(ErrorCode::kDigestMismatch);
}

// A11
TEST_F(AppraiseSessionTest, RejectsAQuoteByTheAkOfAnotherDevice) {
  const Device other;
  v1::SessionEvidence evidence = parts_.Build();
  const Sha256Digest digest = statement::StatementDigest(
      StatementType::kSessionBinding, AsBytes(evidence.statement().body()));
  *evidence.mutable_quote() = other.Quote(digest);
  ExpectRefused(evidence, ErrorCode::kAkNotBound);
  // Even if it claims the other's Qualified Signer.
  *evidence.mutable_quote() = other.Quote(device_.QuoteFields(digest));
  ExpectRefused(evidence, ErrorCode::kBadSignature);
  EXPECT_EQ(nonces_consumed_, 0);
}

TEST_F(AppraiseSessionTest, RejectsBytesThatAreNotCanonical) {
  v1::SessionEvidence evidence = parts_.Build();
  std::string& body = *evidence.mutable_statement()->mutable_body();
  body += std::string("\xc0\x3e\x01", 3);  // An unknown field.
  *evidence.mutable_quote() = device_.Quote(statement::StatementDigest(
      StatementType::kSessionBinding, AsBytes(body)));
  ExpectRefused(evidence, ErrorCode::kNonCanonical);
}

TEST_F(AppraiseSessionTest, RejectsBytesThatAreNoStatement) {
  v1::SessionEvidence evidence = parts_.Build();
  std::string& body = *evidence.mutable_statement()->mutable_body();
  body = "\xff\xff\xff";
  *evidence.mutable_quote() = device_.Quote(statement::StatementDigest(
      StatementType::kSessionBinding, AsBytes(body)));
  ExpectRefused(evidence, ErrorCode::kMalformedStatement);
}

// A27
TEST_F(AppraiseSessionTest, RejectsANonceOfAnotherSize) {
  for (const size_t size : {0, 31, 33}) {
    parts_.binding.set_nonce(std::string(size, 'n'));
    ExpectRefusedUnspent(ErrorCode::kMalformedStatement);
  }
}

TEST_F(AppraiseSessionTest, RejectsASessionIdOfAnotherSize) {
  parts_.binding.set_session_id("short");
  ExpectRefusedUnspent(ErrorCode::kMalformedStatement);
}

TEST_F(AppraiseSessionTest, RejectsAnotherIssuer) {
  parts_.binding.set_issuer("https://authz.example/");
  ExpectRefusedUnspent(ErrorCode::kWrongIssuer);
}

TEST_F(AppraiseSessionTest, RejectsAnotherTenant) {
  parts_.binding.set_tenant("acme2");
  ExpectRefusedUnspent(ErrorCode::kWrongTenant);
}

// A29
TEST_F(AppraiseSessionTest, RejectsASessionOfAnotherDevice) {
  parts_.binding.set_device_id(RandomString(16));
  ExpectRefusedUnspent(ErrorCode::kSessionOfOtherDevice);
}

TEST_F(AppraiseSessionTest, RejectsASessionOfAnotherAk) {
  parts_.binding.set_ak_name(RandomString(34));
  ExpectRefusedUnspent(ErrorCode::kAkNotBound);
}

TEST_F(AppraiseSessionTest, RejectsADeviceOutOfService) {
  for (const ErrorCode code :
       {ErrorCode::kDeviceRevoked, ErrorCode::kAkRetired}) {
    known_.out_of_service = code;
    ExpectRefusedUnspent(code);
  }
}

// A27
TEST_F(AppraiseSessionTest, RejectsANonceThatIsNotGood) {
  for (const ErrorCode code :
       {ErrorCode::kNonceUnknown, ErrorCode::kNonceExpired}) {
    nonce_answer_ = Fail(code);
    ExpectRefused(code);
  }
}

TEST_F(AppraiseSessionTest, CannotAppraiseWhileTheNonceStoreFails) {
  nonce_answer_ = Fail(ErrorCode::kStorageBusy);
  EXPECT_TRUE(FailsWith(AppraiseSession(parts_.Build(), known_, expected_),
                        ErrorCode::kStorageBusy));
}

// A19
TEST_F(AppraiseSessionTest, RejectsEvidenceMadeForAnotherConnection) {
  expected_.tls_exporter = Bytes(32, 'y');
  ExpectRefused(ErrorCode::kChannelBindingMismatch);
  EXPECT_EQ(nonces_consumed_, 1);  // Spent: no second try.
}

// A19
TEST_F(AppraiseSessionTest, RejectsEvidenceForNoConnectionUnlessAllowed) {
  parts_.binding.clear_tls_exporter();
  ExpectRefused(ErrorCode::kChannelBindingMismatch);
  expected_.allow_unbound_channel = true;
  const auto result = AppraiseSession(parts_.Build(), known_, expected_);
  ASSERT_TRUE(Succeeds(result));
  ASSERT_TRUE(result->trusted());
  EXPECT_FALSE(result->claims().channel_bound);
}

TEST_F(AppraiseSessionTest, DoesNotJudgeTheConnectionOffline) {
  expected_.tls_exporter.reset();
  const auto result = AppraiseSession(parts_.Build(), known_, expected_);
  ASSERT_TRUE(Succeeds(result));
  ASSERT_TRUE(result->trusted());
  EXPECT_FALSE(result->claims().channel_bound);
}

// A02
TEST_F(AppraiseSessionTest, RejectsAnotherPcrSelection) {
  parts_.change_quote = [](auto& fields) {
    fields.selection = tpm::PcrSelection::FromText("sha256:0-3")->Encode();
  };
  ExpectRefused(ErrorCode::kPcrSelectionMismatch);
}

// A05
TEST_F(AppraiseSessionTest, RejectsPcrValuesThatWereNotQuoted) {
  v1::SessionEvidence evidence = parts_.Build();
  evidence.mutable_quote()->mutable_pcr_values(0)->front() ^= 1;
  ExpectRefused(evidence, ErrorCode::kPcrDigestMismatch);
  evidence = parts_.Build();
  evidence.mutable_quote()->set_pcr_values(0, "short");
  ExpectRefused(evidence, ErrorCode::kPcrDigestMismatch);
  evidence = parts_.Build();
  for (int i = 0; i < 17; ++i) {
    evidence.mutable_quote()->add_pcr_values(std::string(32, 'p'));
  }
  ExpectRefused(evidence, ErrorCode::kPcrDigestMismatch);
}

TEST_F(AppraiseSessionTest, RejectsAnEventLogThatWasNotQuoted) {
  parts_.binding.set_event_log_sha256(RandomString(32));
  ExpectRefused(ErrorCode::kEventLogMismatch);
}

// A22
TEST_F(AppraiseSessionTest, RejectsAnEventLogThatIsNotWhatWasMeasured) {
  v1::SessionEvidence evidence = parts_.Build();
  fakes::EventLogBuilder other = device_.log;
  other.Add(0, tpm::kEvPostCode, {1});
  parts_.binding.set_event_log_sha256(AsString(Sha256(other.Encode())));
  evidence = parts_.Build();
  evidence.set_event_log(AsString(other.Encode()));
  ExpectRefused(evidence, ErrorCode::kEventLogMismatch);
}

// A07
TEST_F(AppraiseSessionTest, RejectsAClockBeforeTheLastOne) {
  expected_.last_clock = device_.clock;
  ++expected_.last_clock->clock_ms;
  ExpectRefused(ErrorCode::kTpmClockRollback);
}

// A08
TEST_F(AppraiseSessionTest, TellsThatANewBootEndsEarlierSessions) {
  expected_.last_clock = device_.clock;
  device_.clock = {10, device_.clock.reset_count + 1, 0, false};
  const auto result = AppraiseSession(parts_.Build(), known_, expected_);
  ASSERT_TRUE(Succeeds(result));
  ASSERT_TRUE(result->trusted());
  EXPECT_TRUE(result->claims().new_boot);
}

TEST_F(AppraiseSessionTest, RejectsASessionKeyThatWasNotQuoted) {
  parts_.session_key = fakes::NewSessionKey();
  ExpectRefused(ErrorCode::kSessionKeyMismatch);
}

}  // namespace
}  // namespace countersign::verifier
