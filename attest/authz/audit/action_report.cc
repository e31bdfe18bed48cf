#include "attest/authz/audit/action_report.h"

#include <algorithm>

#include "attest/authz/audit/describe.h"
#include "attest/authz/audit/trail.h"
#include "attest/authz/decision_request.h"
#include "attest/authz/ek_admission.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

using JudgedBatch = TrailReader::JudgedBatch;
using JudgedSession = TrailReader::JudgedSession;

std::string Number(uint64_t value) { return std::to_string(value); }
std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

std::string Why(const Error& error) {
  std::string text(Message(error.code));
  if (!error.detail.empty()) text += " (" + Printable(error.detail) + ")";
  return text;
}

CheckedLine Line(std::string key, bool holds, std::string fact,
                 std::string proof) {
  return {std::move(key), holds ? Mark::kOk : Mark::kFailed, std::move(fact),
          std::move(proof)};
}
CheckedLine Unknown(std::string key, std::string fact, std::string proof) {
  return {std::move(key), Mark::kAbsent, std::move(fact), std::move(proof)};
}
// Something that could not be established: broken, unless it was erased,
// which the ledger is made to survive.
CheckedLine Lost(std::string key, std::string fact, const Error& error) {
  const Mark mark =
      error.code == ErrorCode::kNotFound ? Mark::kAbsent : Mark::kFailed;
  return {std::move(key), mark, std::move(fact), Why(error)};
}

// Collects the report of one action, from evidence to words.
class Reporter {
 public:
  Reporter(const TrailReader& trail, const Config& config,
           const ActionRow& action)
      : trail_(trail), config_(config), action_(action) {
    report_.action_digest = ToHex(action.digest);
    report_.ledger_index = action.ledger_index;
  }

  ActionReport Report() {
    auto decision = trail_.Entry(action_.ledger_index);
    if (!decision) {
      Then(Lost("decision", "the entry of this decision", decision.error()));
      return std::move(report_);
    }
    decision_ = std::move(decision->entry);
    report_.decided_ms = decision_.service_time_ms();
    report_.decision = decision_.kind() == v1::ENTRY_KIND_SESSION_END
                           ? "session_end"
                           : decision_.decision();
    if (const auto code = ErrorCodeFromNumber(decision_.reason());
        code && decision_.reason() != 0) {
      report_.reason = Name(*code);
    }
    DescribeAction();
    DescribeSession();
    DescribeOrder();
    DescribePolicy();
    DescribeGrant();
    DescribeCheckpoint();
    return std::move(report_);
  }

 private:
  void Who(CheckedLine line) { report_.who.push_back(std::move(line)); }
  void What(CheckedLine line) { report_.what.push_back(std::move(line)); }
  void Then(CheckedLine line) { report_.valid_then.push_back(std::move(line)); }

  void DescribeAction() {
    auto batch = trail_.Batch(decision_);
    if (!batch) {
      return What(Lost("action", "the quoted action", batch.error()));
    }
    batch_.emplace(*std::move(batch));
    const auto& leaves = batch_->batch.leaves;
    const uint32_t leaf = action_.leaf_index;
    if (leaf < leaves.size() && leaves[leaf] &&
        leaves[leaf]->digest == action_.digest) {
      leaf_ = &*leaves[leaf];
      report_.name = leaf_->request.name();
      report_.resource = leaf_->request.resource();
      report_.purpose = leaf_->request.purpose();
    }
    const bool named =
        Equal(AsBytes(decision_.action_digest()), action_.digest);
    What(Line("action", named && (leaf_ != nullptr || !leaves[leaf]),
              leaf_ == nullptr ? "a malformed action"
              : leaf_->request.name().empty()
                  ? "the end of the session: " +
                        Printable(leaf_->action.session_end())
                  : ActionText(leaf_->request),
              "leaf " + Number(leaf + 1) + " of " + Number(leaves.size()) +
                  " in a batch that the device's TPM quoted: signature, tree "
                  "and PCR values hold"));
    DescribeDevice();
  }

