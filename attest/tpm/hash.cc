#include "attest/tpm/hash.h"

#include <openssl/hmac.h>

#include <cstdlib>

#include "attest/base/openssl_ptr.h"
#include "attest/tpm/constants.h"

namespace countersign::tpm {

const EVP_MD* HashFor(uint16_t algorithm) {
  switch (algorithm) {
    case kAlgSha256:
      return EVP_sha256();
    case kAlgSha384:
      return EVP_sha384();
    default:
      return nullptr;
  }
}

size_t HashSize(uint16_t algorithm) {
  const EVP_MD* md = HashFor(algorithm);
  return md == nullptr ? 0 : static_cast<size_t>(EVP_MD_get_size(md));
}

// Hashing fails only when memory is gone; nothing sensible can follow.
Bytes Hash(uint16_t algorithm, std::initializer_list<ByteSpan> parts) {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  Bytes digest(HashSize(algorithm));
  bool ok = context != nullptr &&
            EVP_DigestInit_ex(context.get(), HashFor(algorithm), nullptr) == 1;
  for (ByteSpan part : parts) {
    ok = ok && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
  }
  if (!ok || EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) != 1) {
    std::abort();
  }
  return digest;
}

Bytes Hmac(uint16_t algorithm, ByteSpan key, ByteSpan data) {
  Bytes mac(HashSize(algorithm));
  if (HMAC(HashFor(algorithm), key.data(), static_cast<int>(key.size()),
           data.data(), data.size(), mac.data(), nullptr) == nullptr) {
    std::abort();
  }
  return mac;
}

}  // namespace countersign::tpm
