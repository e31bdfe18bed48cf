#include "agent/cli/verify_bundle.h"

#include "agent/cli/bundle_findings.h"
#include "agent/cli/verify_ledger.h"
#include "agent/cli/verify_tokens.h"
#include "attest/base/text.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/statement.h"
#include "attest/verifier/event_log_verifier.h"
#include "attest/verifier/quoted_statement.h"
#include "attest/verifier/session_key_verifier.h"

namespace countersign::agent {
namespace {

using statement::StatementType;

constexpr char kNeedsDevice[] = "it rests on the device record";

// The record names its issuer; its signature then covers those same bytes. It
// is addressed to nobody, having been made before its device had an id.
Result<v1::DeviceRecord> OpenDeviceRecord(
    const v1::ServiceSigned& signed_record, const TrustFolder& trust) {
  v1::DeviceRecord record;
  if (!record.ParseFromString(signed_record.payload())) {
    return Fail(ErrorCode::kDeviceRecordInvalid, "not a DeviceRecord");
  }
  const auto verified =
      jose::VerifyAnswer(trust.service_keys,
                         {.issuer = record.issuer(),
                          .audience = "",
                          .kind = std::string(jose::kKindDeviceRecord)},
                         std::nullopt, signed_record);
  if (!verified.has_value()) {
    return Fail(ErrorCode::kDeviceRecordInvalid, verified.error().detail);
  }
  return record;
}

void JudgeDeviceRecord(const v1::EvidenceBundle& bundle,
                       const TrustFolder& trust, BundleFindings& findings,
                       BundleReport& report) {
  if (!bundle.has_device_record()) return;
  auto record = OpenDeviceRecord(bundle.device_record(), trust);
  if (!record.has_value()) {
    return report.Fails(Part::kDeviceRecord, record.error());
  }
  auto device = verifier::KnownDeviceFrom(*record);
  if (!device.has_value()) {
    return report.Fails(Part::kDeviceRecord, device.error());
  }
  report.facts.issuer = record->issuer();
  report.facts.device_id = ToHex(device->device_id);
  report.facts.ek_class = record->ek_class();
  report.facts.ek_trust = record->ek_trust();
  report.Holds(Part::kDeviceRecord,
               "device " + report.facts.device_id + " of " + record->issuer());
  report.warnings.emplace_back(
      "That the attestation key lives in this TPM rests on the service's "
      "signature: only the service saw it proven, at enrollment.");
  findings.device = *std::move(device);
  findings.record = *std::move(record);
}

void JudgeEkChain(const TrustFolder& trust, const BundleFindings& findings,
                  BundleReport& report) {
  if (!findings.record.has_value()) return;
  const v1::DeviceRecord& record = *findings.record;
  // KnownDeviceFrom has checked the index and the area.
  const v1::EkRecord& ek = record.eks(static_cast<int>(record.certified_ek()));
  const bool relied_upon = record.ek_trust() == "certificate";
  if (!relied_upon && (ek.certificates().empty() || trust.ek_root_count == 0)) {
    return;
  }
  std::vector<Bytes> chain;
  for (const std::string& der : ek.certificates()) {
    chain.push_back(ToBytes(AsBytes(der)));
  }
  const auto area = tpm::PublicArea::Parse(AsBytes(ek.public_area()));
  if (!area.has_value()) return report.Fails(Part::kEkChain, area.error());
  const auto identity = verifier::VerifyEkChain(*area, chain, trust.ek_roots,
                                                record.enrolled_at_ms());
  if (!identity.has_value()) {
    return report.Fails(Part::kEkChain, identity.error());
  }
  report.Holds(Part::kEkChain,
               "valid at enrollment, root " + identity->root_subject);
}

// A quote over `statement`, by itself: to tell which part of refused evidence
// is to blame.
Result<verifier::QuotedPcrs> QuoteOver(const v1::Statement& statement,
                                       StatementType type,
                                       const v1::TpmQuote& quote,
                                       const verifier::KnownDevice& device) {
  CS_ASSIGN_OR_RETURN(auto quoted, verifier::VerifyQuotedStatement(
                                       statement, type, quote, device));
  return verifier::VerifyPcrs(std::move(quoted.quote), quote, device.selection);
}

// Which part of a refused session is to blame: the first whose own check
// fails; the statement itself if all of them hold.
void BlameSession(const v1::SessionEvidence& evidence,
                  const verifier::KnownDevice& device, const Error& refusal,
                  BundleReport& report) {
  constexpr char kNeedsQuote[] = "the session's quote does not hold";
  constexpr char kNeedsBinding[] = "the session binding does not hold";
  const auto pcrs =
      QuoteOver(evidence.statement(), StatementType::kSessionBinding,
                evidence.quote(), device);
  if (!pcrs.has_value()) {
    report.Fails(Part::kSessionQuote, refusal);
    report.NotJudged(Part::kSessionBinding, kNeedsQuote);
    report.NotJudged(Part::kBootLog, kNeedsQuote);
    return report.NotJudged(Part::kSessionKey, kNeedsQuote);
  }
  report.Holds(Part::kSessionQuote);
  if (refusal.code == ErrorCode::kEventLogMalformed ||
      refusal.code == ErrorCode::kEventLogMismatch ||
      refusal.code == ErrorCode::kEventDataMismatch ||
      refusal.code == ErrorCode::kPcrBankUnmeasured) {
    report.Holds(Part::kSessionBinding);
    report.Fails(Part::kBootLog, refusal);
    return report.NotJudged(Part::kSessionKey, "the boot log does not hold");
  }
  const ByteSpan body = AsBytes(evidence.statement().body());
  const auto binding = statement::ParseStatement<v1::SessionBinding>(
      body, statement::kMaxSessionBindingSize);
  const Sha256Digest digest =
      statement::StatementDigest(StatementType::kSessionBinding, body);
  const bool key_holds =
      binding.has_value() &&
      verifier::VerifySessionKey(evidence, {.device = device,
                                            .binding = *binding,
                                            .digest = digest,
                                            .quote_clock = pcrs->clock()})
          .has_value();
  if (binding.has_value() && !key_holds) {
    report.Holds(Part::kSessionBinding);
    report.Holds(Part::kBootLog);
    return report.Fails(Part::kSessionKey, refusal);
  }
  report.Fails(Part::kSessionBinding, refusal);
  report.NotJudged(Part::kBootLog, kNeedsBinding);
  report.NotJudged(Part::kSessionKey, kNeedsBinding);
}

std::string GradeName(v1::Grade grade) {
  switch (grade) {
    case v1::GRADE_KERNEL:
      return "kernel";
    case v1::GRADE_OS_SERVICE:
      return "os_service";
    case v1::GRADE_SAME_USER_SPOOFABLE:
      return "same_user_spoofable";
    case v1::GRADE_VERIFIED_BY_SERVICE:
      return "verified_by_service";
    default:
      return "claimed";
  }
}

// What was seen that makes the program less sure than the kernel's word.
std::string DoubtsAbout(const v1::Workload& workload) {
  std::string doubts;
  for (const v1::Observation& seen : workload.observations()) {
    if (seen.name() != "executable_path" || seen.grade() == v1::GRADE_KERNEL) {
      continue;
    }
    doubts += (doubts.empty() ? "" : "; ") + Printable(seen.how(), 200);
  }
  return doubts;
}

void DescribeSession(const verifier::AppraisedSession& session,
                     BundleReport& report) {
  const v1::SessionBinding& binding = session.binding;
  BundleFacts& facts = report.facts;
  facts.session_id = ToHex(AsBytes(binding.session_id()));
  facts.user =
      binding.user().os_name() + " (uid " + binding.user().os_id() + ")";
  facts.user_verification = binding.user().verification();
  facts.workload = binding.workload().spiffe_id();
  facts.executable = binding.workload().executable_path();
  facts.package = binding.workload().package();
  facts.origin = binding.workload().origin();
  for (const auto* const observations :
       {&binding.user().observations(), &binding.workload().observations()}) {
    for (const v1::Observation& seen : *observations) {
      facts.observations.push_back(
          {seen.name(), seen.how(), GradeName(seen.grade())});
    }
  }
  facts.purpose = binding.purpose();
  const std::string when =
      "TPM reset count " + std::to_string(session.pcrs.clock().reset_count);
  report.Holds(Part::kSessionQuote,
               session.pcrs.selection().ToText() + ", " + when);
  report.Holds(Part::kSessionBinding, facts.user + ", " + facts.executable);
  report.Holds(Part::kBootLog);
  report.Holds(Part::kSessionKey, binding.key_kind() + " key");
  if (!session.pcrs.clock().safe) {
    report.warnings.emplace_back(
        "The TPM's clock may have gone back (its 'safe' flag is NO).");
  }
  report.warnings.emplace_back(
      "User and workload are what the agent saw through the kernel (" +
      Printable(facts.user_verification, 40) +
      "); whoever is root on that machine could have forged them.");
  const std::string doubts = DoubtsAbout(binding.workload());
  if (!doubts.empty()) {
    report.warnings.emplace_back(
        "Any program of the same user could have acted in the name of this "
        "one: " +
        doubts + ".");
  }
}

void JudgeSession(const v1::EvidenceBundle& bundle, BundleFindings& findings,
                  BundleReport& report) {
  if (!bundle.has_session()) return;
  if (!findings.device.has_value()) {
    for (const Part part : {Part::kSessionQuote, Part::kSessionBinding,
                            Part::kBootLog, Part::kSessionKey}) {
      report.NotJudged(part, kNeedsDevice);
    }
    return;
  }
  // The nonce was the service's to judge; offline it shows nothing.
  const verifier::ExpectedSession expected{
      .last_clock = std::nullopt,
      .tls_exporter = std::nullopt,
      .allow_unbound_channel = true,
      .consume_nonce = [](const v1::SessionBinding&) { return Status(); }};
  const auto appraised =
      verifier::AppraiseSession(bundle.session(), *findings.device, expected);
  if (!appraised.has_value()) {
    return BlameSession(bundle.session(), *findings.device, appraised.error(),
                        report);
  }
  if (!appraised->trusted()) {
    return BlameSession(bundle.session(), *findings.device,
                        appraised->refusal(), report);
  }
  findings.session = appraised->claims();
  DescribeSession(*findings.session, report);
}

void BlameAction(const v1::ActionProof& proof,
                 const verifier::KnownDevice& device, const Error& refusal,
                 BundleReport& report) {
  const bool quoted = QuoteOver(proof.batch(), StatementType::kActionBatch,
                                proof.quote(), device)
                          .has_value();
  const bool foreign = refusal.code == ErrorCode::kWrongIssuer ||
                       refusal.code == ErrorCode::kSessionOfOtherDevice ||
                       refusal.code == ErrorCode::kAkNotBound;
  if (quoted && !foreign) {
    report.Holds(Part::kActionQuote);
    return report.Fails(Part::kActionTree, refusal);
  }
  report.Fails(Part::kActionQuote, refusal);
  report.NotJudged(Part::kActionTree, "the batch's quote does not hold");
}

void JudgeAction(const v1::EvidenceBundle& bundle, BundleFindings& findings,
                 BundleReport& report) {
  if (!bundle.has_action()) return;
  if (!findings.device.has_value()) {
    report.NotJudged(Part::kActionQuote, kNeedsDevice);
    return report.NotJudged(Part::kActionTree, kNeedsDevice);
  }
  auto proven = verifier::VerifyActionProof(bundle.action(), *findings.device);
  if (proven.has_value()) {
    report.Holds(Part::kActionQuote);
    report.Holds(Part::kActionTree,
                 "leaf " + std::to_string(bundle.action().leaf_index()) +
                     " of " + std::to_string(proven->batch.tree_size()) +
                     ", action " +
                     std::to_string(proven->leaf.action.sequence()));
    report.facts.action_digest = ToHex(proven->leaf.digest);
    report.facts.action_name = proven->leaf.request.name();
    report.facts.resource = proven->leaf.request.resource();
    if (!proven->leaf.request.purpose().empty()) {
      report.facts.purpose = proven->leaf.request.purpose();
    }
    findings.action = *std::move(proven);
    return;
  }
  BlameAction(bundle.action(), *findings.device, proven.error(), report);
}

void JudgeActionSession(const v1::EvidenceBundle& bundle,
                        const BundleFindings& findings, BundleReport& report) {
  if (!bundle.has_action() || !bundle.has_session()) return;
  if (!findings.session.has_value() || !findings.action.has_value()) {
    return report.NotJudged(Part::kActionSession,
                            "it rests on the session and the action");
  }
  const auto& session = *findings.session;
  if (findings.action->leaf.action.session_binding_digest() !=
      AsString(session.digest)) {
    return report.Fails(
        Part::kActionSession,
        {ErrorCode::kSessionUnknown, "the action names another session"});
  }
  const Status fits = verifier::CheckLeafSession(
      {.device_id = ToBytes(AsBytes(session.binding.device_id())),
       .clock = session.pcrs.clock(),
       .pcr_digest = session.pcrs.pcr_digest()},
      *findings.device, findings.action->pcrs);
  if (!fits.has_value()) {
    return report.Fails(Part::kActionSession, fits.error());
  }
  report.Holds(Part::kActionSession, "same boot, same measurements");
}

// The approval was judged with the action, as being of this very request. Here
// it is compared with what the ledger says the decision rests on.
void JudgeApproval(const v1::EvidenceBundle& bundle,
                   const BundleFindings& findings, BundleReport& report) {
  if (!bundle.has_action() || !bundle.has_decision_entry()) return;
  if (!findings.action.has_value() || !findings.decision_entry.has_value()) {
    return report.NotJudged(Part::kApproval,
                            "it rests on the action and the decision");
  }
  const v1::Approval& approval = findings.action->leaf.action.approval();
  const v1::LedgerEntry& entry = findings.decision_entry->entry;
  const bool rests =
      entry.decision() == "permit" && !entry.approval_grade().empty();
  if (entry.approval_reference() != approval.reference() ||
      (rests && entry.approval_grade() != approval.grade())) {
    return report.Fails(Part::kApproval, {ErrorCode::kLedgerEntryMismatch,
                                          "the decision names another one"});
  }
  if (!rests) return report.Holds(Part::kApproval, "none was asked for");
  report.facts.approval = approval.grade() + " by " + approval.approver();
  report.Holds(Part::kApproval,
               report.facts.approval + ", reference " + approval.reference());
  if (approval.grade() == "prompt") {
    report.warnings.emplace_back(
        "The approval is of grade 'prompt': some program of this account "
        "outside the session's own said yes, which need not be a person.");
  }
}

void DescribeDecision(const BundleFindings& findings, BundleReport& report) {
  if (findings.session_entry.has_value()) {
    report.facts.session_index = findings.session_entry->index;
  }
  if (!findings.decision_entry.has_value()) return;
  report.facts.decision = findings.decision_entry->entry.decision();
  report.facts.decision_index = findings.decision_entry->index;
  report.facts.decided_at_ms = findings.decision_entry->entry.service_time_ms();
}

}  // namespace

Result<v1::EvidenceBundle> ParseBundle(ByteSpan bytes) {
  if (bytes.size() > kMaxBundleSize) {
    return Fail(ErrorCode::kTooLarge, "a bundle has at most 1 MiB");
  }
  v1::EvidenceBundle bundle;
  if (!bundle.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(ErrorCode::kMalformedEvidence, "not an evidence bundle");
  }
  return bundle;
}

BundleReport VerifyBundle(const v1::EvidenceBundle& bundle,
                          const TrustFolder& trust) {
  BundleReport report;
  BundleFindings findings;
  JudgeDeviceRecord(bundle, trust, findings, report);
  JudgeEkChain(trust, findings, report);
  JudgeSession(bundle, findings, report);
  VerifyClientAttestation(bundle, trust, findings, report);
  JudgeAction(bundle, findings, report);
  JudgeActionSession(bundle, findings, report);
  VerifyLedgerParts(bundle, trust, findings, report);
  JudgeApproval(bundle, findings, report);
  VerifyGrant(bundle, trust, findings, report);
  VerifyReceipt(bundle, trust, findings, report);
  DescribeDecision(findings, report);
  return report;
}

}  // namespace countersign::agent