  void DescribeDevice() {
    const v1::DeviceRecord& record = batch_->enrolled.record;
    What(Line("device", true, DeviceText(record),
              "enrolled by ledger entry " + Number(batch_->enrolled.index) +
                  "; its AK's Name and Qualified Name follow from the keys in "
                  "that record"));
    What(EkLine(record));
    const verifier::QuotedPcrs& pcrs = batch_->batch.pcrs;
    boot_ = "PCRs " + pcrs.selection().ToText() + ", digest " +
            ToHex(pcrs.pcr_digest()) + ", reset count " +
            Number(pcrs.clock().reset_count) + ", restart count " +
            Number(pcrs.clock().restart_count);
  }

  CheckedLine EkLine(const v1::DeviceRecord& record) const {
    const std::string fact =
        "EK trusted by " + record.ek_trust() +
        (record.ek_root().empty() ? std::string()
                                  : ", root " + Printable(record.ek_root()));
    if (record.ek_trust() != "certificate") {
      return Unknown("ek", fact,
                     record.ek_trust() == "allowlist"
                         ? "the operator's allow-list said so at enrollment"
                         : "nothing vouches for this TPM but the token it "
                           "enrolled with");
    }
    const auto admission = EkAdmission::Load(config_.enrollment);
    if (!admission) return Lost("ek", fact, admission.error());
    const v1::EkRecord& ek =
        record.eks(static_cast<int>(record.certified_ek()));
    const auto area = tpm::PublicArea::Parse(AsBytes(ek.public_area()));
    if (!area) return Lost("ek", fact, area.error());
    std::vector<Bytes> chain;
    for (const std::string& certificate : ek.certificates()) {
      chain.push_back(ToBytes(AsBytes(certificate)));
    }
    const auto judged =
        admission->VerifyChain(*area, chain, record.enrolled_at_ms());
    if (!judged) return Lost("ek", fact, judged.error());
    return Line("ek", judged->root_subject == record.ek_root(), fact,
                "the certificate chain leads to that root, as of the day of "
                "enrollment");
  }

  void DescribeSession() {
    if (decision_.refers_to() == 0 || !batch_) {
      return Who(Unknown("user", "nobody that the service knows",
                         "the action names no session of this service"));
    }
    auto entry = trail_.Entry(decision_.refers_to() - 1);
    if (!entry) return Who(Lost("user", "the session", entry.error()));
    session_entry_ = *std::move(entry);
    auto session = trail_.Session(session_entry_->entry, batch_->enrolled);
    if (!session) {
      return Who(Lost("user", "the session's evidence", session.error()));
    }
    session_.emplace(*std::move(session));
    const v1::SessionBinding& binding = session_->session.binding;
    const bool same = leaf_ != nullptr &&
                      Equal(AsBytes(leaf_->action.session_binding_digest()),
                            session_->session.digest);
    const v1::User& user = binding.user();
    Who(Line("user", same, UserText(user),
             "the action names this session, and the session's quote covers "
             "the user; uid from " +
                 HowObserved(user.observations(), "os_id")));
    Who(Line("verification", same, VerificationText(user),
             "as the agent on the device reports it, in the same quote"));
    Who(PseudonymLine(binding));
    const v1::Workload& workload = binding.workload();
    What(Line("workload", same, WorkloadText(workload),
              "quoted with the session; executable from " +
                  HowObserved(workload.observations(), "executable_path")));
    const bool same_boot =
        session_->session.pcrs.clock().SameBoot(batch_->batch.pcrs.clock()) &&
        session_->session.pcrs.pcr_digest() == batch_->batch.pcrs.pcr_digest();
    What(Line("boot", same_boot, boot_,
              "quoted with the session and with the action alike; the boot "
              "log's " +
                  Number(session_->boot_events) + " events replay to it"));
  }

  CheckedLine PseudonymLine(const v1::SessionBinding& binding) const {
    const std::string subject = SubjectOf(binding);
    const std::string fact = "in the ledger under the pseudonym " +
                             Hex(decision_.subject_pseudonym());
    const auto key = trail_.view().FindSubjectKey(subject);
    if (!key) return Lost("pseudonym", fact, key.error());
    if (!key->has_value()) {
      return Unknown("pseudonym", fact, "its key was erased");
    }
    return Line("pseudonym",
                Equal(HmacSha256(**key, AsBytes(subject)),
                      AsBytes(decision_.subject_pseudonym())),
                fact, "HMAC of " + subject + " under its own key");
  }

