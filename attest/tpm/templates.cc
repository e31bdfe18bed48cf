#include "attest/tpm/templates.h"

#include "attest/base/big_endian.h"

namespace countersign::tpm {
namespace {

constexpr Sha256Digest kEkAuthPolicy = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc,
    0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52,
    0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};
constexpr std::array<uint8_t, 32> kZeroCoordinate{};
constexpr std::array<uint8_t, 256> kZeroModulus{};

BigEndianWriter Start(KeyType type, uint32_t attributes, ByteSpan policy) {
  BigEndianWriter writer;
  writer.U16(type == KeyType::kRsa2048 ? kAlgRsa : kAlgEcc)
      .U16(kAlgSha256)
      .U32(attributes)
      .Sized16(policy);
  return writer;
}

// A signing key: no symmetric algorithm, a fixed scheme.
BigEndianWriter StartSigning(KeyType type, uint32_t attributes) {
  BigEndianWriter writer = Start(type, attributes, {});
  writer.U16(kAlgNull)
      .U16(type == KeyType::kRsa2048 ? kAlgRsassa : kAlgEcdsa)
      .U16(kAlgSha256);
  return writer;
}

void FinishRsa(BigEndianWriter& writer, ByteSpan unique) {
  writer.U16(2048).U32(0).Sized16(unique);  // Exponent 0 is 65537.
}

void FinishEcc(BigEndianWriter& writer, ByteSpan x, ByteSpan y) {
  writer.U16(kCurveP256).U16(kAlgNull).Sized16(x).Sized16(y);
}

}  // namespace

const Sha256Digest& EkAuthPolicy() { return kEkAuthPolicy; }

Bytes EkTemplate(KeyType type) {
  BigEndianWriter writer = Start(type, kEkAttributes, kEkAuthPolicy);
  writer.U16(kAlgAes).U16(128).U16(kAlgCfb).U16(kAlgNull);
  if (type == KeyType::kRsa2048) {
    FinishRsa(writer, kZeroModulus);
  } else {
    FinishEcc(writer, kZeroCoordinate, kZeroCoordinate);
  }
  return std::move(writer).bytes();
}

Bytes AkTemplate(KeyType type) {
  BigEndianWriter writer = StartSigning(type, kAkAttributes);
  if (type == KeyType::kRsa2048) {
    FinishRsa(writer, {});
  } else {
    FinishEcc(writer, {}, {});
  }
  return std::move(writer).bytes();
}

Bytes SessionKeyTemplate(const Sha256Digest& unique) {
  BigEndianWriter writer =
      StartSigning(KeyType::kEccP256, kSessionKeyAttributes);
  FinishEcc(writer, unique, kZeroCoordinate);
  return std::move(writer).bytes();
}

}  // namespace countersign::tpm
