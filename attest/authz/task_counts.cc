#include "attest/authz/task_counts.h"

namespace countersign::authz {

Status TaskCounts::Load(StoreView& view, const Bytes& session_id,
                        const std::string& task_id) {
  if (counts_.contains({session_id, task_id})) return {};
  CS_ASSIGN_OR_RETURN(const auto row, view.FindTask(session_id, task_id));
  counts_.emplace(std::pair(session_id, task_id), row ? row->actions : 0);
  return {};
}

Status TaskCounts::Put(StoreTransaction& transaction) const {
  for (const auto& [task, actions] : counts_) {
    CS_RETURN_IF_ERROR(transaction.PutTask({.session_id = task.first,
                                            .task_id = task.second,
                                            .actions = actions}));
  }
  return {};
}

}  // namespace countersign::authz
