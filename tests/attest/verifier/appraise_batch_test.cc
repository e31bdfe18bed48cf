#include "attest/statement/merkle.h"
#include "attest/verifier/appraise.h"
#include "tests/attest/verifier/evidence.h"
#include "tests/fails_with.h"

namespace countersign::verifier {
namespace {

using statement::StatementType;

class AppraiseBatchTest : public testing::Test {
 protected:
  AppraiseBatchTest() {
    expected_.check_chain = [this](const v1::ActionBatch&,
                                   const Sha256Digest&) -> Status {
      ++chain_checks_;
      return chain_answer_;
    };
  }

  void ExpectRefused(const v1::BatchEvidence& evidence, ErrorCode code) {
    const auto result = AppraiseBatch(evidence, known_, expected_);
    ASSERT_TRUE(Succeeds(result));
    ASSERT_FALSE(result->trusted());
    EXPECT_EQ(Name(result->refusal().code), Name(code))
        << result->refusal().detail;
  }
  void ExpectRefused(ErrorCode code) { ExpectRefused(parts_.Build(), code); }
  // Leaf 1 alone is refused; the others stay good.
  void ExpectLeafRefused(ErrorCode code) {
    const auto result = AppraiseBatch(parts_.Build(), known_, expected_);
    ASSERT_TRUE(Succeeds(result));
    ASSERT_TRUE(result->trusted()) << Name(result->refusal().code);
    const auto& leaves = result->claims().leaves;
    ASSERT_EQ(leaves.size(), 3u);
    EXPECT_TRUE(Succeeds(leaves[0]));
    EXPECT_TRUE(FailsWith(leaves[1], code));
    EXPECT_TRUE(Succeeds(leaves[2]));
  }

