// Epoch nonces (RFC 9334 §10.3): how fresh a batch is, without a row for each.
//
// A nonce is time ‖ tag: 8 bytes of milliseconds, big-endian, and the first
// 24 of HMAC-SHA256(key, device_id ‖ time). Whoever has not asked cannot know
// one, and each is good for one device; what replays inside an epoch is
// stopped by sequence numbers and leaf uniqueness. All processes over one
// database share the key. Event tokens (authz/events.h) are the same under a
// key of their own.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_EPOCH_H_
#define COUNTERSIGN_ATTEST_AUTHZ_EPOCH_H_

#include "attest/base/secret.h"

namespace countersign::authz {

class EpochNonces {
 public:
  // `key` is 32 random bytes.
  EpochNonces(Secret key, int64_t ttl_s)
      : key_(std::move(key)), ttl_s_(ttl_s) {}

  [[nodiscard]] Bytes Mint(ByteSpan device_id, int64_t now_ms) const;

  //   kNonceUnknown  not one of ours for this device
  //   kEpochExpired  older than the lifetime, or from after `now_ms` (the
  //                  service's clock went back)
  [[nodiscard]] Status Check(ByteSpan device_id, ByteSpan nonce,
                             int64_t now_ms) const;

  [[nodiscard]] uint32_t ttl_s() const { return static_cast<uint32_t>(ttl_s_); }

 private:
  Secret key_;
  int64_t ttl_s_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_EPOCH_H_
