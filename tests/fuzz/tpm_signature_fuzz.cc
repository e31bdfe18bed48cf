// TPMT_SIGNATURE: nothing made without the key verifies.
#include "attest/tpm/signature.h"
#include "tests/fakes/tpm_bytes.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  static const auto* ecc =
      new fakes::SoftKey(fakes::NewAk(tpm::KeyType::kEccP256));
  static const auto* rsa =
      new fakes::SoftKey(fakes::NewAk(tpm::KeyType::kRsa2048));
  const ByteSpan bytes(data, size);
  for (const fakes::SoftKey* key : {ecc, rsa}) {
    const Status status =
        tpm::VerifySignature(key->area, AsBytes("message"), bytes);
    FuzzCheck(!status && status.error().code == ErrorCode::kBadSignature);
  }
  return 0;
}
