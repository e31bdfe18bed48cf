#include "agent/daemon/pause.h"

#include <algorithm>

#include "attest/base/digest.h"

namespace countersign::agent {
namespace {

// From half to all of `ms`.
int64_t Jittered(int64_t ms) {
  const Bytes random = RandomBytes(2);
  const int64_t fraction = random[0] << 8 | random[1];
  return ms / 2 + ms / 2 * fraction / 0xffff;
}

}  // namespace

void Pause::Begin(const Error& why, uint32_t retry_after_s) {
  const int64_t now = clock_.MonotonicMs();
  const int64_t own =
      Jittered(std::min(kFirstMs << std::min(failures_, 20), kLastMs));
  ++failures_;
  why_ = why;
  asked_until_ms_ = now + int64_t{retry_after_s} * 1000;
  until_ms_ =
      std::max(now + own,
               asked_until_ms_ + (retry_after_s > 0 ? Jittered(kFirstMs) : 0));
  requests_until_ms_ = std::max(now + kBetweenRequestsMs, asked_until_ms_);
}

void Pause::Clear() {
  why_.reset();
  failures_ = 0;
}

bool Pause::Cut() {
  if (!why_.has_value()) return true;
  if (clock_.MonotonicMs() < asked_until_ms_) return false;
  until_ms_ = requests_until_ms_ = 0;
  return true;
}

const Error* Pause::active() const {
  return why_.has_value() && clock_.MonotonicMs() < until_ms_ ? &*why_
                                                              : nullptr;
}

int64_t Pause::left_ms() const {
  return active() == nullptr ? 0 : until_ms_ - clock_.MonotonicMs();
}

const Error* Pause::blocks_requests() const {
  return why_.has_value() && clock_.MonotonicMs() < requests_until_ms_
             ? &*why_
             : nullptr;
}

}  // namespace countersign::agent
