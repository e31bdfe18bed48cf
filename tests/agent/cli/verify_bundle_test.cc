#include "agent/cli/verify_bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "attest/jose/jws.h"
#include "tests/agent/cli/bundle_maker.h"

namespace countersign::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using v1::EvidenceBundle;

// One bundle for all tests that only change the result: keys cost time.
BundleMaker& SharedMaker() {
  static auto* maker = new BundleMaker;
  return *maker;
}
const EvidenceBundle& SharedBundle() {
  static const auto* bundle = new EvidenceBundle(SharedMaker().Build());
  return *bundle;
}
BundleReport Verify(const EvidenceBundle& bundle) {
  return VerifyBundle(bundle, SharedMaker().Trust());
}
std::string Outcome(const BundleReport& report, Part part) {
  const PartReport& found = report.part(part);
  if (found.state != PartState::kFailed) return std::string(Name(found.state));
  return std::string(Name(found.reason));
}

TEST(VerifyBundleTest, AcceptsAWholeBundle) {
  const BundleReport report = Verify(SharedBundle());
  for (size_t i = 0; i < kParts; ++i) {
    const auto part = static_cast<Part>(i);
    EXPECT_EQ(Outcome(report, part), "holds")
        << PartId(part) << ": " << report.part(part).detail;
  }
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.facts.issuer, verifier::kIssuer);
  EXPECT_EQ(report.facts.user, "ada (uid 1000)");
  EXPECT_EQ(report.facts.action_name, "http:POST");
  EXPECT_EQ(report.facts.decision, "permit");
  EXPECT_EQ(report.facts.session_index, 1u);
  EXPECT_EQ(report.facts.decision_index, 4u);
}

TEST(VerifyBundleTest, SaysWhatAPromptDoesNotProve) {
  EXPECT_EQ(Verify(SharedBundle()).part(Part::kApproval).detail,
            "none was asked for");
  BundleMaker maker;
  maker.approved = true;
  const BundleReport report = VerifyBundle(maker.Build(), maker.Trust());
  EXPECT_TRUE(report.ok()) << report.FirstError().detail;
  EXPECT_EQ(Outcome(report, Part::kApproval), "holds");
  EXPECT_EQ(report.facts.approval, "prompt by os:1000");
  EXPECT_THAT(report.warnings, Contains(HasSubstr("need not be a person")));
}

TEST(VerifyBundleTest, RejectsAnApprovalThatTheLedgerDoesNotName) {
  BundleMaker maker;
  maker.approved = true;
  EvidenceBundle bundle = maker.Build();
  const auto outcome = [&] {
    std::vector<std::string> entries(6);
    entries[1] = AsString(statement::SerializeStatement(maker.session_entry));
    entries[4] = AsString(statement::SerializeStatement(maker.decision_entry));
    *bundle.mutable_session_entry() = maker.Prove(entries, 1);
    *bundle.mutable_decision_entry() = maker.Prove(entries, 4);
    return Outcome(VerifyBundle(bundle, maker.Trust()), Part::kApproval);
  };
  EXPECT_EQ(outcome(), "holds");
  maker.decision_entry.set_approval_grade("webauthn");
  EXPECT_EQ(outcome(), "ledger_entry_mismatch");
  maker.decision_entry.set_approval_grade("prompt");
  maker.decision_entry.set_approval_reference("another");
  EXPECT_EQ(outcome(), "ledger_entry_mismatch");
  // Nor one that the action does not carry.
  EvidenceBundle without = SharedMaker().Build();
  bundle.mutable_action()->Swap(without.mutable_action());
  EXPECT_NE(outcome(), "holds");
}

TEST(VerifyBundleTest, AcceptsATpmSessionKey) {
  BundleMaker maker(/*tpm_session_key=*/true);
  const BundleReport report = VerifyBundle(maker.Build(), maker.Trust());
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.part(Part::kSessionKey).detail, "tpm key");
}

