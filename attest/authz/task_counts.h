// How many actions each task of a session has been permitted, while a batch is
// decided and again while it is committed: a rule's max_actions_per_task holds
// exactly, however many batches arrive at once.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_TASK_COUNTS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_TASK_COUNTS_H_

#include <map>
#include <string>
#include <utility>

#include "attest/authz/store.h"

namespace countersign::authz {

class TaskCounts {
 public:
  // Reads the count, unless it was read before.
  [[nodiscard]] Status Load(StoreView& view, const Bytes& session_id,
                            const std::string& task_id);
  // The count of a task that was loaded.
  [[nodiscard]] uint64_t& At(const Bytes& session_id,
                             const std::string& task_id) {
    return counts_[{session_id, task_id}];
  }
  // Writes all that were loaded.
  [[nodiscard]] Status Put(StoreTransaction& transaction) const;

 private:
  std::map<std::pair<Bytes, std::string>, uint64_t> counts_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_TASK_COUNTS_H_
