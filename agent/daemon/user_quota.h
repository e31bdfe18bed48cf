// Counts what all users share, so that no one user takes the last quarter.
#ifndef COUNTERSIGN_AGENT_DAEMON_USER_QUOTA_H_
#define COUNTERSIGN_AGENT_DAEMON_USER_QUOTA_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace countersign::agent {

// Not thread-safe.
class UserQuota {
 public:
  // May `uid` have one more, of `total` for all?
  [[nodiscard]] bool Fits(uint32_t uid, size_t total) const {
    const auto found = of_uid_.find(uid);
    const size_t own = found == of_uid_.end() ? 0 : found->second;
    return taken_ < total && own < std::max<size_t>(total - total / 4, 1);
  }
  // Take does not ask whether it fits. One Give for each Take.
  void Take(uint32_t uid) {
    ++taken_;
    ++of_uid_[uid];
  }
  void Give(uint32_t uid) {
    --taken_;
    const auto found = of_uid_.find(uid);
    if (--found->second == 0) of_uid_.erase(found);
  }
  [[nodiscard]] size_t taken() const { return taken_; }

 private:
  size_t taken_ = 0;
  std::unordered_map<uint32_t, size_t> of_uid_;  // None is 0.
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_USER_QUOTA_H_