TEST(VerifyBundleTest, AcceptsAnRsaAttestationKey) {
  BundleMaker maker(false, tpm::KeyType::kRsa2048);
  EXPECT_TRUE(VerifyBundle(maker.Build(), maker.Trust()).ok());
}

TEST(VerifyBundleTest, SaysThatActivationRestsOnTheService) {
  EXPECT_THAT(Verify(SharedBundle()).warnings,
              Contains(HasSubstr("rests on the service's signature")));
}

TEST(VerifyBundleTest, SaysWhyTheProgramIsInDoubt) {
  BundleMaker maker;
  v1::Workload& workload = *maker.session.binding.mutable_workload();
  const auto observe = [&](const char* name, const char* how, v1::Grade grade) {
    v1::Observation& seen = *workload.add_observations();
    seen.set_name(name);
    seen.set_how(how);
    seen.set_grade(grade);
  };
  observe("executable_path", "/proc/PID/exe", v1::GRADE_KERNEL);
  EXPECT_THAT(VerifyBundle(maker.Build(), maker.Trust()).warnings,
              Not(Contains(HasSubstr("in the name of this one"))));
  observe("executable_path", "a debugger", v1::GRADE_SAME_USER_SPOOFABLE);
  const BundleReport report = VerifyBundle(maker.Build(), maker.Trust());
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(report.warnings,
              Contains(HasSubstr("in the name of this one: a debugger.")));
  ASSERT_FALSE(report.facts.observations.empty());
  EXPECT_EQ(report.facts.observations.back().fact, "executable_path");
  EXPECT_EQ(report.facts.observations.back().how, "a debugger");
  EXPECT_EQ(report.facts.observations.back().grade, "same_user_spoofable");
}

// Every byte string of the bundle, with the part that must not hold when one
// of its bits is flipped. Reasons differ by byte; that the part names one is
// checked, and the table below checks which.
struct Field {
  const char* name;
  Part part;
  std::function<std::string*(EvidenceBundle&)> get;
};
const Field kFields[] = {
    {"device record", Part::kDeviceRecord,
     [](EvidenceBundle& b) {
       return b.mutable_device_record()->mutable_payload();
     }},
    {"device record's signature", Part::kDeviceRecord,
     [](EvidenceBundle& b) {
       return b.mutable_device_record()->mutable_jws();
     }},
    {"session statement", Part::kSessionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_session()->mutable_statement()->mutable_body();
     }},
    {"session statement's type", Part::kSessionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_session()->mutable_statement()->mutable_type();
     }},
    {"session attest", Part::kSessionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_session()->mutable_quote()->mutable_attest();
     }},
    {"session signature", Part::kSessionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_session()->mutable_quote()->mutable_signature();
     }},
    {"session PCR", Part::kSessionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_session()->mutable_quote()->mutable_pcr_values(3);
     }},
    {"boot event log", Part::kBootLog,
     [](EvidenceBundle& b) {
       return b.mutable_session()->mutable_event_log();
     }},
    {"session key", Part::kSessionKey,
     [](EvidenceBundle& b) { return b.mutable_session()->mutable_pop_x(); }},
    {"client attestation", Part::kClientAttestation,
     [](EvidenceBundle& b) { return b.mutable_client_attestation(); }},
    {"action", Part::kActionTree,
     [](EvidenceBundle& b) { return b.mutable_action()->mutable_action(); }},
    {"path", Part::kActionTree,
     [](EvidenceBundle& b) { return b.mutable_action()->mutable_path(0); }},
    {"batch statement", Part::kActionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_action()->mutable_batch()->mutable_body();
     }},
    {"action attest", Part::kActionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_action()->mutable_quote()->mutable_attest();
     }},
    {"action signature", Part::kActionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_action()->mutable_quote()->mutable_signature();
     }},
    {"action PCR", Part::kActionQuote,
     [](EvidenceBundle& b) {
       return b.mutable_action()->mutable_quote()->mutable_pcr_values(0);
     }},
    {"session entry", Part::kSessionEntry,
     [](EvidenceBundle& b) {
       return b.mutable_session_entry()->mutable_entry();
     }},
    {"session entry's path", Part::kSessionEntry,
     [](EvidenceBundle& b) {
       return b.mutable_session_entry()->mutable_path(1);
     }},
    {"decision entry", Part::kDecisionEntry,
     [](EvidenceBundle& b) {
       return b.mutable_decision_entry()->mutable_entry();
     }},
    {"checkpoint", Part::kCheckpoint,
     [](EvidenceBundle& b) {
       return b.mutable_decision_entry()->mutable_checkpoint();
     }},
    {"grant", Part::kGrant,
     [](EvidenceBundle& b) { return b.mutable_grant(); }},
    {"receipt", Part::kReceipt,
     [](EvidenceBundle& b) { return b.mutable_receipt(); }},
};

