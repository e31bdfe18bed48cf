#include "platform/tpm.h"

#include "attest/base/big_endian.h"

namespace countersign::platform {
namespace {

constexpr uint8_t kFormat = 1;
constexpr size_t kMaxName = 66;
constexpr size_t kMaxPart = 2048;

bool IsKeyType(uint8_t value) {
  return value == static_cast<uint8_t>(tpm::KeyType::kEccP256) ||
         value == static_cast<uint8_t>(tpm::KeyType::kRsa2048);
}

}  // namespace

Bytes AkBlob::Encode() const {
  return BigEndianWriter()
      .U8(kFormat)
      .U8(static_cast<uint8_t>(type))
      .U8(static_cast<uint8_t>(parent_type))
      .Sized16(parent_name)
      .Sized16(public_area)
      .Sized16(private_area)
      .bytes();
}

Result<AkBlob> AkBlob::Decode(ByteSpan bytes) {
  BigEndianReader reader(bytes);
  const uint8_t format = reader.U8();
  const uint8_t type = reader.U8();
  const uint8_t parent_type = reader.U8();
  Bytes parent_name = ToBytes(reader.Sized16(kMaxName));
  Bytes public_area = ToBytes(reader.Sized16(kMaxPart));
  Bytes private_area = ToBytes(reader.Sized16(kMaxPart));
  if (!reader.AtEnd() || format != kFormat || !IsKeyType(type) ||
      !IsKeyType(parent_type)) {
    return Fail(ErrorCode::kStorageCorrupt, "the stored attestation key");
  }
  return AkBlob{static_cast<tpm::KeyType>(type),
                static_cast<tpm::KeyType>(parent_type), std::move(parent_name),
                std::move(public_area), std::move(private_area)};
}

const EndorsementKey& PreferredEk(std::span<const EndorsementKey> keys) {
  const auto find = [keys](tpm::KeyType type,
                           bool certified) -> const EndorsementKey* {
    for (const EndorsementKey& key : keys) {
      if (key.type == type && (!certified || !key.certificates.empty())) {
        return &key;
      }
    }
    return nullptr;
  };
  if (const auto* key = find(tpm::KeyType::kEccP256, true)) return *key;
  if (const auto* key = find(tpm::KeyType::kRsa2048, true)) return *key;
  if (const auto* key = find(tpm::KeyType::kEccP256, false)) return *key;
  return keys.front();
}

}  // namespace countersign::platform
