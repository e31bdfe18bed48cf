// A document of another server, parsed and kept while it is fresh, and for
// longer while that server is down. Thread-safe; at most one thread fetches,
// and only those wait for it that have nothing to go on with.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_LOGIN_CACHED_DOCUMENT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_LOGIN_CACHED_DOCUMENT_H_

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "attest/base/clock.h"
#include "attest/base/result.h"

namespace countersign::authz {

template <typename T>
class CachedDocument {
 public:
  using Pointer = std::shared_ptr<const T>;
  struct Fetched {
    Pointer document;
    int64_t fresh_for_ms = 0;
  };
  using Fetch = std::function<Result<Fetched>()>;

  // `clock` outlives this. After a failure, or for a newer one, it is fetched
  // at most once in `retry_ms`.
  CachedDocument(Fetch fetch, const Clock& clock, int64_t retry_ms)
      : fetch_(std::move(fetch)), clock_(clock), retry_ms_(retry_ms) {}

  // The fresh one, or the last good one if no fresh one is to be had. The
  // error of the last attempt where there has never been one.
  [[nodiscard]] Result<Pointer> Get() {
    {
      const std::lock_guard lock(mutex_);
      if (document_ != nullptr && clock_.MonotonicMs() < fresh_until_ms_) {
        return document_;
      }
    }
    return Refetch(nullptr);
  }

  // Another one than `seen`, if there is one by now: for what `seen` does not
  // hold, such as a new key.
  [[nodiscard]] Result<Pointer> GetNewer(const Pointer& seen) {
    return Refetch(seen.get());
  }

 private:
  Result<Pointer> Refetch(const T* stale) {
    std::unique_lock fetching(fetch_mutex_, std::defer_lock);
    {
      const std::lock_guard lock(mutex_);
      if (stale == nullptr && document_ != nullptr && !fetching.try_lock()) {
        return document_;
      }
    }
    if (!fetching.owns_lock()) fetching.lock();
    {
      // Meanwhile another thread may have done it.
      const std::lock_guard lock(mutex_);
      const int64_t now_ms = clock_.MonotonicMs();
      const bool good = document_ != nullptr && document_.get() != stale &&
                        now_ms < fresh_until_ms_;
      if (good || (asked_ && now_ms < asked_ms_ + retry_ms_)) return Last();
      asked_ = true;
      asked_ms_ = now_ms;
    }
    auto fetched = fetch_();
    const std::lock_guard lock(mutex_);
    if (!fetched) {
      last_error_ = std::move(fetched).error();
      return Last();
    }
    document_ = std::move(fetched->document);
    fresh_until_ms_ = clock_.MonotonicMs() + fetched->fresh_for_ms;
    return document_;
  }

  Result<Pointer> Last() const {
    if (document_ != nullptr) return document_;
    return tl::unexpected<Error>(last_error_);
  }

  const Fetch fetch_;
  const Clock& clock_;
  const int64_t retry_ms_;
  std::mutex fetch_mutex_;  // Held while fetching; taken before mutex_.
  std::mutex mutex_;
  Pointer document_;
  int64_t fresh_until_ms_ = 0;
  bool asked_ = false;
  int64_t asked_ms_ = 0;
  Error last_error_{ErrorCode::kUpstreamUnreachable, {}};
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_LOGIN_CACHED_DOCUMENT_H_
