// What an approval is worth that an action carries, and that it is used once.
//
// The device quotes it and so vouches that its daemon saw it given; nothing
// more is shown (docs/decisions/0015-prompt-approvals.md). Its form was
// checked with the leaf (statement::CheckApproval).
#ifndef COUNTERSIGN_ATTEST_AUTHZ_APPROVAL_H_
#define COUNTERSIGN_ATTEST_AUTHZ_APPROVAL_H_

#include <string_view>

#include "attest/authz/json_writer.h"
#include "attest/authz/policy/policy.h"
#include "attest/authz/store.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

inline constexpr std::string_view kGradePrompt = "prompt";

// The grade for which `approval` counts in this session, or empty. That is
// "prompt" by the session's own user. Stronger grades are given on this
// service's own page: a device that claims one has shown nothing, and it does
// not count for the weaker one either.
[[nodiscard]] std::string_view CountedGrade(const v1::Approval& approval,
                                            const SessionFacts& session);

// False if a permit of the session's device was given for `reference` before.
// It is remembered for as long as the session could use it again, and a day.
[[nodiscard]] Result<bool> ConsumeApproval(StoreTransaction& transaction,
                                           const SessionRow& session,
                                           std::string_view reference);

// The member "approval" of an object that is being written.
void WriteApproval(JsonWriter& json, const v1::Approval& approval);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_APPROVAL_H_
