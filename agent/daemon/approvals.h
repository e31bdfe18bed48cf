// Actions that wait for their user's word, and the words that were given.
//
// Each is about one request of one session, by its digest, and is forgotten
// two minutes after it was asked or given, when its session ends, or when it
// is taken: an approval goes into one action. In memory only: after a restart
// users are asked again. Judges nobody (request_approvals.cc does). Belongs to
// the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_APPROVALS_H_
#define COUNTERSIGN_AGENT_DAEMON_APPROVALS_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "attest/base/clock.h"
#include "attest/base/result.h"
#include "countersign/v1/agent.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::agent {

// The one grade that can be given on this machine.
inline constexpr char kGradePrompt[] = "prompt";

class Approvals {
 public:
  static constexpr int64_t kRememberedMs = 120'000;
  static constexpr size_t kMaxPerUid = 64;

  // `clock` outlives this.
  explicit Approvals(const Clock& clock) : clock_(clock) {}

  // Remembers that `pending` waits; asked again, it waits anew. One that was
  // approved and not used yet stays so. kBusy: too many of this user wait.
  [[nodiscard]] Status Ask(uint32_t uid, v1::PendingApproval pending);

  struct Word {
    v1::PendingApproval pending;
    std::string reference;  // Empty: it was refused.
  };
  // The user's word. kNotFound: no such request waits.
  [[nodiscard]] Result<Word> Decide(const std::string& session_id,
                                    const std::string& request_digest,
                                    bool approve);

  // The approval of this request, which is then used up; nothing if there is
  // none.
  [[nodiscard]] std::optional<v1::Approval> Take(
      const std::string& session_id, const std::string& request_digest);

  // What waits for this user, oldest first.
  [[nodiscard]] std::vector<v1::PendingApproval> Pending(uint32_t uid);
  void DropSession(const std::string& session_id);
  [[nodiscard]] bool empty() const { return entries_.empty(); }

 private:
  using Key = std::pair<std::string, std::string>;  // Session, digest.
  struct Entry {
    uint32_t uid = 0;
    v1::PendingApproval pending;
    std::string reference;  // Empty: it waits.
    int64_t until_mono_ms = 0;
  };

  void Forget();
  [[nodiscard]] uint32_t LeftS(const Entry& entry) const;

  const Clock& clock_;
  std::map<Key, Entry> entries_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_APPROVALS_H_
