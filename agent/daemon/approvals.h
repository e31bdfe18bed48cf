// The user's own word for single actions: grade "prompt".
//
// An approval is for one ActionRequest of one session, by its digest, can be
// given only to what was just refused for want of one, is used by the next
// request that is byte for byte the same, and by no other. It says that some
// program of the user clicked, not that a person did. Pure; no thread-safety.
#ifndef COUNTERSIGN_AGENT_DAEMON_APPROVALS_H_
#define COUNTERSIGN_AGENT_DAEMON_APPROVALS_H_

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::agent {

inline constexpr char kGradePrompt[] = "prompt";

class Approvals {
 public:
  static constexpr size_t kMaxWaiting = 4096;  // The oldest make room.
  static constexpr int64_t kWaitMs = 180'000;  // From question to use.

  // The service wants an approval of this request. Times are of the clock that
  // only goes forward.
  void Asked(const std::string& session_id, const Sha256Digest& request,
             int64_t now_ms);
  // kNotFound: nothing is waiting for it, any more or ever.
  [[nodiscard]] Status Approve(const std::string& session_id,
                               const Sha256Digest& request, int64_t now_ms);
  // True once for each approval.
  [[nodiscard]] bool Use(const std::string& session_id,
                         const Sha256Digest& request, int64_t now_ms);

 private:
  struct Waiting {
    int64_t until_ms = 0;
    bool approved = false;
  };
  [[nodiscard]] static std::string KeyOf(const std::string& session_id,
                                         const Sha256Digest& request);
  void Expire(int64_t now_ms);

  std::unordered_map<std::string, Waiting> waiting_;
  std::deque<std::pair<int64_t, std::string>> order_;  // until_ms, key
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_APPROVALS_H_