TEST(VerifyBundleTest, RejectsAFlippedBitInEveryPart) {
  for (const Field& field : kFields) {
    EvidenceBundle original = SharedBundle();
    const size_t size = field.get(original)->size();
    for (size_t step = 0; step < 24; ++step) {
      EvidenceBundle bundle = SharedBundle();
      std::string& bytes = *field.get(bundle);
      const size_t at = step * (size - 1) / 23;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << (step % 8)));
      const BundleReport report = Verify(bundle);
      EXPECT_FALSE(report.ok()) << field.name << " byte " << at;
      EXPECT_EQ(report.part(field.part).state, PartState::kFailed)
          << field.name << " byte " << at << ": " << report.FirstError().detail;
    }
  }
}

TEST(VerifyBundleTest, RejectsEveryTruncation) {
  for (const Field& field : kFields) {
    EvidenceBundle bundle = SharedBundle();
    field.get(bundle)->pop_back();
    EXPECT_FALSE(Verify(bundle).ok()) << field.name;
  }
}

// One change of meaning each, and the one part and reason that answer it.
struct Change {
  const char* name;
  Part part;
  const char* reason;
  std::function<void(EvidenceBundle&)> apply;
};

// A claim of a token changed and signed again by the service itself.
std::function<void(EvidenceBundle&)> Reclaim(std::string_view typ,
                                             const std::string& pointer,
                                             const nlohmann::json& value) {
  return [=](EvidenceBundle& bundle) {
    BundleMaker& maker = SharedMaker();
    const bool grant = typ == jose::kTypGrant;
    auto claims = nlohmann::json::parse(grant ? maker.grant_claims
                                              : maker.receipt_claims);
    claims[nlohmann::json::json_pointer(pointer)] = value;
    (grant ? *bundle.mutable_grant() : *bundle.mutable_receipt()) =
        maker.SignToken(typ, claims.dump());
  };
}

// A ledger entry changed and logged so, by the service itself.
std::function<void(EvidenceBundle&)> Relog(
    bool session, const std::function<void(v1::LedgerEntry&)>& change) {
  return [=](EvidenceBundle& bundle) {
    BundleMaker& maker = SharedMaker();
    v1::LedgerEntry entry =
        session ? maker.session_entry : maker.decision_entry;
    change(entry);
    const uint64_t index = session ? maker.session_index : maker.decision_index;
    std::vector<std::string> entries(7);
    entries[index] = AsString(statement::SerializeStatement(entry));
    (session ? *bundle.mutable_session_entry()
             : *bundle.mutable_decision_entry()) = maker.Prove(entries, index);
  };
}

std::function<void(EvidenceBundle&)> Rerecord(
    const std::function<void(v1::DeviceRecord&)>& change) {
  return [=](EvidenceBundle& bundle) {
    v1::DeviceRecord record = SharedMaker().record;
    change(record);
    *bundle.mutable_device_record() = SharedMaker().SignRecord(record);
  };
}

