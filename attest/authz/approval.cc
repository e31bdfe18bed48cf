#include "attest/authz/approval.h"

namespace countersign::authz {

std::string_view CountedGrade(const v1::Approval& approval,
                              const SessionFacts& session) {
  const bool counts = approval.grade() == kGradePrompt &&
                      !session.uid.value.empty() &&
                      approval.approver() == "os:" + session.uid.value;
  return counts ? kGradePrompt : std::string_view{};
}

Result<bool> ConsumeApproval(StoreTransaction& transaction,
                             const SessionRow& session,
                             std::string_view reference) {
  const std::string name =
      "approval:" + ToHex(session.device_id) + ":" + ToHex(AsBytes(reference));
  return transaction.ConsumeOnce(name, session.expires_ms / 1000);
}

void WriteApproval(JsonWriter& json, const v1::Approval& approval) {
  json.BeginObject("approval")
      .String("grade", approval.grade())
      .String("approver", approval.approver())
      .String("reference", approval.reference())
      .EndObject();
}

}  // namespace countersign::authz
