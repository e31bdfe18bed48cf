// Token buckets by key (an address, a device), in bounded memory.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_RATE_LIMITER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_RATE_LIMITER_H_

#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace countersign::authz {

class RateLimiter {
 public:
  // `rate` per `per_ms`, with bursts of as many. At most `max_keys` are
  // remembered; the one that was longest quiet is forgotten first.
  RateLimiter(int64_t rate, int64_t per_ms, size_t max_keys = 16'384)
      : rate_(rate), per_ms_(per_ms), max_keys_(max_keys) {}

  // 0 if `key` may go on; else the seconds after which to ask again.
  // `now_ms` is of a clock that only goes forward.
  [[nodiscard]] int Take(std::string_view key, int64_t now_ms);

 private:
  struct Bucket {
    std::string key;
    double tokens = 0;
    int64_t filled_ms = 0;
  };

  const int64_t rate_;
  const int64_t per_ms_;
  const size_t max_keys_;
  std::mutex mutex_;
  std::list<Bucket> recent_;  // Most recent first.
  std::unordered_map<std::string_view, std::list<Bucket>::iterator> by_key_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_RATE_LIMITER_H_
