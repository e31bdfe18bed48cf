// TPMS_ATTEST: what is accepted ends where it ends, no byte sooner or later.
#include "attest/tpm/attest.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const ByteSpan bytes(data, size);
  const auto attest = tpm::ParseAttest(bytes);
  if (!attest) return 0;
  FuzzCheck((attest->quote() != nullptr) != (attest->certify() != nullptr));
  FuzzCheck(!tpm::ParseAttest(bytes.first(size - 1)));
  Bytes longer = ToBytes(bytes);
  longer.push_back(0);
  FuzzCheck(!tpm::ParseAttest(longer));
  return 0;
}
