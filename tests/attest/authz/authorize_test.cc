#include "attest/authz/authorize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "attest/authz/challenge_store.h"
#include "attest/authz/receipts.h"
#include "attest/authz/revocation.h"
#include "attest/authz/session_facts.h"
#include "attest/jose/claims.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

uint32_t Number(ErrorCode code) { return static_cast<uint32_t>(code); }

std::string Serialize(const google::protobuf::MessageLite& message) {
  return AsString(statement::SerializeStatement(message));
}

class AuthorizeTest : public testing::Test {
 protected:
  AuthorizeTest() : laptop_(rig_) {
    laptop_.Enroll();
    session_ = laptop_.OpenSession();
  }

  // A refusal of the whole batch: nothing but one finding was written.
  void ExpectRefused(const v1::BatchEvidence& batch, ErrorCode code,
                     bool finding = true) {
    const size_t before = rig_.LedgerSize();
    const auto outcome = rig_.authorizer->Authorize(batch);
    if (outcome.has_value()) {
      ASSERT_TRUE(outcome->refused.has_value());
      EXPECT_EQ(outcome->refused->code, code) << outcome->refused->detail;
      EXPECT_EQ(outcome->answer.decisions_size(), 0);
    } else {
      EXPECT_EQ(outcome.error().code, code) << outcome.error().detail;
    }
    const auto ledger = rig_.Ledger();
    ASSERT_EQ(ledger.size(), before + (finding ? 1 : 0));
    if (finding) {
      EXPECT_EQ(ledger.back().kind(), v1::ENTRY_KIND_FINDING);
      EXPECT_EQ(ledger.back().reason(), Number(code));
    }
    const auto digest = statement::StatementDigest(
        StatementType::kActionBatch, AsBytes(batch.statement().body()));
    EXPECT_FALSE(
        rig_.Look([&](StoreView& view) { return view.FindBatch(digest); })
            .has_value());
  }

  // A leaf that is denied while its batch is accepted: one entry says so.
  void ExpectDenied(const v1::ActionDecision& decision, ErrorCode code) {
    EXPECT_EQ(decision.decision(), "deny");
    EXPECT_EQ(decision.reason(), Number(code)) << decision.reason();
    EXPECT_TRUE(decision.grant().empty());
    EXPECT_TRUE(decision.receipt().empty());
    EXPECT_TRUE(decision.grant_jti().empty());
    const auto entry = rig_.Ledger()[decision.ledger_index()];
    EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_DECISION);
    EXPECT_EQ(entry.decision(), "deny");
    EXPECT_EQ(entry.reason(), Number(code));
    EXPECT_TRUE(entry.grant_jti().empty());
  }

  void RenewEpoch() {
    v1::ChallengeRequest request;
    request.set_purpose("epoch");
    request.set_device_id(AsString(laptop_.device.device_id));
    request.set_request_nonce(verifier::RandomString(16));
    laptop_.epoch_nonce = ToBytes(
        AsBytes(IssueChallenge(*rig_.service, request, kConnection)->nonce()));
  }

  jose::KeySet Keys() const {
    jose::KeySet keys;
    keys.Add(rig_.service_key.public_key());
    return keys;
  }

  ServiceRig rig_;
  Laptop laptop_;
  LaptopSession session_;
};

