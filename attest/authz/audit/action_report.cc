#include "attest/authz/audit/action_report.h"

#include <algorithm>

#include "attest/authz/approval.h"
#include "attest/authz/audit/approval_lines.h"
#include "attest/authz/audit/decision_again.h"
#include "attest/authz/audit/describe.h"
#include "attest/authz/audit/order_lines.h"
#include "attest/authz/audit/trail.h"
#include "attest/authz/audit/use_line.h"
#include "attest/authz/ek_admission.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/login/end_login.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

using JudgedBatch = TrailReader::JudgedBatch;
using JudgedSession = TrailReader::JudgedSession;

// Why an action is denied whose session was quoted on another boot.
constexpr ErrorCode kOtherBoot[] = {ErrorCode::kStaleBoot,
                                    ErrorCode::kPcrDigestMismatch,
                                    ErrorCode::kSessionOfOtherDevice};

std::string Number(uint64_t value) { return std::to_string(value); }
std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

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
    decision_entry_ = *std::move(decision);
    report_.decided_ms = decision_.service_time_ms();
    report_.decision = decision_.kind() == v1::ENTRY_KIND_SESSION_END
                           ? "session_end"
                           : decision_.decision();
    if (const auto code = ErrorCodeFromNumber(decision_.reason());
        code && decision_.reason() != 0) {
      report_.reason = Name(*code);
    }
    ReadEvidence();
    DescribeAction();
    DescribeSession();
    DescribeOrder();
    DescribePolicy();
    DescribeApproval();
    DescribeGrant();
    DescribeCheckpoint();
    return std::move(report_);
  }

 private:
  void Who(CheckedLine line) { report_.who.push_back(std::move(line)); }
  void What(CheckedLine line) { report_.what.push_back(std::move(line)); }
  void Then(CheckedLine line) { report_.valid_then.push_back(std::move(line)); }

  // Everything that the ledger and the evidence say, or why they do not.
  void ReadEvidence() {
    if (decision_.refers_to() != 0) {
      auto bound = trail_.Entry(decision_.refers_to() - 1);
      if (bound) {
        session_entry_ = *std::move(bound);
      } else {
        session_ = tl::unexpected<Error>(bound.error());
      }
    }
    history_ = trail_.History(decision_entry_, session_entry_);
    if (!history_) {
      batch_ = tl::unexpected<Error>(history_.error());
      session_ = tl::unexpected<Error>(history_.error());
      return;
    }
    batch_ = trail_.Batch(decision_entry_, *history_);
    if (session_entry_) session_ = trail_.Session(*session_entry_, *history_);
  }

  void DescribeAction() {
    if (!batch_) {
      What(Lost("action", "the quoted action", batch_.error()));
      return What(Lost("device", "the device", batch_.error()));
    }
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
    const bool malformed = leaf < leaves.size() && !leaves[leaf];
    What(Line("action", named && (leaf_ != nullptr || malformed),
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
    const TrailReader::Enrolled& enrolled = batch_->enrolled;
    const v1::DeviceRecord& record = enrolled.record;
    std::string proof = "enrolled by ledger entry " + Number(enrolled.index) +
                        ", before this decision; its AK's Name and Qualified "
                        "Name follow from the keys in that record";
    if (enrolled.newer_erased) {
      proof += "; the record of a newer enrollment, entry " +
               Number(*enrolled.newer_erased) + ", was erased";
    }
    What(Line("device", true, DeviceText(record), std::move(proof)));
    What(EkLine(record));
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
    if (decision_.refers_to() == 0) {
      return Who(Unknown("user", "nobody that the service knows",
                         "the action names no session of this service"));
    }
    if (!session_) {
      Who(Lost("user", "the user of the session", session_.error()));
      What(Lost("workload", "the program", session_.error()));
      return What(Lost("boot", "the boot", session_.error()));
    }
    const v1::SessionBinding& binding = session_->session.binding;
    const bool same =
        Equal(AsBytes(decision_.session_binding_digest()),
              session_->session.digest) &&
        (leaf_ == nullptr || leaf_->action.session_binding_digest() ==
                                 decision_.session_binding_digest());
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
    What(BootLine());
  }

  CheckedLine BootLine() const {
    if (!batch_) return Lost("boot", "the boot", batch_.error());
    const verifier::QuotedPcrs& bound = session_->session.pcrs;
    const verifier::QuotedPcrs& pcrs = batch_->batch.pcrs;
    const std::string boot = "PCRs " + pcrs.selection().ToText() + ", digest " +
                             ToHex(pcrs.pcr_digest()) + ", reset count " +
                             Number(pcrs.clock().reset_count) +
                             ", restart count " +
                             Number(pcrs.clock().restart_count);
    if (bound.clock().SameBoot(pcrs.clock()) &&
        bound.pcr_digest() == pcrs.pcr_digest()) {
      return Line("boot", true, boot,
                  "quoted with the session and with the action alike; the boot "
                  "log's " +
                      Number(session_->boot_events) + " events replay to it");
    }
    const bool was_why =
        decision_.decision() == "deny" &&
        std::ranges::any_of(kOtherBoot, [this](ErrorCode code) {
          return decision_.reason() == static_cast<uint32_t>(code);
        });
    return Line("boot", was_why, boot,
                "the session was quoted on another boot: digest " +
                    ToHex(bound.pcr_digest()) + ", reset count " +
                    Number(bound.clock().reset_count) + ", restart count " +
                    Number(bound.clock().restart_count) +
                    (was_why ? "; this is why the action was denied"
                             : "; the action was not denied for it"));
  }

  CheckedLine PseudonymLine(const v1::SessionBinding& binding) const {
    const std::string fact = "in the ledger under the pseudonym " +
                             Hex(decision_.subject_pseudonym());
    const auto login = LoginOf(trail_.view(), binding);
    if (!login) return Lost("pseudonym", fact, login.error());
    const std::string subject = SubjectOf(binding, *login ? &**login : nullptr);
    const auto key = trail_.view().FindSubjectKey(subject);
    if (!key) return Lost("pseudonym", fact, key.error());
    if (!key->has_value()) {
      return Lost("pseudonym", fact,
                  {ErrorCode::kNotFound, "its key was erased"});
    }
    return Line("pseudonym",
                Equal(HmacSha256(**key, AsBytes(subject)),
                      AsBytes(decision_.subject_pseudonym())),
                fact, "HMAC of " + subject + " under its own key");
  }

  void DescribeOrder() {
    if (session_entry_) {
      const uint64_t opened = session_entry_->index;
      Then(Line("session",
                opened < action_.ledger_index &&
                    session_entry_->entry.kind() == v1::ENTRY_KIND_SESSION,
                "the session was bound by entry " + Number(opened) +
                    ", before this decision, entry " +
                    Number(action_.ledger_index),
                "both are proven to be in the ledger's tree of " +
                    Number(trail_.checkpoint().head.size) + " entries"));
    }
    if (!history_) {
      return Then(Lost("history", "what became of session and device",
                       history_.error()));
    }
    if (session_entry_) {
      Then(EndLine(trail_.view(), *history_, *session_entry_, decision_entry_));
    }
    Then(RevocationLine(trail_.view(), *history_, decision_entry_));
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
    const auto again = AgainDecided();
    if (!again) return Then(Lost("policy", fact, again.error()));
    Then(Line("policy", again->holds, fact,
              again->point_asked
                  ? "the rule file of that time and what the decision point "
                    "answered lead to the same again, and the request and "
                    "response hash to what the ledger holds"
                  : "the rule file of that time decides the same again, and "
                    "the request and response hash to what the ledger holds"));
  }

  Result<DecisionAgain> AgainDecided() const {
    if (!batch_) return tl::unexpected<Error>(batch_.error());
    if (!session_) return tl::unexpected<Error>(session_.error());
    return DecideAgain(trail_, decision_, *batch_, *session_,
                       action_.leaf_index);
  }

  void DescribeApproval() {
    const bool logged = !decision_.approval_reference().empty();
    if (leaf_ == nullptr) {
      if (!logged) return;
      return Then(Lost(
          "approval", "approval " + Printable(decision_.approval_reference()),
          batch_ ? Error{ErrorCode::kLeafIndexMismatch, "another action"}
                 : batch_.error()));
    }
    if (!logged && !leaf_->action.has_approval()) return;
    Who(ApproverLine(*leaf_, decision_));
    Then(ApprovalLine(*leaf_, decision_));
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
    Then(history_ ? UseLine(*history_, decision_entry_)
                  : Lost("use", "uses of the grant", history_.error()));
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
  ProvenEntry decision_entry_;
  const v1::LedgerEntry& decision_ = decision_entry_.entry;
  std::optional<ProvenEntry> session_entry_;
  Result<DeviceHistory> history_ = DeviceHistory();
  Result<JudgedBatch> batch_ = Fail(ErrorCode::kInternal);
  Result<JudgedSession> session_ = Fail(ErrorCode::kSessionUnknown);
  const verifier::BatchLeaf* leaf_ = nullptr;
};

std::string_view ResultName(Mark mark) {
  switch (mark) {
    case Mark::kOk:
      return "holds";
    case Mark::kFailed:
      return "fails";
    case Mark::kErased:
      return "erased";
    case Mark::kAbsent:
      break;
  }
  return "not_checked";
}

void WriteLines(JsonWriter& json, std::string_view key,
                const std::vector<CheckedLine>& lines) {
  json.BeginArray(key);
  for (const CheckedLine& line : lines) {
    json.BeginObject()
        .String("check", line.key)
        .String("result", ResultName(line.mark))
        .String("fact", line.fact)
        .String("proof", line.proof)
        .EndObject();
  }
  json.EndArray();
}

}  // namespace

std::vector<std::string> ActionReport::KeysOf(Mark mark) const {
  std::vector<std::string> keys;
  for (const auto* lines : {&who, &what, &valid_then}) {
    for (const CheckedLine& line : *lines) {
      if (line.mark == mark) keys.push_back(line.key);
    }
  }
  return keys;
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
      .Bool("holds", report.holds())
      .Bool("complete", report.complete())
      .BeginArray("missing");
  for (const std::string& key : report.KeysOf(Mark::kErased)) {
    json.String({}, key);
  }
  json.EndArray();
  WriteLines(json, "who", report.who);
  WriteLines(json, "what", report.what);
  WriteLines(json, "valid_then", report.valid_then);
  json.EndObject();
  return std::move(json).text();
}

}  // namespace countersign::authz
