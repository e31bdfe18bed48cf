// What a well-formed action is. Signer and service apply this same function,
// so that one bad leaf never poisons a batch that is already quoted.
#ifndef COUNTERSIGN_ATTEST_STATEMENT_ACTION_RULES_H_
#define COUNTERSIGN_ATTEST_STATEMENT_ACTION_RULES_H_

#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::statement {

// Checks what a client asks for; hostile. Sizes are those of limits.h. Every
// failure is kActionInvalid, its detail starting with the field's name:
//   name            1 to 256 of A-Z a-z 0-9 . _ ~ - : / + @, with a ':' that
//                   is neither first nor last ("mcp:tools/call:read_file")
//   resource        absolute URI (RFC 3986 §4.3 and a fragment if need be) of
//                   at most 1 KiB, without user information
//   purpose         text of 1 to 256 bytes (see CheckText)
//   task_id         empty, or text of at most 256 bytes
//   request_sha256  empty or 32 bytes
//   grant_audience  empty, or an absolute URI without fragment (RFC 8707 §2)
[[nodiscard]] Status CheckActionRequest(const v1::ActionRequest& request);

// Checks the form of an approval of the ActionRequest with `request_digest`:
//   approval            of another request
//   approval.grade      not "prompt", "webauthn" or "second-person"
//   approval.approver   text of 1 to 128 bytes
//   approval.reference  text of 1 to 64 bytes
// What it is worth is for the service to say (authz/approval.h).
[[nodiscard]] Status CheckApproval(const v1::Approval& approval,
                                   const Sha256Digest& request_digest);

}  // namespace countersign::statement

#endif  // COUNTERSIGN_ATTEST_STATEMENT_ACTION_RULES_H_
