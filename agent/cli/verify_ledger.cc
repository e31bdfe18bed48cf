#include "agent/cli/verify_ledger.h"

#include <functional>

#include "attest/ledger/checkpoint.h"
#include "attest/statement/merkle.h"

namespace countersign::agent {
namespace {

using statement::StatementType;

std::string Text(const Sha256Digest& digest) { return AsString(digest); }

Status Same(std::string_view found, std::string_view expected,
            std::string_view what) {
  if (found == expected) return {};
  return Fail(ErrorCode::kLedgerEntryMismatch,
              "the entry is about another " + std::string(what));
}

Result<ledger::Checkpoint> OpenProofCheckpoint(const v1::LedgerProof& proof,
                                               const TrustFolder& trust) {
  if (!trust.ledger_key.has_value()) {
    return Fail(ErrorCode::kUntrustedKey, "no ledger.vkey in the trust folder");
  }
  return ledger::OpenCheckpoint(proof.checkpoint(), *trust.ledger_key);
}

Result<LoggedEntry> ReadProof(const v1::LedgerProof& proof,
                              const ledger::Checkpoint& checkpoint) {
  const ByteSpan body = AsBytes(proof.entry());
  CS_ASSIGN_OR_RETURN(const auto path, statement::HashPathFrom(proof.path()));
  CS_ASSIGN_OR_RETURN(
      const Sha256Digest root,
      statement::RootFromInclusionPath(
          statement::LeafHash(StatementType::kLedgerEntry, body), proof.index(),
          checkpoint.head.size, path));
  if (root != checkpoint.head.root) {
    return Fail(ErrorCode::kInclusionProofInvalid,
                "the path does not lead to the checkpoint's root");
  }
  LoggedEntry logged{.index = proof.index(), .entry = {}};
  CS_RETURN_IF_ERROR(statement::ParseStatementInto(
      body, statement::kMaxLedgerEntrySize, logged.entry));
  return logged;
}

Status CheckSessionEntry(const v1::LedgerEntry& entry,
                         const verifier::AppraisedSession& session) {
  if (entry.kind() != v1::ENTRY_KIND_SESSION) {
    return Fail(ErrorCode::kLedgerEntryMismatch, "not a session's entry");
  }
  CS_RETURN_IF_ERROR(
      Same(entry.device_id(), session.binding.device_id(), "device"));
  CS_RETURN_IF_ERROR(
      Same(entry.session_id(), session.binding.session_id(), "session"));
  CS_RETURN_IF_ERROR(Same(entry.session_binding_digest(), Text(session.digest),
                          "session binding"));
  return Same(entry.attest_sha256(), Text(session.pcrs.attest_sha256()),
              "quote");
}

Status CheckDecisionEntry(const v1::LedgerEntry& entry,
                          const verifier::ProvenAction& action,
                          std::string_view decision) {
  if (entry.kind() != v1::ENTRY_KIND_DECISION) {
    return Fail(ErrorCode::kLedgerEntryMismatch, "not a decision's entry");
  }
  CS_RETURN_IF_ERROR(
      Same(entry.device_id(), action.batch.device_id(), "device"));
  CS_RETURN_IF_ERROR(
      Same(entry.action_digest(), Text(action.leaf.digest), "action"));
  CS_RETURN_IF_ERROR(Same(entry.session_binding_digest(),
                          action.leaf.action.session_binding_digest(),
                          "session binding"));
  CS_RETURN_IF_ERROR(
      Same(entry.batch_digest(), Text(action.batch_digest), "batch"));
  CS_RETURN_IF_ERROR(
      Same(entry.attest_sha256(), Text(action.pcrs.attest_sha256()), "quote"));
  if (!decision.empty()) return Same(entry.decision(), decision, "decision");
  return {};
}

// Both checkpoints, before the entries that rest on them.
class Checkpoints {
 public:
  Checkpoints(const v1::EvidenceBundle& bundle, const TrustFolder& trust) {
    if (bundle.has_session_entry()) {
      session_ = OpenProofCheckpoint(bundle.session_entry(), trust);
    }
    if (bundle.has_decision_entry()) {
      decision_ = OpenProofCheckpoint(bundle.decision_entry(), trust);
    }
  }

