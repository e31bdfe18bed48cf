// The stored attestation key, from a state directory that may be anyone's:
// what decodes has one encoding.

#include <cstdlib>

#include "platform/tpm.h"

using namespace countersign;  // NOLINT

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteSpan bytes(data, size);
  const auto blob = platform::AkBlob::Decode(bytes);
  if (blob.has_value() && !Equal(blob->Encode(), bytes)) std::abort();
  return 0;
}
