#include "attest/authz/rate_limiter.h"

#include <algorithm>
#include <cmath>

namespace countersign::authz {

int RateLimiter::Take(std::string_view key, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    if (by_key_.size() >= max_keys_) {
      by_key_.erase(recent_.back().key);
      recent_.pop_back();
    }
    recent_.push_front({std::string(key), static_cast<double>(rate_), now_ms});
    by_key_.emplace(recent_.front().key, recent_.begin());
  } else {
    recent_.splice(recent_.begin(), recent_, found->second);
  }
  Bucket& bucket = recent_.front();
  const double per_token =
      static_cast<double>(per_ms_) / static_cast<double>(rate_);
  bucket.tokens =
      std::min(static_cast<double>(rate_),
               bucket.tokens +
                   static_cast<double>(now_ms - bucket.filled_ms) / per_token);
  bucket.filled_ms = now_ms;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return 0;
  }
  const double wait_ms = (1 - bucket.tokens) * per_token;
  return static_cast<int>(std::ceil(std::max(wait_ms, 1.0) / 1000));
}

}  // namespace countersign::authz