  const Device& device_ = SharedDevice();
  KnownDevice known_ = device_.Known();
  BatchParts parts_{device_};
  ExpectedBatch expected_;
  Status chain_answer_;
  int chain_checks_ = 0;
};

TEST_F(AppraiseBatchTest, TrustsAGoodBatch) {
  const v1::BatchEvidence evidence = parts_.Build();
  const auto result = AppraiseBatch(evidence, known_, expected_);
  ASSERT_TRUE(Succeeds(result));
  ASSERT_TRUE(result->trusted()) << Name(result->refusal().code);
  const AppraisedBatch& batch = result->claims();
  EXPECT_EQ(batch.digest,
            statement::StatementDigest(StatementType::kActionBatch,
                                       AsBytes(evidence.statement().body())));
  ASSERT_EQ(batch.leaves.size(), 3u);
  for (size_t i = 0; i < batch.leaves.size(); ++i) {
    ASSERT_TRUE(Succeeds(batch.leaves[i]));
    const BatchLeaf& leaf = *batch.leaves[i];
    EXPECT_EQ(leaf.action.sequence(), 100 + i);
    EXPECT_EQ(leaf.request.name(), "http:POST");
    EXPECT_EQ(leaf.digest,
              statement::StatementDigest(StatementType::kAction,
                                         AsBytes(parts_.actions[i])));
  }
}

TEST_F(AppraiseBatchTest, TrustsBatchesOfEverySize) {
  for (const uint32_t size : {1u, 2u, 7u, 8u, 2048u}) {
    const BatchParts parts(device_, size);
    const auto result = AppraiseBatch(parts.Build(), known_, expected_);
    ASSERT_TRUE(Succeeds(result));
    EXPECT_TRUE(result->trusted()) << size;
  }
}

TEST_F(AppraiseBatchTest, CannotAppraiseMoreThanItsBounds) {
  const BatchParts many(device_, 2049);
  EXPECT_TRUE(FailsWith(AppraiseBatch(many.Build(), known_, expected_),
                        ErrorCode::kTooLarge));
  v1::BatchEvidence large = parts_.Build();
  large.add_actions(std::string(768 * 1024, 'a'));
  EXPECT_TRUE(
      FailsWith(AppraiseBatch(large, known_, expected_), ErrorCode::kTooLarge));
}

TEST_F(AppraiseBatchTest, RejectsAnotherType) {
  v1::BatchEvidence evidence = parts_.Build();
  evidence.mutable_statement()->set_type(
      std::string(statement::TypeUri(StatementType::kAction)));
  ExpectRefused(evidence, ErrorCode::kUnknownStatementType);
}

TEST_F(AppraiseBatchTest, RejectsAChangedStatement) {
  v1::BatchEvidence evidence = parts_.Build();
  evidence.mutable_statement()->mutable_body()->back() ^= 1;
  ExpectRefused(evidence, ErrorCode::kDigestMismatch);
  EXPECT_EQ(chain_checks_, 0);
}

TEST_F(AppraiseBatchTest, RejectsBytesThatAreNotCanonical) {
  v1::BatchEvidence evidence = parts_.Build();
  std::string& body = *evidence.mutable_statement()->mutable_body();
  body += std::string("\xc0\x3e\x01", 3);
  *evidence.mutable_quote() = device_.Quote(
      statement::StatementDigest(StatementType::kActionBatch, AsBytes(body)));
  ExpectRefused(evidence, ErrorCode::kNonCanonical);
}

TEST_F(AppraiseBatchTest, RejectsFieldsOfTheWrongSize) {
  for (const auto& change : std::vector<std::function<void(v1::ActionBatch&)>>{
           [](auto& b) { b.set_journal_id("short"); },
           [](auto& b) { b.set_epoch_nonce(std::string(31, 'n')); },
           [](auto& b) { b.set_root(std::string(33, 'r')); },
           [](auto& b) { b.clear_previous_batch_digest(); },
           [](auto& b) { b.set_tree_size(2049); },
           [](auto& b) { b.set_first_action_sequence(~uint64_t{0}); }}) {
    BatchParts parts(device_);
    change(parts.batch);
    ExpectRefused(parts.Build(), ErrorCode::kMalformedStatement);
  }
}

TEST_F(AppraiseBatchTest, RejectsAnotherIssuer) {
  parts_.batch.set_issuer("https://other.example");
  ExpectRefused(ErrorCode::kWrongIssuer);
}

// A29
TEST_F(AppraiseBatchTest, RejectsABatchOfAnotherDevice) {
  parts_.batch.set_device_id(RandomString(16));
  ExpectRefused(ErrorCode::kSessionOfOtherDevice);
}

TEST_F(AppraiseBatchTest, RejectsABatchOfAnotherAk) {
  parts_.batch.set_ak_name(RandomString(34));
  ExpectRefused(ErrorCode::kAkNotBound);
}

TEST_F(AppraiseBatchTest, RejectsADeviceOutOfService) {
  known_.out_of_service = ErrorCode::kDeviceRevoked;
  ExpectRefused(ErrorCode::kDeviceRevoked);
  EXPECT_EQ(chain_checks_, 0);
}

TEST_F(AppraiseBatchTest, RejectsABatchOutsideItsChain) {
  for (const ErrorCode code :
       {ErrorCode::kEpochExpired, ErrorCode::kSequenceConflict,
        ErrorCode::kBatchFork}) {
    chain_answer_ = Fail(code);
    ExpectRefused(code);
  }
}

// A29: an action changed, removed, added or swapped after the quote.
TEST_F(AppraiseBatchTest, RejectsActionsThatAreNotThoseOfTheBatch) {
  v1::BatchEvidence changed = parts_.Build();
  changed.mutable_actions(1)->back() ^= 1;
  ExpectRefused(changed, ErrorCode::kTreeMismatch);
  v1::BatchEvidence fewer = parts_.Build();
  fewer.mutable_actions()->RemoveLast();
  ExpectRefused(fewer, ErrorCode::kTreeMismatch);
  v1::BatchEvidence more = parts_.Build();
  more.add_actions(parts_.actions[0]);
  ExpectRefused(more, ErrorCode::kTreeMismatch);
  v1::BatchEvidence swapped = parts_.Build();
  swapped.mutable_actions()->SwapElements(0, 1);
  ExpectRefused(swapped, ErrorCode::kTreeMismatch);
  v1::BatchEvidence none = parts_.Build();
  none.clear_actions();
  ExpectRefused(none, ErrorCode::kTreeMismatch);
}

// A root does not commit to its tree's size, so the quoted size must be the
// number of leaves, even where a leaf's path would fit both.
TEST_F(AppraiseBatchTest, RejectsTreeSizesThatTheRootAlsoFits) {
  const BatchParts four(device_, 4);
  for (const uint32_t size : {1u, 2u, 3u, 5u, 8u, 2048u}) {
    BatchParts parts = four;
    parts.batch.set_tree_size(size);
    ExpectRefused(parts.Build(), ErrorCode::kTreeMismatch);
  }
}

TEST_F(AppraiseBatchTest, RejectsAnActionWithANumberThatIsNotItsPlace) {
  parts_.Change(1, [](auto& action) { action.set_sequence(102); });
  ExpectRefused(ErrorCode::kLeafIndexMismatch);
}

TEST_F(AppraiseBatchTest, RejectsAnotherFirstNumber) {
  parts_.batch.set_first_action_sequence(99);
  ExpectRefused(ErrorCode::kLeafIndexMismatch);
}

// A02, A05
TEST_F(AppraiseBatchTest, RejectsOtherPcrs) {
  known_.selection = tpm::PcrSelection::FromText("sha256:0-3").value();
  ExpectRefused(ErrorCode::kPcrSelectionMismatch);
  known_.selection = tpm::PcrSelection::Default();
  v1::BatchEvidence evidence = parts_.Build();
  evidence.mutable_quote()->mutable_pcr_values(3)->front() ^= 1;
  ExpectRefused(evidence, ErrorCode::kPcrDigestMismatch);
}

// A07
TEST_F(AppraiseBatchTest, RejectsAClockBeforeTheLastOne) {
  expected_.last_clock = device_.clock;
  ++expected_.last_clock->restart_count;
  ExpectRefused(ErrorCode::kTpmClockRollback);
}

TEST_F(AppraiseBatchTest, RefusesALeafWithASaltOfTheWrongSize) {
  parts_.Change(1, [](auto& action) { action.set_salt("short"); });
  ExpectLeafRefused(ErrorCode::kActionInvalid);
}

TEST_F(AppraiseBatchTest, RefusesALeafWithoutASession) {
  parts_.Change(1, [](auto& action) { action.clear_session_binding_digest(); });
  ExpectLeafRefused(ErrorCode::kActionInvalid);
}

TEST_F(AppraiseBatchTest, RefusesALeafThatIsNotCanonical) {
  parts_.actions[1] += std::string("\xc0\x3e\x01", 3);
  ExpectLeafRefused(ErrorCode::kNonCanonical);
}

TEST_F(AppraiseBatchTest, RefusesALeafThatIsNoAction) {
  parts_.actions[1] = "\xff\xff\xff";
  ExpectLeafRefused(ErrorCode::kMalformedStatement);
}

TEST_F(AppraiseBatchTest, RefusesALeafOverItsBound) {
  parts_.Change(1, [](auto& action) {
    action.set_action_request(std::string(2048, 'r'));
  });
  ExpectLeafRefused(ErrorCode::kTooLarge);
}

TEST_F(AppraiseBatchTest, RefusesALeafWhoseRequestBreaksTheRules) {
  parts_.Change(1, [](auto& action) {
    v1::ActionRequest request;
    request.ParseFromString(action.action_request());
    request.set_name("no colon");
    action.set_action_request(AsString(statement::SerializeStatement(request)));
  });
  ExpectLeafRefused(ErrorCode::kActionInvalid);
}

TEST_F(AppraiseBatchTest, RefusesALeafThatAsksAndEnds) {
  parts_.Change(1,
                [](auto& action) { action.set_session_end("client_closed"); });
  ExpectLeafRefused(ErrorCode::kActionInvalid);
}

TEST_F(AppraiseBatchTest, RefusesALeafThatNeitherAsksNorEnds) {
  parts_.Change(1, [](auto& action) { action.clear_action_request(); });
  ExpectLeafRefused(ErrorCode::kActionInvalid);
}

TEST_F(AppraiseBatchTest, TakesALeafThatEndsItsSession) {
  parts_.Change(1, [](auto& action) {
    action.clear_action_request();
    action.set_session_end("client_closed");
  });
  const auto result = AppraiseBatch(parts_.Build(), known_, expected_);
  ASSERT_TRUE(Succeeds(result));
  ASSERT_TRUE(result->trusted());
  ASSERT_TRUE(Succeeds(result->claims().leaves[1]));
  EXPECT_EQ(result->claims().leaves[1]->action.session_end(), "client_closed");
}

TEST_F(AppraiseBatchTest, RefusesALeafWithAnApprovalOfAnotherRequest) {
  parts_.Change(1, [](auto& action) {
    action.mutable_approval()->set_request_digest(RandomString(32));
    action.mutable_approval()->set_grade("webauthn");
  });
  ExpectLeafRefused(ErrorCode::kActionInvalid);
}

class CheckLeafSessionTest : public testing::Test {
 protected:
  CheckLeafSessionTest() {
    facts_ = {.device_id = device_.device_id,
              .clock = device_.clock,
              .pcr_digest = pcrs_.pcr_digest()};
  }
  static QuotedPcrs Quoted(const Device& device) {
    const Sha256Digest digest{};
    return VerifyQuote(fakes::SignAttest(device.ak, device.QuoteFields(digest)),
                       device.PcrValues(), device.ak.area,
                       {.qualifying_data = digest,
                        .qualified_signer =
                            fakes::QualifiedSigner(device.ek, device.ak)})
        .value();
  }