TEST_F(AuthorizeTest, GrantsWhatARulePermits) {
  const v1::ActionDecision decision = laptop_.Authorize(session_);
  EXPECT_EQ(decision.decision(), "permit");
  EXPECT_EQ(decision.reason(), 0u);
  EXPECT_EQ(decision.rule(), "post-orders");
  EXPECT_EQ(decision.policy_version(), rig_.policy->Get()->version());

  const auto jws = jose::VerifyJws(decision.grant(), jose::kTypGrant, Keys());
  ASSERT_TRUE(jws.has_value());
  const auto claims =
      jose::CheckClaims(jws->claims_json, {.issuer = verifier::kIssuer,
                                           .audience = "https://api.example",
                                           .now_s = rig_.clock.NowMs() / 1000,
                                           .max_lifetime_s = 300});
  ASSERT_TRUE(claims.has_value()) << claims.error().detail;
  EXPECT_EQ(claims->subject, SubjectOf(session_.binding));
  EXPECT_EQ(claims->jti, decision.grant_jti());
  EXPECT_EQ(claims->expires_at_s, rig_.clock.NowMs() / 1000 + 120);
  const auto json = jose::JsonObject::Parse(jws->claims_json, 16'384);
  ASSERT_TRUE(json.has_value());
  EXPECT_EQ(json->Object("cnf"),
            R"({"jkt":")" + session_.binding.pop_jkt() + R"("})");
  EXPECT_EQ(json->Text("sid"), ToHex(AsBytes(session_.binding.session_id())));

  const v1::LedgerEntry entry = rig_.LastEntry();
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_DECISION);
  EXPECT_EQ(entry.decision(), "permit");
  EXPECT_EQ(entry.grant_jti(), decision.grant_jti());
  EXPECT_EQ(entry.grant_expires_s(), claims->expires_at_s);
  EXPECT_EQ(entry.decision_request_sha256().size(), 32u);
  EXPECT_EQ(entry.refers_to(), session_.answer.ledger_index() + 1);
}

TEST_F(AuthorizeTest, GivesNoTokenWithoutAnAudience) {
  const auto decision = laptop_.Decide(
      laptop_.NewBatch({laptop_.NewAction(session_, "http:POST", "")}))[0];
  EXPECT_EQ(decision.decision(), "permit");
  EXPECT_TRUE(decision.grant().empty());
  EXPECT_TRUE(decision.receipt().empty());
}

TEST_F(AuthorizeTest, DeniesWhatNoRuleNames) {
  ExpectDenied(laptop_.Authorize(session_, "http:PUT"),
               ErrorCode::kPolicyDenied);
}

TEST_F(AuthorizeTest, DeniesAnAudienceThatTheRuleDoesNotName) {
  ExpectDenied(laptop_.Decide(laptop_.NewBatch({laptop_.NewAction(
                   session_, "http:POST", "https://other.example")}))[0],
               ErrorCode::kAudienceNotAllowed);
}

TEST_F(AuthorizeTest, AsksForTheApprovalThatTheRuleNames) {
  const auto decision = laptop_.Authorize(session_, "http:DELETE");
  EXPECT_EQ(decision.decision(), "approval_required");
  EXPECT_EQ(decision.reason(), Number(ErrorCode::kApprovalRequired));
  EXPECT_EQ(decision.approval_grade(), "webauthn");
  EXPECT_TRUE(decision.grant().empty());
  EXPECT_EQ(rig_.LastEntry().decision(), "approval_required");
}

TEST_F(AuthorizeTest, DecidesEachLeafByItself) {
  v1::Action malformed = laptop_.NewAction(session_);
  malformed.set_salt("short");
  v1::Action stranger = laptop_.NewAction(session_);
  stranger.set_session_binding_digest(verifier::RandomString(32));
  const auto decisions = laptop_.Decide(
      laptop_.NewBatch({malformed, laptop_.NewAction(session_), stranger,
                        laptop_.NewAction(session_, "http:PUT")}));
  ASSERT_EQ(decisions.size(), 4u);
  ExpectDenied(decisions[0], ErrorCode::kActionInvalid);
  EXPECT_EQ(decisions[1].decision(), "permit");
  ExpectDenied(decisions[2], ErrorCode::kSessionUnknown);
  ExpectDenied(decisions[3], ErrorCode::kPolicyDenied);
}

TEST_F(AuthorizeTest, AnswersALargeBatchInLeafOrder) {
  std::vector<v1::Action> actions;
  for (int i = 0; i < 300; ++i) {
    actions.push_back(
        laptop_.NewAction(session_, i % 2 == 0 ? "http:POST" : "http:PUT"));
  }
  const v1::BatchEvidence batch = laptop_.NewBatch(actions);
  const auto decisions = laptop_.Decide(batch);
  ASSERT_EQ(decisions.size(), 300u);
  for (size_t i = 0; i < decisions.size(); ++i) {
    EXPECT_EQ(decisions[i].decision(), i % 2 == 0 ? "permit" : "deny");
    EXPECT_EQ(decisions[i].grant().empty(), i % 2 != 0);
    EXPECT_EQ(decisions[i].ledger_index(), decisions[0].ledger_index() + i);
  }
}

