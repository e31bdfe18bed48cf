#include "attest/authz/epoch.h"

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

constexpr size_t kNonceSize = 32;
// Between the clocks of two service processes.
constexpr int64_t kSkewMs = 5'000;

Bytes NonceAt(const Secret& key, ByteSpan device_id, uint64_t time_ms) {
  const Bytes message =
      BigEndianWriter().Sized16(device_id).U64(time_ms).bytes();
  const Sha256Digest tag = HmacSha256(key.Expose(), message);
  return BigEndianWriter()
      .U64(time_ms)
      .Raw(ByteSpan(tag).first(kNonceSize - sizeof(uint64_t)))
      .bytes();
}

}  // namespace

Bytes EpochNonces::Mint(ByteSpan device_id, int64_t now_ms) const {
  return NonceAt(key_, device_id, static_cast<uint64_t>(now_ms));
}

Status EpochNonces::Check(ByteSpan device_id, ByteSpan nonce,
                          int64_t now_ms) const {
  const uint64_t time_ms = BigEndianReader(nonce).U64();
  if (nonce.size() != kNonceSize ||
      !ConstantTimeEqual(nonce, NonceAt(key_, device_id, time_ms))) {
    return Fail(ErrorCode::kNonceUnknown, "epoch nonce");
  }
  const int64_t age_ms = now_ms - static_cast<int64_t>(time_ms);
  if (age_ms > ttl_s_ * 1000 || age_ms < -kSkewMs) {
    return Fail(ErrorCode::kEpochExpired,
                std::to_string(age_ms / 1000) + " s old");
  }
  return {};
}

}  // namespace countersign::authz