  const Device& device_ = SharedDevice();
  const KnownDevice known_ = device_.Known();
  const QuotedPcrs pcrs_ = Quoted(device_);
  SessionFacts facts_;
};

TEST_F(CheckLeafSessionTest, AcceptsASessionOfThisBoot) {
  facts_.clock.clock_ms -= 1000;
  EXPECT_TRUE(Succeeds(CheckLeafSession(facts_, known_, pcrs_)));
}
// A29
TEST_F(CheckLeafSessionTest, RejectsASessionOfAnotherDevice) {
  facts_.device_id.back() ^= 1;
  EXPECT_TRUE(FailsWith(CheckLeafSession(facts_, known_, pcrs_),
                        ErrorCode::kSessionOfOtherDevice));
}
// A08
TEST_F(CheckLeafSessionTest, RejectsASessionOfAnEarlierBoot) {
  --facts_.clock.reset_count;
  EXPECT_TRUE(FailsWith(CheckLeafSession(facts_, known_, pcrs_),
                        ErrorCode::kStaleBoot));
}
TEST_F(CheckLeafSessionTest, RejectsASessionWithOtherMeasurements) {
  facts_.pcr_digest.front() ^= 1;
  EXPECT_TRUE(FailsWith(CheckLeafSession(facts_, known_, pcrs_),
                        ErrorCode::kPcrDigestMismatch));
}

}  // namespace
}  // namespace countersign::verifier
