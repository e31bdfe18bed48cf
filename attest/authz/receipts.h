// POST /v1/receipts/verify: checks a receipt against the request that a
// relying party has in hand, and consumes it.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_RECEIPTS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_RECEIPTS_H_

#include "attest/authz/service.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

// `request` is hostile. In this order:
//   the errors of VerifyJws and CheckClaims   signature, type, issuer,
//                     audience, time
//   kReceiptMismatch  method, URI or body is another than the receipt's
//   kReceiptUsed      accepted before
//   as CheckGrantLive      revoked or ended since
// An answer with `valid` false carries which.
[[nodiscard]] Result<v1::ReceiptVerifyAnswer> VerifyReceipt(
    const Service& service, const v1::ReceiptVerifyRequest& request);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_RECEIPTS_H_
