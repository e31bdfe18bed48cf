#include "attest/tpm/kdf.h"

#include "attest/base/big_endian.h"
#include "attest/tpm/hash.h"

namespace countersign::tpm {
namespace {

constexpr std::array<uint8_t, 1> kTerminator = {0};

}  // namespace

Secret KdfA(uint16_t hash, ByteSpan key, std::string_view label,
            ByteSpan context, size_t size) {
  const auto bits = static_cast<uint32_t>(size * 8);
  Bytes result;
  for (uint32_t counter = 1; result.size() < size; ++counter) {
    const Bytes input = BigEndianWriter()
                            .U32(counter)
                            .Raw(AsBytes(label))
                            .Raw(kTerminator)
                            .Raw(context)
                            .U32(bits)
                            .bytes();
    const Secret block(Hmac(hash, key, input));
    const ByteSpan bytes = block.Expose();
    result.reserve(size + bytes.size());  // No unwiped copy is left behind.
    result.insert(result.end(), bytes.begin(), bytes.end());
  }
  result.resize(size);
  return Secret(std::move(result));
}

Secret KdfE(uint16_t hash, ByteSpan z, std::string_view label,
            ByteSpan party_u_x, ByteSpan party_v_x) {
  const Bytes counter = BigEndianWriter().U32(1).bytes();
  return Secret(Hash(
      hash, {counter, z, AsBytes(label), kTerminator, party_u_x, party_v_x}));
}

}  // namespace countersign::tpm
