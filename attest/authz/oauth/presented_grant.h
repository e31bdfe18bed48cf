// A grant or action that somebody names, found again in the ledger's books.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_PRESENTED_GRANT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_PRESENTED_GRANT_H_

#include "attest/authz/service.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

struct DecidedAction {
  ActionRow row;
  v1::ActionDecision decision;
  SessionRow session;
};

// kNotFound: no such action, or of no session. kStorageCorrupt.
[[nodiscard]] Result<DecidedAction> FindDecidedAction(
    StoreView& view, const Sha256Digest& digest);

// What was asked, from the evidence that lies beside the ledger.
//   kNotFound         it was erased
//   kStorageCorrupt   it is not what its digest says
struct AskedAction {
  v1::ActionRequest request;
  v1::Approval approval;
};
[[nodiscard]] Result<AskedAction> FindAskedAction(StoreView& view,
                                                  const ActionRow& action);

struct PresentedGrant {
  std::string claims_json;
  std::string audience;
  std::string jti;
  int64_t expires_s = 0;
  DecidedAction action;
};

// Reads `token` (hostile).
//   kTokenInvalid  not a grant of this service's: signature, type, issuer,
//                  expiry, or its jti is not that of its action
// Whether it is still good, and whose it is, is for the caller.
[[nodiscard]] Result<PresentedGrant> FindPresentedGrant(const Service& service,
                                                        StoreView& view,
                                                        std::string_view token);

// An entry of `kind` about the decision, ready but for what it says.
[[nodiscard]] v1::LedgerEntry EntryAbout(v1::EntryKind kind,
                                         const DecidedAction& action);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_PRESENTED_GRANT_H_
