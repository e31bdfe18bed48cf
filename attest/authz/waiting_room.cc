#include "attest/authz/waiting_room.h"

#include <vector>

namespace countersign::authz {
namespace {

// Outside the lock: a waiter that ends here leaves the room.
void WakeEach(const std::vector<std::shared_ptr<Waiter>>& waiters) {
  for (const auto& waiter : waiters) {
    if (waiter) waiter->Wake();
  }
}

}  // namespace

void WaitingRoom::Enter(const std::string& topic, std::weak_ptr<Waiter> waiter,
                        const Waiter* key) {
  Leave(key);
  const std::lock_guard lock(mutex_);
  entered_[key] = topics_.emplace(topic, std::move(waiter));
}

void WaitingRoom::Leave(const Waiter* key) {
  const std::lock_guard lock(mutex_);
  const auto found = entered_.find(key);
  if (found == entered_.end()) return;
  topics_.erase(found->second);
  entered_.erase(found);
}

void WaitingRoom::Wake(const std::string& topic) {
  std::vector<std::shared_ptr<Waiter>> waiters;
  {
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = topics_.equal_range(topic);
    for (auto it = begin; it != end; ++it) {
      waiters.push_back(it->second.lock());
    }
  }
  WakeEach(waiters);
}

void WaitingRoom::WakeAll() {
  std::vector<std::shared_ptr<Waiter>> waiters;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& entry : topics_) waiters.push_back(entry.second.lock());
  }
  WakeEach(waiters);
}

}  // namespace countersign::authz
