#include "attest/base/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstdlib>

namespace countersign {

// The one-shot EVP calls fetch the algorithm each time; SHA256_* does not,
// and hashing leaves is what bounds a batch. They are deprecated as API, not
// as algorithm, and stay through OpenSSL 3.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
Sha256Digest Sha256(std::initializer_list<ByteSpan> parts) {
  SHA256_CTX context;
  SHA256_Init(&context);
  for (ByteSpan part : parts) {
    SHA256_Update(&context, part.data(), part.size());
  }
  Sha256Digest digest;
  SHA256_Final(digest.data(), &context);
  return digest;
}
#pragma GCC diagnostic pop

Sha256Digest Sha256(ByteSpan data) { return Sha256({data}); }

Sha256Digest HmacSha256(ByteSpan key, ByteSpan data) {
  Sha256Digest digest;
  unsigned int size = digest.size();
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(),
           data.size(), digest.data(), &size) == nullptr) {
    std::abort();
  }
  return digest;
}

Bytes RandomBytes(size_t size) {
  Bytes bytes(size);
  if (RAND_bytes(bytes.data(), static_cast<int>(size)) != 1) std::abort();
  return bytes;
}

}  // namespace countersign