  void DescribeOrder() {
    if (!session_entry_) return;
    const uint64_t opened = session_entry_->index;
    Then(Line("session",
              opened < action_.ledger_index &&
                  session_entry_->entry.kind() == v1::ENTRY_KIND_SESSION,
              "the session was bound by entry " + Number(opened) +
                  ", before this decision, entry " +
                  Number(action_.ledger_index),
              "both are proven to be in the ledger's tree of " +
                  Number(trail_.checkpoint().head.size) + " entries"));
    Then(EndLine());
    Then(RevocationLine());
  }

  CheckedLine EndLine() const {
    const auto row =
        trail_.view().FindSession(AsBytes(session_entry_->entry.session_id()));
    if (!row || !*row) {
      return Lost("session_end", "the session's end",
                  row ? Error{ErrorCode::kSessionUnknown, {}} : row.error());
    }
    if (!(*row)->ended()) {
      return Line("session_end", true, "the session has not ended since",
                  "no entry of the ledger ends it");
    }
    const uint64_t index = (*row)->end_index;
    const auto entry = trail_.Entry(index);
    if (!entry) return Lost("session_end", "the session's end", entry.error());
    const bool ends_it =
        entry->entry.kind() == v1::ENTRY_KIND_SESSION_END &&
        entry->entry.session_id() == session_entry_->entry.session_id();
    return Line("session_end",
                ends_it && (action_.ledger_index <= index ||
                            report_.decision != "permit"),
                "the session ended by entry " + Number(index) + " (" +
                    Printable((*row)->end_reason) + ")",
                "that entry is proven, and stands " +
                    std::string(action_.ledger_index < index    ? "after"
                                : action_.ledger_index == index ? "for"
                                                                : "before") +
                    " this decision");
  }

  CheckedLine RevocationLine() const {
    const auto row = trail_.view().FindDevice(AsBytes(decision_.device_id()));
    if (!row || !*row) {
      return Lost("revocation", "the device",
                  row ? Error{ErrorCode::kDeviceUnknown, {}} : row.error());
    }
    if (!(*row)->revoked) {
      return Line("revocation", true, "the device has not been revoked",
                  "no entry of the ledger revokes it");
    }
    const uint64_t index = (*row)->revoked_index;
    const auto entry = trail_.Entry(index);
    if (!entry) return Lost("revocation", "the revocation", entry.error());
    const bool revokes = entry->entry.kind() == v1::ENTRY_KIND_REVOCATION &&
                         entry->entry.device_id() == decision_.device_id();
    return Line("revocation",
                revokes && (action_.ledger_index < index ||
                            report_.decision != "permit"),
                "the device was revoked later, by entry " + Number(index),
                "that entry is proven; this decision stands before it");
  }

  void DescribePolicy() {
    if (decision_.decision_request_sha256().empty()) {
      const std::string why =
          report_.reason.empty()
              ? "the end of a session needs no permission"
              : "refused before policy: " +
                    std::string(
                        Message(static_cast<ErrorCode>(decision_.reason())));
      return Then(Unknown("policy", "policy was not asked", why));
    }
    const std::string fact =
        (decision_.rule().empty() ? "no rule matches, so it is denied"
                                  : "rule '" + Printable(decision_.rule()) +
                                        "' says " + decision_.decision()) +
        ", policy " + decision_.policy_version();
    const auto again = DecideAgain();
    if (!again) return Then(Lost("policy", fact, again.error()));
    Then(Line("policy", *again, fact,
              "the rule file of that time decides the same again, and the "
              "request and response hash to what the ledger holds"));
  }

