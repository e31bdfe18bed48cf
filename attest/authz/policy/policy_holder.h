// The rule file in force, replaced while the service runs. A bad file, or one
// that others may write to, never replaces a good one.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_HOLDER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_HOLDER_H_

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "attest/authz/policy/policy.h"

namespace countersign::authz {

class PolicyHolder {
 public:
  // The first load must succeed.
  [[nodiscard]] static Result<std::unique_ptr<PolicyHolder>> Load(
      const std::string& path);
  explicit PolicyHolder(std::shared_ptr<const Policy> policy)
      : policy_(std::move(policy)) {}

  [[nodiscard]] std::shared_ptr<const Policy> Get() const;

  // True if the file was read and differs from the policy in force, which it
  // then replaces, once `accept` has let it pass. On an error, also of
  // `accept`, the policy in force stays.
  [[nodiscard]] Result<bool> Reload(
      const std::function<Status(const Policy&)>& accept);
  // True if the file looks different (inode, size, time of change) from when
  // it was last read. Cheap.
  [[nodiscard]] bool Changed() const;

 private:
  struct Stamp {
    uint64_t inode = 0;
    int64_t size = -1;
    int64_t changed_ns = 0;  // Content, owner or mode.
    bool operator==(const Stamp&) const = default;
  };
  [[nodiscard]] Stamp StampOf() const;

  std::string path_;
  Stamp stamp_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Policy> policy_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_HOLDER_H_