const std::string kOther(32, 'o');

const Change kChanges[] = {
    {"record with a foreign AK name", Part::kDeviceRecord, "ak_not_bound",
     Rerecord(
         [](auto& r) { r.set_ak_name(std::string("\0\x0b", 2) + kOther); })},
    {"record that names no EK", Part::kDeviceRecord, "malformed_evidence",
     Rerecord([](auto& r) { r.set_certified_ek(3); })},
    {"record without certificate", Part::kEkChain, "ek_cert_missing",
     Rerecord([](auto& r) { r.mutable_eks(0)->clear_certificates(); })},
    {"enrolled before the certificate", Part::kEkChain, "ek_cert_not_yet_valid",
     Rerecord([](auto& r) { r.set_enrolled_at_ms(1'500'000'000'000); })},
    {"enrolled after the certificate", Part::kEkChain, "ek_cert_expired",
     Rerecord([](auto& r) { r.set_enrolled_at_ms(1'800'000'000'000); })},
    {"record of another issuer", Part::kSessionBinding, "wrong_issuer",
     Rerecord([](auto& r) { r.set_issuer("https://other.example"); })},
    {"record of another tenant", Part::kSessionBinding, "wrong_tenant",
     Rerecord([](auto& r) { r.set_tenant("other"); })},
    {"record of another device", Part::kSessionBinding,
     "session_of_other_device",
     Rerecord([](auto& r) { r.set_device_id(std::string(16, 'o')); })},
    {"record that asks for more PCRs", Part::kSessionQuote,
     "pcr_selection_mismatch",
     Rerecord([](auto& r) { r.set_pcr_selection("sha256:0-8"); })},
    {"another leaf index", Part::kActionTree, "leaf_index_mismatch",
     [](EvidenceBundle& b) { b.mutable_action()->set_leaf_index(2); }},
    {"another ledger index", Part::kDecisionEntry, "inclusion_proof_invalid",
     [](EvidenceBundle& b) { b.mutable_decision_entry()->set_index(3); }},
    {"a decision that was not logged", Part::kDecisionEntry,
     "ledger_entry_mismatch",
     [](EvidenceBundle& b) { b.set_decision("deny"); }},
    {"session entry of another kind", Part::kSessionEntry,
     "ledger_entry_mismatch",
     Relog(true, [](auto& e) { e.set_kind(v1::ENTRY_KIND_LOGIN); })},
    {"session entry of another device", Part::kSessionEntry,
     "ledger_entry_mismatch",
     Relog(true, [](auto& e) { e.set_device_id(std::string(16, 'o')); })},
    {"session entry of another session", Part::kSessionEntry,
     "ledger_entry_mismatch",
     Relog(true, [](auto& e) { e.set_session_id(std::string(16, 'o')); })},
    {"session entry of another binding", Part::kSessionEntry,
     "ledger_entry_mismatch",
     Relog(true, [](auto& e) { e.set_session_binding_digest(kOther); })},
    {"session entry of another quote", Part::kSessionEntry,
     "ledger_entry_mismatch",
     Relog(true, [](auto& e) { e.set_attest_sha256(kOther); })},
    {"decision entry of another kind", Part::kDecisionEntry,
     "ledger_entry_mismatch",
     Relog(false, [](auto& e) { e.set_kind(v1::ENTRY_KIND_REPORT); })},
    {"decision entry of another device", Part::kDecisionEntry,
     "ledger_entry_mismatch",
     Relog(false, [](auto& e) { e.set_device_id(std::string(16, 'o')); })},
    {"decision entry of another action", Part::kDecisionEntry,
     "ledger_entry_mismatch",
     Relog(false, [](auto& e) { e.set_action_digest(kOther); })},
    {"decision entry of another binding", Part::kDecisionEntry,
     "ledger_entry_mismatch",
     Relog(false, [](auto& e) { e.set_session_binding_digest(kOther); })},
    {"decision entry of another batch", Part::kDecisionEntry,
     "ledger_entry_mismatch",
     Relog(false, [](auto& e) { e.set_batch_digest(kOther); })},
    {"decision entry of another quote", Part::kDecisionEntry,
     "ledger_entry_mismatch",
     Relog(false, [](auto& e) { e.set_attest_sha256(kOther); })},
    {"grant of another issuer", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/iss", "https://other.example")},
    {"grant for another audience", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/aud", "https://other.example")},
    {"grant for longer than 300 s", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/exp", 1'700'000'401)},
    {"grant that lasts otherwise than logged", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/exp", 1'700'000'200)},
    {"grant of another device", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/evidence/device_id", "00")},
    {"grant of another session", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/evidence/session_binding_digest", "00")},
    {"grant of another session id", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/sid", "00")},
    {"grant for another action", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/evidence/action_digest", "00")},
    {"grant for another key", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/cnf/jkt", "other")},
    {"grant of another ledger entry", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/evidence/ledger/index", 3)},
    {"grant of another ledger", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/evidence/ledger/origin", "other/log")},
    {"grant with another jti", Part::kGrant, "jws_claims",
     Reclaim(jose::kTypGrant, "/jti", "grant-2")},
    {"receipt as a grant", Part::kGrant, "jws_type",
     [](EvidenceBundle& b) { b.set_grant(b.receipt()); }},
    {"receipt for another body", Part::kReceipt, "jws_claims",
     Reclaim(jose::kTypReceipt, "/request_sha256", "00")},
    {"receipt for another action", Part::kReceipt, "jws_claims",
     Reclaim(jose::kTypReceipt, "/action_digest", "00")},
    {"receipt with another decision", Part::kReceipt, "jws_claims",
     Reclaim(jose::kTypReceipt, "/decision", "deny")},
    {"receipt of another ledger entry", Part::kReceipt, "jws_claims",
     Reclaim(jose::kTypReceipt, "/ledger_index", 3)},
    {"receipt with another jti", Part::kReceipt, "jws_claims",
     Reclaim(jose::kTypReceipt, "/jti", "receipt-2")},
    {"grant as a receipt", Part::kReceipt, "jws_type",
     [](EvidenceBundle& b) { b.set_receipt(b.grant()); }},
};

TEST(VerifyBundleTest, NamesThePartAndReasonOfEveryChange) {
  (void)SharedBundle();  // Fills the maker's entries and claims.
  for (const Change& change : kChanges) {
    EvidenceBundle bundle = SharedBundle();
    change.apply(bundle);
    const BundleReport report = Verify(bundle);
    EXPECT_FALSE(report.ok()) << change.name;
    EXPECT_EQ(Outcome(report, change.part), change.reason)
        << change.name << ": " << report.part(change.part).detail;
  }
}

TEST(VerifyBundleTest, RejectsAnActionOfAnotherSession) {  // A29
  BundleMaker& maker = SharedMaker();
  EvidenceBundle bundle = SharedBundle();
  verifier::SessionParts other(maker.device);
  *bundle.mutable_session() = other.Build();
  EXPECT_EQ(Outcome(Verify(bundle), Part::kActionSession), "session_unknown");
}

TEST(VerifyBundleTest, RejectsASessionFromBeforeAReboot) {  // A08
  BundleMaker maker;
  EvidenceBundle bundle = maker.Build();
  maker.device.clock.reset_count += 1;
  *bundle.mutable_action() = maker.batch.Prove(maker.leaf);
  const BundleReport report = VerifyBundle(bundle, maker.Trust());
  EXPECT_EQ(Outcome(report, Part::kActionSession), "stale_boot");
}

TEST(VerifyBundleTest, RejectsAQuoteByTheKeyOfAnotherDevice) {  // A11
  BundleMaker other;
  EvidenceBundle bundle = SharedBundle();
  *bundle.mutable_session() = other.Build().session();
  EXPECT_EQ(Outcome(Verify(bundle), Part::kSessionQuote), "ak_not_bound");
}

TEST(VerifyBundleTest, RejectsADecisionLoggedBeforeItsSession) {
  BundleMaker maker;
  maker.session_index = 5;
  maker.decision_index = 2;
  const BundleReport report = VerifyBundle(maker.Build(), maker.Trust());
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(Outcome(report, Part::kOrder), "ledger_entry_mismatch");
}

TEST(VerifyBundleTest, RejectsTwoCheckpointsThatContradictEachOther) {  // A52
  EvidenceBundle bundle = SharedBundle();
  BundleMaker& maker = SharedMaker();
  std::vector<std::string> entries(6);  // As many, and other ones.
  entries[1] = AsString(statement::SerializeStatement(maker.session_entry));
  *bundle.mutable_session_entry() = maker.Prove(entries, 1);
  EXPECT_EQ(Outcome(Verify(bundle), Part::kCheckpoint), "ledger_fork");
}

TEST(VerifyBundleTest, SaysWhatTwoCheckpointsRestOn) {
  EvidenceBundle bundle = SharedBundle();
  BundleMaker& maker = SharedMaker();
  std::vector<std::string> entries(2);  // An earlier ledger.
  entries[1] = AsString(statement::SerializeStatement(maker.session_entry));
  *bundle.mutable_session_entry() = maker.Prove(entries, 1);
  const BundleReport report = Verify(bundle);
  EXPECT_TRUE(report.ok());
  EXPECT_THAT(report.warnings, Contains(HasSubstr("two checkpoints")));
}

TEST(VerifyBundleTest, RejectsTheKeysOfAnotherService) {
  BundleMaker other;
  const BundleReport report = VerifyBundle(SharedBundle(), other.Trust());
  EXPECT_EQ(Outcome(report, Part::kDeviceRecord), "device_record_invalid");
  EXPECT_EQ(Outcome(report, Part::kSessionQuote), "not_judged");
  EXPECT_EQ(Outcome(report, Part::kCheckpoint), "checkpoint_invalid");
  EXPECT_EQ(Outcome(report, Part::kGrant), "not_judged");
}

TEST(VerifyBundleTest, RejectsAnUnknownManufacturer) {
  TrustFolder trust = SharedMaker().Trust();
  const Manufacturer other;
  trust.ek_roots =
      verifier::EkTrust::FromDer(std::vector<Bytes>{other.root}, {}).value();
  const BundleReport report = VerifyBundle(SharedBundle(), trust);
  EXPECT_EQ(Outcome(report, Part::kEkChain), "ek_cert_untrusted");
  EXPECT_FALSE(report.ok());
  EXPECT_THAT(std::string(Remedy(report.FirstError().code)),
              HasSubstr("the trust folder's to verify"));
}

TEST(VerifyBundleTest, AsksForNoCertificateThatTheServiceDidNotRelyOn) {
  BundleMaker maker;
  maker.record.set_ek_trust("allowlist");
  maker.record.mutable_eks(0)->clear_certificates();
  const BundleReport report = VerifyBundle(maker.Build(), maker.Trust());
  EXPECT_EQ(Outcome(report, Part::kEkChain), "absent");
  EXPECT_TRUE(report.ok());
}

TEST(VerifyBundleTest, RejectsLedgerProofsWithoutALedgerKey) {
  TrustFolder trust = SharedMaker().Trust();
  trust.ledger_key.reset();
  const BundleReport report = VerifyBundle(SharedBundle(), trust);
  EXPECT_EQ(Outcome(report, Part::kCheckpoint), "untrusted_key");
  EXPECT_EQ(Outcome(report, Part::kDecisionEntry), "not_judged");
  EXPECT_FALSE(report.ok());
}

TEST(VerifyBundleTest, NamesAbsentParts) {
  EvidenceBundle bundle = SharedBundle();
  bundle.clear_session_entry();
  bundle.clear_decision_entry();
  bundle.clear_receipt();
  const BundleReport report = Verify(bundle);
  EXPECT_TRUE(report.sound());
  for (const Part part : {Part::kSessionEntry, Part::kDecisionEntry,
                          Part::kCheckpoint, Part::kOrder, Part::kReceipt}) {
    EXPECT_EQ(Outcome(report, part), "absent") << PartId(part);
  }
  EXPECT_EQ(Outcome(report, Part::kGrant), "holds");
}

// True as far as they go, and nothing to rely on.
TEST(VerifyBundleTest, RejectsABundleThatIsNotTheWholeOfAnAction) {
  struct {
    const char* lacks;  // The first required part that is absent.
    std::function<void(EvidenceBundle&)> clear;
  } const cases[] = {
      {"session_quote",  // Only the device record is left.
       [](EvidenceBundle& b) {
         EvidenceBundle alone;
         *alone.mutable_device_record() = b.device_record();
         b = alone;
       }},
      {"session_quote",
       [](EvidenceBundle& b) {
         b.clear_session();
         b.clear_session_entry();
         b.clear_client_attestation();
       }},
      {"action_quote",
       [](EvidenceBundle& b) {
         b.clear_action();
         b.clear_decision_entry();
         b.clear_decision();
         b.clear_grant();
         b.clear_receipt();
       }},
      {"session_entry", [](EvidenceBundle& b) { b.clear_session_entry(); }},
      {"decision_entry", [](EvidenceBundle& b) { b.clear_decision_entry(); }},
  };
  for (const auto& test : cases) {
    EvidenceBundle bundle = SharedBundle();
    test.clear(bundle);
    const BundleReport report = Verify(bundle);
    EXPECT_TRUE(report.sound()) << test.lacks;
    EXPECT_FALSE(report.complete()) << test.lacks;
    EXPECT_FALSE(report.ok()) << test.lacks;
    const Error error = report.FirstError();
    EXPECT_EQ(error.code, ErrorCode::kEvidenceIncomplete);
    EXPECT_TRUE(error.detail.starts_with("absent: " + std::string(test.lacks)))
        << error.detail;
  }
}

TEST(VerifyBundleTest, AcceptsAnActionWithoutGrantReceiptAndAttestation) {
  EvidenceBundle bundle = SharedBundle();
  bundle.clear_grant();
  bundle.clear_receipt();
  bundle.clear_client_attestation();
  EXPECT_TRUE(Verify(bundle).ok());
}

TEST(VerifyBundleTest, RejectsPartsWhoseFoundationIsAbsent) {
  EvidenceBundle bundle = SharedBundle();
  bundle.clear_device_record();
  const BundleReport report = Verify(bundle);
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(Outcome(report, Part::kDeviceRecord), "absent");
  EXPECT_EQ(Outcome(report, Part::kActionQuote), "not_judged");
}

TEST(VerifyBundleTest, RejectsAnEmptyBundle) {
  EXPECT_FALSE(Verify(EvidenceBundle()).ok());
}

TEST(VerifyBundleTest, DoesNotCountTheHighSTwinAsAnotherProof) {  // A25
  EvidenceBundle bundle = SharedBundle();
  v1::TpmQuote& quote = *bundle.mutable_action()->mutable_quote();
  quote.set_signature(
      AsString(fakes::TwinSignature(AsBytes(quote.signature()))));
  // The same proof: the ledger knows it by its attest bytes.
  EXPECT_TRUE(Verify(bundle).ok());
}

TEST(ParseBundleTest, RejectsWhatIsNoBundle) {
  EXPECT_EQ(ParseBundle(AsBytes("\xff\xff")).error().code,
            ErrorCode::kMalformedEvidence);
  EXPECT_EQ(ParseBundle(Bytes(kMaxBundleSize + 1)).error().code,
            ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace countersign::agent