  Result<bool> DecideAgain() const {
    if (leaf_ == nullptr || !session_) {
      return Fail(ErrorCode::kNotFound, "the evidence was erased");
    }
    CS_ASSIGN_OR_RETURN(const Bytes version,
                        FromHex(decision_.policy_version()));
    CS_ASSIGN_OR_RETURN(const Bytes text, trail_.Evidence(AsString(version)));
    CS_ASSIGN_OR_RETURN(const auto policy,
                        Policy::Parse(AsString(text), "policy"));
    const v1::SessionBinding& binding = session_->session.binding;
    const v1::DeviceRecord& record = batch_->enrolled.record;
    const SessionFacts facts = FactsOf(binding, record);
    const v1::ActionRequest& request = leaf_->request;
    const std::string& approval = leaf_->action.approval().grade();
    const PolicyDecision decided = policy->Decide(
        facts, {request.name(), request.resource(), request.purpose(),
                request.grant_audience(), approval});
    const std::string asked =
        DecisionSubject(facts, binding, record).RequestFor(request, approval);
    const std::string answered = DecisionResponse(decided, policy->version());
    return Name(decided.outcome) == decision_.decision() &&
           decided.rule == decision_.rule() &&
           Equal(Sha256(AsBytes(asked)),
                 AsBytes(decision_.decision_request_sha256())) &&
           Equal(Sha256(AsBytes(answered)),
                 AsBytes(decision_.decision_response_sha256()));
  }

  void DescribeGrant() {
    if (decision_.grant_jti().empty()) {
      return Then(Unknown("grant", "no grant was made",
                          report_.decision == "permit"
                              ? "the action named no audience"
                              : "only a permit yields one"));
    }
    const int64_t life_s =
        decision_.grant_expires_s() - decision_.service_time_ms() / 1000;
    Then(Line("grant", report_.decision == "permit" && life_s <= kMaxGrantTtlS,
              "grant " + Printable(decision_.grant_jti()) + " lived " +
                  std::to_string(life_s) + " s at most",
              "its id and end stand in the decision's entry; at most " +
                  std::to_string(kMaxGrantTtlS) + " s are allowed"));
  }

  void DescribeCheckpoint() {
    const auto covering = trail_.Covering(action_.ledger_index);
    if (!covering) {
      return Then(Lost("checkpoint", "a checkpoint", covering.error()));
    }
    Then(Line(
        "checkpoint", true,
        "covered by the checkpoint over " + Number(covering->size) + " entries",
        "signed by " + Printable(trail_.checkpoint().origin) +
            "; the signature holds"));
  }

  const TrailReader& trail_;
  const Config& config_;
  const ActionRow& action_;
  ActionReport report_;
  v1::LedgerEntry decision_;
  std::optional<JudgedBatch> batch_;
  const verifier::BatchLeaf* leaf_ = nullptr;
  std::optional<ProvenEntry> session_entry_;
  std::optional<JudgedSession> session_;
  std::string boot_;
};

void WriteLines(JsonWriter& json, std::string_view key,
                const std::vector<CheckedLine>& lines) {
  json.BeginArray(key);
  for (const CheckedLine& line : lines) {
    json.BeginObject()
        .String("check", line.key)
        .String("result", line.mark == Mark::kOk       ? "holds"
                          : line.mark == Mark::kFailed ? "fails"
                                                       : "not_checked")
        .String("fact", line.fact)
        .String("proof", line.proof)
        .EndObject();
  }
  json.EndArray();
}

}  // namespace

bool ActionReport::holds() const {
  for (const auto* lines : {&who, &what, &valid_then}) {
    if (std::ranges::any_of(*lines, [](const CheckedLine& line) {
          return line.mark == Mark::kFailed;
        })) {
      return false;
    }
  }
  return true;
}

Result<ActionReport> ReportAction(StoreView& view, const Config& config,
                                  const ledger::NoteVerifier& log,
                                  std::string_view which) {
  CS_ASSIGN_OR_RETURN(const ActionRow action, FindAction(view, which));
  CS_ASSIGN_OR_RETURN(const TrailReader trail,
                      TrailReader::Open(view, config, log));
  return Reporter(trail, config, action).Report();
}

std::string ToJson(const ActionReport& report) {
  JsonWriter json;
  json.BeginObject()
      .String("action_digest", report.action_digest)
      .Int("ledger_index", static_cast<int64_t>(report.ledger_index))
      .Int("decided_at_ms", report.decided_ms)
      .String("decision", report.decision)
      .String("reason", report.reason)
      .String("name", report.name)
      .String("resource", report.resource)
      .String("purpose", report.purpose)
      .Bool("holds", report.holds());
  WriteLines(json, "who", report.who);
  WriteLines(json, "what", report.what);
  WriteLines(json, "valid_then", report.valid_then);
  json.EndObject();
  return std::move(json).text();
}

}  // namespace countersign::authz