TEST_F(AuthorizeTest, ProvesTheLeavesThatAreAskedFor) {
  v1::BatchEvidence batch = laptop_.NewBatch(
      {laptop_.NewAction(session_), laptop_.NewAction(session_)});
  batch.add_prove(1);
  const auto decisions = laptop_.Decide(batch);
  EXPECT_FALSE(decisions[0].has_proof());
  const v1::LedgerProof& proof = decisions[1].proof();
  const auto checkpoint =
      ledger::OpenCheckpoint(proof.checkpoint(), rig_.ledger_key.verifier());
  ASSERT_TRUE(checkpoint.has_value());
  const auto root = statement::RootFromInclusionPath(
      statement::LeafHash(StatementType::kLedgerEntry, AsBytes(proof.entry())),
      proof.index(), checkpoint->head.size,
      *statement::HashPathFrom(proof.path()));
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ(*root, checkpoint->head.root);
  EXPECT_EQ(proof.index(), decisions[1].ledger_index());
}

// A29: the device in the statement is another one than signed it.
TEST_F(AuthorizeTest, RejectsABatchThatNamesAnotherDevice) {
  Laptop other(rig_);
  other.Enroll();
  verifier::BatchParts parts(laptop_.device, 0);
  parts.batch.set_device_id(AsString(other.device.device_id));
  parts.actions = {"x"};
  // The AK is known, and is another device's.
  ExpectRefused(parts.Build(), ErrorCode::kAkNotBound, /*finding=*/false);
}

// A11
TEST_F(AuthorizeTest, RejectsAQuoteByAnotherDevicesAk) {
  Laptop other(rig_);
  other.Enroll();
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  const auto digest = statement::StatementDigest(
      StatementType::kActionBatch, AsBytes(batch.statement().body()));
  *batch.mutable_quote() = other.device.Quote(digest);
  ExpectRefused(batch, ErrorCode::kAkNotBound);
}

TEST_F(AuthorizeTest, RejectsAnUnknownDevice) {
  Laptop stranger(rig_);
  stranger.epoch_nonce = RandomBytes(32);
  ExpectRefused(stranger.NewBatch({stranger.NewAction(session_)}),
                ErrorCode::kDeviceUnknown, /*finding=*/false);
}

TEST_F(AuthorizeTest, RejectsAnotherIssuer) {
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  v1::ActionBatch statement;
  statement.ParseFromString(batch.statement().body());
  statement.set_issuer("https://other.example");
  batch.mutable_statement()->set_body(Serialize(statement));
  *batch.mutable_quote() = laptop_.device.Quote(statement::StatementDigest(
      StatementType::kActionBatch, AsBytes(batch.statement().body())));
  ExpectRefused(batch, ErrorCode::kWrongIssuer);
}

TEST_F(AuthorizeTest, RejectsAStatementOfAnotherType) {
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  batch.mutable_statement()->set_type(
      std::string(statement::TypeUri(StatementType::kAction)));
  ExpectRefused(batch, ErrorCode::kUnknownStatementType);
}

TEST_F(AuthorizeTest, RejectsBytesThatAreNotCanonical) {
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  // An unknown field.
  batch.mutable_statement()->mutable_body()->append("\xf8\x07\x01", 3);
  ExpectRefused(batch, ErrorCode::kNonCanonical, /*finding=*/false);
}

// A29: an action changed after the TPM signed it.
TEST_F(AuthorizeTest, RejectsActionsThatWereNotQuoted) {
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  v1::Action action;
  action.ParseFromString(batch.actions(0));
  action.set_salt(verifier::RandomString(16));
  batch.set_actions(0, Serialize(action));
  ExpectRefused(batch, ErrorCode::kTreeMismatch);
}

// A25: (r, n - s) verifies as well, and is the same proof.
TEST_F(AuthorizeTest, TakesATwinSignatureForTheSameBatch) {
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  const auto first = laptop_.Decide(batch);
  const size_t size = rig_.LedgerSize();
  batch.mutable_quote()->set_signature(
      AsString(fakes::TwinSignature(AsBytes(batch.quote().signature()))));
  const auto again = rig_.authorizer->Authorize(batch);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->answer.decisions(0).grant_jti(), first[0].grant_jti());
  EXPECT_EQ(rig_.LedgerSize(), size);
}

