// GET /v1/status/{segment}: which grants are worth nothing before their time,
// as Token Status Lists (draft-ietf-oauth-status-list), for resource servers
// that check grants by themselves.
//
// A grant's place is its decision's ledger index: list index ÷ 65,536, bit
// index mod 65,536. Only grants that have not expired are looked at: a
// verifier checks exp first, so the bits of older ones say nothing (they are
// 0). That makes a list one query over five minutes of decisions.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_OAUTH_STATUS_LIST_H_
#define COUNTERSIGN_ATTEST_AUTHZ_OAUTH_STATUS_LIST_H_

#include <map>
#include <mutex>

#include "attest/authz/http_server.h"
#include "attest/authz/service.h"

namespace countersign::authz {

// How long a verifier may go by a list that it holds.
inline constexpr int64_t kStatusListTtlS = 5;

// One bit each, 1: invalid; compressed and in base64url (§4.1).
[[nodiscard]] std::string CompressedStatusList(
    std::span<const uint64_t> set_bits);

// Thread-safe. A list is made at most once a second and process.
class StatusLists {
 public:
  explicit StatusLists(const Service& service) : service_(service) {}

  // The list as a JWT (typ statuslist+jwt). 404: not a number, or the ledger
  // has not come as far.
  [[nodiscard]] Response Get(std::string_view segment);

 private:
  struct Made {
    int64_t at_ms = 0;
    std::string token;
  };
  [[nodiscard]] Result<std::string> Make(uint64_t segment);

  const Service& service_;
  std::mutex mutex_;
  std::map<uint64_t, Made> made_;  // Of the newest segments.
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_OAUTH_STATUS_LIST_H_
