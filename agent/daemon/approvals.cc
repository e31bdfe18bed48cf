#include "agent/daemon/approvals.h"

#include <algorithm>

#include "attest/base/bytes.h"
#include "attest/base/digest.h"

namespace countersign::agent {
namespace {

constexpr size_t kReferenceSize = 16;

}  // namespace

// There is no timer: what is over is dropped when somebody looks.
void Approvals::Forget() {
  const int64_t now = clock_.MonotonicMs();
  std::erase_if(entries_, [now](const auto& entry) {
    return entry.second.until_mono_ms <= now;
  });
}

uint32_t Approvals::LeftS(const Entry& entry) const {
  const int64_t left = entry.until_mono_ms - clock_.MonotonicMs();
  return static_cast<uint32_t>(std::max<int64_t>(0, left)) / 1000;
}

Status Approvals::Ask(uint32_t uid, v1::PendingApproval pending) {
  Forget();
  const Key key(pending.session_id(), pending.request_digest());
  const auto found = entries_.find(key);
  if (found != entries_.end() && !found->second.reference.empty()) return {};
  if (found == entries_.end()) {
    const auto of_user = std::ranges::count_if(
        entries_, [uid](const auto& entry) { return entry.second.uid == uid; });
    if (static_cast<size_t>(of_user) >= kMaxPerUid) {
      return Fail(ErrorCode::kBusy,
                  "too many actions of this user wait for approval");
    }
  }
  pending.set_asked_at_ms(clock_.NowMs());
  entries_[key] = {.uid = uid,
                   .pending = std::move(pending),
                   .reference = {},
                   .until_mono_ms = clock_.MonotonicMs() + kRememberedMs};
  return {};
}

Result<Approvals::Word> Approvals::Decide(const std::string& session_id,
                                          const std::string& request_digest,
                                          bool approve) {
  Forget();
  const auto found = entries_.find({session_id, request_digest});
  if (found == entries_.end() || !found->second.reference.empty()) {
    return Fail(ErrorCode::kNotFound,
                "no such action waits for approval, or no longer");
  }
  Entry& entry = found->second;
  Word word{.pending = entry.pending, .reference = {}};
  if (approve) {
    entry.reference = ToHex(RandomBytes(kReferenceSize));
    entry.until_mono_ms = clock_.MonotonicMs() + kRememberedMs;
    word.reference = entry.reference;
    word.pending.set_left_s(LeftS(entry));
  } else {
    entries_.erase(found);
  }
  return word;
}

std::optional<v1::Approval> Approvals::Take(const std::string& session_id,
                                            const std::string& request_digest) {
  Forget();
  const auto found = entries_.find({session_id, request_digest});
  if (found == entries_.end() || found->second.reference.empty()) {
    return std::nullopt;
  }
  v1::Approval approval;
  approval.set_request_digest(request_digest);
  approval.set_grade(kGradePrompt);
  approval.set_approver("os:" + std::to_string(found->second.uid));
  approval.set_reference(found->second.reference);
  entries_.erase(found);
  return approval;
}

std::vector<v1::PendingApproval> Approvals::Pending(uint32_t uid) {
  Forget();
  std::vector<v1::PendingApproval> list;
  for (const auto& [key, entry] : entries_) {
    if (entry.uid != uid || !entry.reference.empty()) continue;
    list.push_back(entry.pending);
    list.back().set_left_s(LeftS(entry));
  }
  std::ranges::sort(list, {}, [](const v1::PendingApproval& pending) {
    return std::pair(pending.asked_at_ms(), pending.request_digest());
  });
  return list;
}

void Approvals::DropSession(const std::string& session_id) {
  std::erase_if(entries_, [&session_id](const auto& entry) {
    return entry.first.first == session_id;
  });
}

}  // namespace countersign::agent