TEST_F(AuthorizeTest, AnswersTheSameBatchWithTheSameDecisions) {
  const v1::BatchEvidence batch = laptop_.NewBatch(
      {laptop_.NewAction(session_), laptop_.NewAction(session_, "http:PUT")});
  const auto first = laptop_.Decide(batch);
  const size_t size = rig_.LedgerSize();
  rig_.SetRules("");  // Today nothing would be permitted any more.
  const size_t with_policy = rig_.LedgerSize();
  EXPECT_EQ(with_policy, size + 1);
  const auto again = rig_.authorizer->Authorize(batch);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(rig_.LedgerSize(), with_policy);
  ASSERT_EQ(again->answer.decisions_size(), 2);
  const v1::ActionDecision& permit = again->answer.decisions(0);
  EXPECT_EQ(permit.decision(), "permit");
  EXPECT_EQ(permit.grant_jti(), first[0].grant_jti());
  EXPECT_EQ(permit.grant_expires_s(), first[0].grant_expires_s());
  EXPECT_EQ(permit.ledger_index(), first[0].ledger_index());
  EXPECT_FALSE(permit.grant().empty());
  EXPECT_EQ(again->answer.decisions(1).decision(), "deny");
}

TEST_F(AuthorizeTest, SignsNoGrantAgainAfterItsEnd) {
  const v1::BatchEvidence batch =
      laptop_.NewBatch({laptop_.NewAction(session_)});
  laptop_.Decide(batch);
  rig_.clock.Advance(120'000);
  const auto again = rig_.authorizer->Authorize(batch);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->answer.decisions(0).decision(), "permit");
  EXPECT_TRUE(again->answer.decisions(0).grant().empty());
  EXPECT_TRUE(again->answer.decisions(0).receipt().empty());
}

TEST_F(AuthorizeTest, SignsNoGrantAgainAfterItsSessionEnded) {
  const v1::BatchEvidence batch =
      laptop_.NewBatch({laptop_.NewAction(session_)});
  laptop_.Decide(batch);
  v1::Action end = laptop_.NewAction(session_);
  end.clear_action_request();
  end.set_session_end("client_closed");
  laptop_.Decide(laptop_.NewBatch({end}));
  const auto again = rig_.authorizer->Authorize(batch);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->answer.decisions(0).decision(), "permit");
  EXPECT_FALSE(again->answer.decisions(0).grant_jti().empty());
  EXPECT_TRUE(again->answer.decisions(0).grant().empty());
  EXPECT_TRUE(again->answer.decisions(0).receipt().empty());
}

TEST_F(AuthorizeTest, GrantsNothingBeyondTheSessionsEnd) {
  const int64_t session_end_s = session_.answer.expires_at_ms() / 1000;
  rig_.clock.Advance(session_.answer.expires_at_ms() - rig_.clock.NowMs() -
                     30'000);
  laptop_.epoch_nonce =
      rig_.epochs.Mint(laptop_.device.device_id, rig_.clock.NowMs());
  const v1::ActionDecision decision = laptop_.Authorize(session_);
  EXPECT_EQ(decision.decision(), "permit");
  EXPECT_EQ(decision.grant_expires_s(), session_end_s);
}

TEST_F(AuthorizeTest, RejectsAForkOfTheJournal) {
  const v1::BatchEvidence first =
      laptop_.NewBatch({laptop_.NewAction(session_)});
  const v1::BatchEvidence fork =
      laptop_.NewBatch({laptop_.NewAction(session_)});
  laptop_.Decide(first);
  ExpectRefused(fork, ErrorCode::kBatchFork);
}

TEST_F(AuthorizeTest, RejectsABatchThatFollowsAnotherOne) {
  laptop_.Authorize(session_);
  laptop_.last_batch[0] ^= 1;
  ExpectRefused(laptop_.NewBatch({laptop_.NewAction(session_)}),
                ErrorCode::kBatchFork);
}

TEST_F(AuthorizeTest, SaysWhatIsExpectedToABatchThatIsAhead) {
  laptop_.Authorize(session_);
  const auto expected = laptop_.last_batch;
  laptop_.next_batch += 1;
  laptop_.next_action += 1;
  const auto batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  ExpectRefused(batch, ErrorCode::kSequenceConflict, /*finding=*/false);
  const auto outcome = rig_.authorizer->Authorize(batch);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->answer.expected_batch_sequence(), 1u);
  EXPECT_EQ(outcome->answer.expected_action_sequence(), 1u);
  EXPECT_EQ(outcome->answer.expected_previous_batch_digest(),
            AsString(expected));
}

