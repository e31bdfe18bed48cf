#include "attest/authz/connection_registry.h"

#include <vector>

namespace countersign::authz {

bool ConnectionRegistry::Admit(const std::shared_ptr<Closable>& connection) {
  // Dropped after the lock: the last reference to a connection leaves us.
  std::shared_ptr<Closable> evicted;
  const std::lock_guard lock(mutex_);
  if (open_.size() >= max_) {
    if (idle_.empty()) return false;
    const auto longest = open_.find(idle_.front());
    idle_.pop_front();
    longest->second.idle = false;
    evicted = longest->second.connection.lock();
    if (evicted) evicted->Close();
  }
  open_.emplace(connection.get(), Entry{connection, false, {}});
  return true;
}

void ConnectionRegistry::Leave(const Closable* connection) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(connection);
  if (found == open_.end()) return;
  if (found->second.idle) idle_.erase(found->second.place);
  open_.erase(found);
  left_.notify_all();
}

void ConnectionRegistry::SetIdle(const Closable* connection, bool idle) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(connection);
  if (found == open_.end() || found->second.idle == idle) return;
  found->second.idle = idle;
  if (idle) {
    found->second.place = idle_.insert(idle_.end(), connection);
  } else {
    idle_.erase(found->second.place);
  }
}

void ConnectionRegistry::Close(bool all) {
  std::vector<std::shared_ptr<Closable>> closing;
  const std::lock_guard lock(mutex_);
  for (const auto& [connection, entry] : open_) {
    if (!all && !entry.idle) continue;
    closing.push_back(entry.connection.lock());
    if (closing.back()) closing.back()->Close();
  }
}

bool ConnectionRegistry::WaitEmpty(
    std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return left_.wait_until(lock, deadline, [this] { return open_.empty(); });
}

}  // namespace countersign::authz
