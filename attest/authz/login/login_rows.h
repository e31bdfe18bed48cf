// What the store remembers of logins. Plain values, as in store_rows.h.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_ROWS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "attest/base/bytes.h"

namespace countersign::authz {

// One verified sign-in. Nothing here names a person: the claims lie in the
// evidence beside the ledger, where they can be erased.
struct LoginRow {
  Bytes id;  // 16 bytes; in base64url the user_session_id of bindings.
  Bytes device_id;
  std::string os_id;
  std::string subject;           // "idp:…": see SubjectOfProvider.
  std::string provider_session;  // Hash of the provider's `sid`, or empty.
  std::string method;            // "oidc" or "oidc-device".
  std::vector<std::string> groups;
  std::string acr;
  int64_t auth_time_s = 0;  // 0: the provider did not say.
  int64_t created_ms = 0;
  int64_t expires_ms = 0;
  Sha256Digest evidence_sha256{};
  uint64_t ledger_index = 0;
  std::string end_reason;  // Empty: not ended.
  int64_t ended_ms = 0;
  uint64_t end_index = 0;  // Of the entry that ended it, if ended.

  [[nodiscard]] bool ended() const { return !end_reason.empty(); }
};

// A device-code sign-in (RFC 8628) that waits for its user.
struct PendingLoginRow {
  Bytes id;  // 16 bytes
  Bytes device_id;
  Bytes evidence;  // LoginEvidence, appraised.
  Sha256Digest attest_sha256{};
  std::string device_code;  // The provider's; nobody else sees it.
  int64_t interval_s = 5;
  int64_t next_poll_ms = 0;
  int64_t expires_ms = 0;
  Bytes login_id;  // Once signed in.
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_LOGIN_ROWS_H_