TEST_F(AuthorizeTest, RejectsAGapInTheNumbersOfActions) {
  laptop_.Authorize(session_);
  laptop_.next_action += 1;
  ExpectRefused(laptop_.NewBatch({laptop_.NewAction(session_)}),
                ErrorCode::kSequenceConflict, /*finding=*/false);
}

TEST_F(AuthorizeTest, AcceptsANewJournalAndNotesIt) {
  laptop_.Authorize(session_);
  laptop_.journal_id = RandomBytes(16);
  laptop_.next_batch = laptop_.next_action = 0;
  laptop_.last_batch = {};
  EXPECT_EQ(laptop_.Authorize(session_).decision(), "permit");
  const auto ledger = rig_.Ledger();
  EXPECT_EQ(ledger[ledger.size() - 2].kind(), v1::ENTRY_KIND_FINDING);
  EXPECT_EQ(ledger.back().kind(), v1::ENTRY_KIND_DECISION);
}

TEST_F(AuthorizeTest, RecordsALateBatchAndGrantsNothing) {
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  batch.set_late(true);
  ExpectDenied(laptop_.Decide(batch)[0], ErrorCode::kLateBatch);
  EXPECT_TRUE(rig_.LastEntry().late());
}

TEST_F(AuthorizeTest, TakesABatchOfAnExpiredEpochForLate) {
  rig_.clock.Advance(301'000);
  const auto decision = laptop_.Authorize(session_);
  ExpectDenied(decision, ErrorCode::kEpochExpired);
  // The answer brought a fresh nonce.
  EXPECT_EQ(laptop_.Authorize(session_).decision(), "permit");
}

// A39: the service's clock jumps back.
TEST_F(AuthorizeTest, TakesAnEpochFromTheFutureForExpired) {
  rig_.clock.now_ms -= 600'000;
  ExpectDenied(laptop_.Authorize(session_), ErrorCode::kEpochExpired);
}

TEST_F(AuthorizeTest, RejectsAnEpochNonceOfAnotherDevice) {
  Laptop other(rig_);
  other.Enroll();
  other.OpenSession();
  laptop_.epoch_nonce = other.epoch_nonce;
  ExpectRefused(laptop_.NewBatch({laptop_.NewAction(session_)}),
                ErrorCode::kNonceUnknown);
}

TEST_F(AuthorizeTest, RejectsAMadeUpEpochNonce) {
  laptop_.epoch_nonce = RandomBytes(32);
  ExpectRefused(laptop_.NewBatch({laptop_.NewAction(session_)}),
                ErrorCode::kNonceUnknown);
}

// A07
TEST_F(AuthorizeTest, RejectsATpmClockThatWentBack) {
  laptop_.Authorize(session_);
  laptop_.device.clock.clock_ms -= 1'000;
  ExpectRefused(laptop_.NewBatch({laptop_.NewAction(session_)}),
                ErrorCode::kTpmClockRollback);
  laptop_.device.clock.clock_ms += 2'000;
  laptop_.device.clock.reset_count -= 1;
  ExpectRefused(laptop_.NewBatch({laptop_.NewAction(session_)}),
                ErrorCode::kTpmClockRollback);
}

// A08
TEST_F(AuthorizeTest, DeniesASessionFromBeforeAReboot) {
  laptop_.Authorize(session_);
  laptop_.device.clock.reset_count += 1;
  const auto decision = laptop_.Authorize(session_);
  ExpectDenied(decision, ErrorCode::kStaleBoot);
  // The session has ended for good, and the ledger says so first.
  const auto row = rig_.Look([&](StoreView& view) {
    return view.FindSession(AsBytes(session_.binding.session_id()));
  });
  EXPECT_EQ(row->end_reason, "reboot");
  EXPECT_EQ(rig_.Ledger()[row->end_index].kind(), v1::ENTRY_KIND_SESSION_END);
  EXPECT_LT(row->end_index, decision.ledger_index());
}

TEST_F(AuthorizeTest, AcceptsALateBatchFromBeforeAReboot) {
  v1::BatchEvidence late = laptop_.NewBatch({laptop_.NewAction(session_)});
  late.set_late(true);
  laptop_.device.clock.reset_count += 1;
  const LaptopSession after = laptop_.OpenSession();
  ExpectDenied(laptop_.Decide(late)[0], ErrorCode::kSessionEnded);
  // Nor does it turn the AK's clock back.
  EXPECT_EQ(laptop_.Authorize(after).decision(), "permit");
}

TEST_F(AuthorizeTest, RejectsALateBatchBeforeItsPredecessor) {
  laptop_.Authorize(session_);
  laptop_.device.clock.clock_ms -= 1'000;
  v1::BatchEvidence late = laptop_.NewBatch({laptop_.NewAction(session_)});
  late.set_late(true);
  ExpectRefused(late, ErrorCode::kTpmClockRollback);
}

TEST_F(AuthorizeTest, DeniesWhatWasMeasuredOtherwiseThanTheSession) {
  laptop_.device.log.Add(5, tpm::kEvAction, {'x'});
  ExpectDenied(laptop_.Authorize(session_), ErrorCode::kPcrDigestMismatch);
}

TEST_F(AuthorizeTest, RejectsFewerPcrs) {
  v1::BatchEvidence batch = laptop_.NewBatch({laptop_.NewAction(session_)});
  const auto digest = statement::StatementDigest(
      StatementType::kActionBatch, AsBytes(batch.statement().body()));
  auto fields = laptop_.device.QuoteFields(digest);
  fields.selection = tpm::PcrSelection::FromText("sha256:0-3")->Encode();
  *batch.mutable_quote() = laptop_.device.Quote(fields);
  ExpectRefused(batch, ErrorCode::kPcrSelectionMismatch);
}

TEST_F(AuthorizeTest, DeniesTheSessionOfAnotherDevice) {
  Laptop other(rig_);
  other.Enroll();
  const LaptopSession foreign = other.OpenSession();
  ExpectDenied(laptop_.Authorize(foreign), ErrorCode::kSessionOfOtherDevice);
}

TEST_F(AuthorizeTest, DeniesASessionThatHasExpired) {
  rig_.clock.Advance(900'000);
  RenewEpoch();
  ExpectDenied(laptop_.Authorize(session_), ErrorCode::kSessionExpired);
}

TEST_F(AuthorizeTest, EndsASessionByItsLastAction) {
  v1::Action end = laptop_.NewAction(session_);
  end.clear_action_request();
  end.set_session_end("client_closed");
  const auto decisions =
      laptop_.Decide(laptop_.NewBatch({end, laptop_.NewAction(session_), end}));
  EXPECT_EQ(decisions[0].decision(), "permit");
  EXPECT_TRUE(decisions[0].grant().empty());
  ExpectDenied(decisions[1], ErrorCode::kSessionEnded);
  ExpectDenied(decisions[2], ErrorCode::kSessionEnded);
  const auto entry = rig_.Ledger()[decisions[0].ledger_index()];
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_SESSION_END);
  EXPECT_EQ(entry.detail(), "client_closed");
  // A29: the action of an ended session, later.
  ExpectDenied(laptop_.Authorize(session_), ErrorCode::kSessionEnded);
}

TEST_F(AuthorizeTest, EndsASessionByALateActionToo) {
  v1::Action end = laptop_.NewAction(session_);
  end.clear_action_request();
  end.set_session_end("owner_exited");
  v1::BatchEvidence batch = laptop_.NewBatch({end});
  batch.set_late(true);
  EXPECT_EQ(laptop_.Decide(batch)[0].decision(), "permit");
  EXPECT_EQ(rig_.LastEntry().kind(), v1::ENTRY_KIND_SESSION_END);
}

TEST_F(AuthorizeTest, DeniesALeafThatWasPresentedBefore) {
  // The same leaf again needs the same number, so a new journal.
  const v1::BatchEvidence first =
      laptop_.NewBatch({laptop_.NewAction(session_)});
  laptop_.Decide(first);
  laptop_.journal_id = RandomBytes(16);
  laptop_.next_batch = laptop_.next_action = 0;
  laptop_.last_batch = {};
  const auto again = laptop_.Decide(laptop_.BatchOfBytes({first.actions(0)}));
  ExpectDenied(again[0], ErrorCode::kDuplicateAction);
}

TEST_F(AuthorizeTest, RejectsTheSameLeafTwiceInABatch) {
  v1::Action action = laptop_.NewAction(session_);
  action.set_sequence(0);
  // It can only have one number: the second stands at the wrong place.
  ExpectRefused(laptop_.BatchOfBytes({Serialize(action), Serialize(action)}),
                ErrorCode::kLeafIndexMismatch);
}

TEST_F(AuthorizeTest, RejectsARevokedDevice) {
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  ExpectRefused(laptop_.NewBatch({laptop_.NewAction(session_)}),
                ErrorCode::kDeviceRevoked);
}

TEST_F(AuthorizeTest, TellsTheLeasesOfTheSessionsInTheBatch) {
  const auto outcome =
      laptop_.Send(laptop_.NewBatch({laptop_.NewAction(session_)}));
  ASSERT_TRUE(outcome.has_value());
  ASSERT_EQ(outcome->answer.leases_size(), 1);
  EXPECT_EQ(outcome->answer.leases(0).ttl_s(), 120u);
  EXPECT_TRUE(outcome->answer.leases(0).ended().empty());
}

// Two copies of one batch at once: both get the same decisions, written once.
TEST_F(AuthorizeTest, CommitsABatchOnceThatComesTwiceAtOnce) {
  const v1::BatchEvidence batch =
      laptop_.NewBatch({laptop_.NewAction(session_)});
  const size_t before = rig_.LedgerSize();
  std::vector<std::string> jtis(4);
  {
    std::vector<std::jthread> threads;
    for (std::string& jti : jtis) {
      threads.emplace_back([&] {
        const auto outcome = rig_.authorizer->Authorize(batch);
        if (outcome) jti = outcome->answer.decisions(0).grant_jti();
      });
    }
  }
  EXPECT_EQ(rig_.LedgerSize(), before + 1);
  EXPECT_FALSE(jtis[0].empty());
  EXPECT_THAT(jtis, testing::Each(jtis[0]));
}

TEST_F(AuthorizeTest, LimitsTheBatchesOfOneDevice) {
  rig_.config.limits.batches_per_s = 2;
  Authorizer strict(*rig_.service, *rig_.findings);
  const auto send = [&] {
    const auto batch = laptop_.NewBatch({laptop_.NewAction(session_)});
    const auto outcome = strict.Authorize(batch);
    if (outcome && !outcome->refused) {
      ++laptop_.next_batch;
      ++laptop_.next_action;
      laptop_.last_batch = statement::StatementDigest(
          StatementType::kActionBatch, AsBytes(batch.statement().body()));
    }
    return outcome;
  };
  EXPECT_FALSE(send()->refused.has_value());
  EXPECT_FALSE(send()->refused.has_value());
  const size_t before = rig_.LedgerSize();
  const auto limited = send();
  ASSERT_TRUE(limited.has_value());
  ASSERT_TRUE(limited->refused.has_value());
  EXPECT_EQ(limited->refused->code, ErrorCode::kRateLimited);
  EXPECT_EQ(limited->answer.error().retry_after_s(), 1u);
  EXPECT_EQ(rig_.LedgerSize(), before);
  rig_.clock.Advance(1'000);
  EXPECT_FALSE(send()->refused.has_value());
}

TEST_F(AuthorizeTest, VerifiesAReceiptOnce) {
  const auto decision = laptop_.Authorize(session_);
  v1::ReceiptVerifyRequest request;
  request.set_receipt(decision.receipt());
  request.set_audience("https://api.example");
  request.set_method("POST");
  request.set_uri("https://api.example/orders/1");
  request.set_request_sha256(AsString(Sha256(AsBytes("body"))));
  const auto verify = [&] { return *VerifyReceipt(*rig_.service, request); };
  const auto mismatch = [&](auto change) {
    auto saved = request;
    change(request);
    const auto answer = verify();
    request = saved;
    EXPECT_FALSE(answer.valid());
    return answer.error().number();
  };
  EXPECT_EQ(mismatch([](auto& r) { r.set_method("GET"); }),
            Number(ErrorCode::kReceiptMismatch));
  EXPECT_EQ(
      mismatch([](auto& r) { r.set_uri("https://api.example/orders/2"); }),
      Number(ErrorCode::kReceiptMismatch));
  EXPECT_EQ(mismatch([](auto& r) { r.set_request_sha256("other"); }),
            Number(ErrorCode::kReceiptMismatch));
  EXPECT_EQ(mismatch([](auto& r) { r.set_audience("https://b.example"); }),
            Number(ErrorCode::kJwsClaims));
  EXPECT_EQ(mismatch([&](auto& r) { r.set_receipt(decision.grant()); }),
            Number(ErrorCode::kJwsType));
  const auto good = verify();
  EXPECT_TRUE(good.valid());
  EXPECT_EQ(good.decision(), "permit");
  EXPECT_EQ(good.ledger_index(), decision.ledger_index());
  EXPECT_EQ(good.subject(), SubjectOf(session_.binding));
  EXPECT_EQ(verify().error().number(), Number(ErrorCode::kReceiptUsed));
}

class ReceiptTest : public AuthorizeTest {
 protected:
  v1::ReceiptVerifyRequest NewReceipt() {
    v1::ReceiptVerifyRequest request;
    request.set_receipt(laptop_.Authorize(session_).receipt());
    request.set_audience("https://api.example");
    request.set_method("POST");
    request.set_uri("https://api.example/orders/1");
    request.set_request_sha256(AsString(Sha256(AsBytes("body"))));
    return request;
  }
  // Refused, and without a word of whose it was.
  void ExpectReceiptRefused(const v1::ReceiptVerifyRequest& request,
                            ErrorCode code) {
    const auto answer = *VerifyReceipt(*rig_.service, request);
    EXPECT_FALSE(answer.valid());
    EXPECT_EQ(answer.error().number(), Number(code));
    EXPECT_TRUE(answer.subject().empty());
    EXPECT_TRUE(answer.decision().empty());
  }
};

TEST_F(ReceiptTest, IsRefusedOnceItsSessionHasEnded) {
  const auto request = NewReceipt();
  v1::Action end;
  end.set_session_binding_digest(AsString(session_.digest));
  end.set_salt(verifier::RandomString(16));
  end.set_session_end("client_closed");
  laptop_.Decide(laptop_.NewBatch({end}));
  ExpectReceiptRefused(request, ErrorCode::kSessionEnded);
}

TEST_F(ReceiptTest, IsRefusedOnceItsSessionHasExpired) {
  const auto row = rig_.Look([&](StoreView& view) {
    return view.FindSession(AsBytes(session_.binding.session_id()));
  });
  rig_.clock.Advance(row->expires_ms - rig_.clock.NowMs() - 1'000);
  RenewEpoch();
  const auto request = NewReceipt();
  rig_.clock.Advance(1'000);
  ExpectReceiptRefused(request, ErrorCode::kSessionExpired);
}

TEST_F(ReceiptTest, IsRefusedOnceItsDeviceIsRevoked) {
  const auto request = NewReceipt();
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  ExpectReceiptRefused(request, ErrorCode::kDeviceRevoked);
}

TEST_F(ReceiptTest, IsRefusedOnceItsAkIsRetired) {
  const auto request = NewReceipt();
  laptop_.device.ak = fakes::NewAk(tpm::KeyType::kEccP256);
  laptop_.Enroll();
  ExpectReceiptRefused(request, ErrorCode::kAkRetired);
}

TEST_F(AuthorizeTest, RefusesAReceiptAfterItsMinute) {
  const auto decision = laptop_.Authorize(session_);
  v1::ReceiptVerifyRequest request;
  request.set_receipt(decision.receipt());
  request.set_audience("https://api.example");
  rig_.clock.Advance(60'000);
  EXPECT_EQ(VerifyReceipt(*rig_.service, request)->error().number(),
            Number(ErrorCode::kTokenExpired));
}

}  // namespace
}  // namespace countersign::authz