  void Report(BundleFindings& findings, BundleReport& report) const {
    std::string detail;
    for (const auto* checkpoint : {&session_, &decision_}) {
      if (!checkpoint->has_value()) continue;
      if (!(*checkpoint)->has_value()) {
        return report.Fails(Part::kCheckpoint, (*checkpoint)->error());
      }
      detail = (**checkpoint)->origin + ", " +
               std::to_string((**checkpoint)->head.size) + " entries";
      findings.ledger_origin = (**checkpoint)->origin;
    }
    if (detail.empty()) return;
    if (two_heads()) {
      if (heads_fork()) {
        return report.Fails(
            Part::kCheckpoint,
            {ErrorCode::kLedgerFork, "two checkpoints of one size differ"});
      }
      report.warnings.emplace_back(
          "Session and decision are proven under two checkpoints. That both "
          "are of one history rests on the ledger's key; 'countersign-authz "
          "audit verify' checks it against the whole ledger.");
    }
    report.Holds(Part::kCheckpoint, detail);
  }

  // Nothing where the proof is absent.
  [[nodiscard]] const std::optional<Result<ledger::Checkpoint>>& session()
      const {
    return session_;
  }
  [[nodiscard]] const std::optional<Result<ledger::Checkpoint>>& decision()
      const {
    return decision_;
  }

 private:
  [[nodiscard]] bool two_heads() const {
    return session_.has_value() && decision_.has_value() &&
           (*session_)->head != (*decision_)->head;
  }
  [[nodiscard]] bool heads_fork() const {
    return (*session_)->head.size == (*decision_)->head.size;
  }

  std::optional<Result<ledger::Checkpoint>> session_;
  std::optional<Result<ledger::Checkpoint>> decision_;
};

// Says of an entry that is in the ledger whether it is about the bundle's
// session or action; empty where that is absent or failed.
using Comparison = std::function<Status(const v1::LedgerEntry&)>;

std::optional<LoggedEntry> JudgeEntry(
    Part part, const v1::LedgerProof& proof,
    const std::optional<Result<ledger::Checkpoint>>& checkpoint,
    const Comparison& compare, BundleReport& report) {
  if (!checkpoint.has_value()) return std::nullopt;
  if (!report.holds(Part::kCheckpoint)) {
    report.NotJudged(part, "its checkpoint does not hold");
    return std::nullopt;
  }
  auto logged = ReadProof(proof, **checkpoint);
  if (!logged.has_value()) {
    report.Fails(part, logged.error());
    return std::nullopt;
  }
  if (!compare) {
    report.NotJudged(part, "what it is about is absent or does not hold");
    return std::nullopt;
  }
  if (const Status same = compare(logged->entry); !same.has_value()) {
    report.Fails(part, same.error());
    return std::nullopt;
  }
  report.Holds(part, "index " + std::to_string(logged->index));
  return *std::move(logged);
}

void JudgeOrder(const BundleFindings& findings, BundleReport& report) {
  if (!findings.session_entry || !findings.decision_entry) return;
  const uint64_t session = findings.session_entry->index;
  const uint64_t decision = findings.decision_entry->index;
  const std::string order =
      std::to_string(session) + " < " + std::to_string(decision);
  if (session < decision) {
    report.Holds(Part::kOrder, order);
  } else {
    report.Fails(Part::kOrder,
                 {ErrorCode::kLedgerEntryMismatch, "not " + order});
  }
}

}  // namespace

void VerifyLedgerParts(const v1::EvidenceBundle& bundle,
                       const TrustFolder& trust, BundleFindings& findings,
                       BundleReport& report) {
  const Checkpoints checkpoints(bundle, trust);
  checkpoints.Report(findings, report);
  Comparison about_session;
  if (findings.session.has_value()) {
    about_session = [&](const v1::LedgerEntry& entry) {
      return CheckSessionEntry(entry, *findings.session);
    };
  }
  Comparison about_action;
  if (findings.action.has_value()) {
    about_action = [&](const v1::LedgerEntry& entry) {
      return CheckDecisionEntry(entry, *findings.action, bundle.decision());
    };
  }
  findings.session_entry =
      JudgeEntry(Part::kSessionEntry, bundle.session_entry(),
                 checkpoints.session(), about_session, report);
  findings.decision_entry =
      JudgeEntry(Part::kDecisionEntry, bundle.decision_entry(),
                 checkpoints.decision(), about_action, report);
  JudgeOrder(findings, report);
}

}  // namespace countersign::agent
