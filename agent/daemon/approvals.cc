#include "agent/daemon/approvals.h"

namespace countersign::agent {

std::string Approvals::KeyOf(const std::string& session_id,
                             const Sha256Digest& request) {
  // The digest has a fixed length, so no two pairs read alike.
  return AsString(request) + session_id;
}

void Approvals::Asked(const std::string& session_id,
                      const Sha256Digest& request, int64_t now_ms) {
  Expire(now_ms);
  const std::string key = KeyOf(session_id, request);
  const int64_t until_ms = now_ms + kWaitMs;
  waiting_[key] = {until_ms, false};
  order_.emplace_back(until_ms, key);
  while (order_.size() > kMaxWaiting) {
    const auto [until, oldest] = order_.front();
    order_.pop_front();
    const auto found = waiting_.find(oldest);
    if (found != waiting_.end() && found->second.until_ms == until) {
      waiting_.erase(found);
    }
  }
}

Status Approvals::Approve(const std::string& session_id,
                          const Sha256Digest& request, int64_t now_ms) {
  Expire(now_ms);
  const auto found = waiting_.find(KeyOf(session_id, request));
  if (found == waiting_.end()) {
    return Fail(ErrorCode::kNotFound, "no such action waits for an approval");
  }
  found->second.approved = true;
  return {};
}

bool Approvals::Use(const std::string& session_id, const Sha256Digest& request,
                    int64_t now_ms) {
  Expire(now_ms);
  const auto found = waiting_.find(KeyOf(session_id, request));
  if (found == waiting_.end() || !found->second.approved) return false;
  waiting_.erase(found);
  return true;
}

void Approvals::Expire(int64_t now_ms) {
  while (!order_.empty() && order_.front().first <= now_ms) {
    const auto [until, key] = order_.front();
    order_.pop_front();
    const auto found = waiting_.find(key);
    // Asked again since then: it waits anew.
    if (found != waiting_.end() && found->second.until_ms == until) {
      waiting_.erase(found);
    }
  }
}

}  // namespace countersign::agent
