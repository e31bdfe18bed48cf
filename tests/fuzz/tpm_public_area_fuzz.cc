// TPMT_PUBLIC: what is accepted holds a usable key and ends where it ends.
#include "attest/tpm/key_strength.h"
#include "attest/tpm/public_area.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const ByteSpan bytes(data, size);
  const auto area = tpm::PublicArea::Parse(bytes);
  if (!area) return 0;
  FuzzCheck(Equal(area->bytes(), bytes));
  FuzzCheck(area->key() != nullptr && area->bits() >= 256);
  FuzzCheck(
      tpm::QualifiedNameOfPrimary(tpm::kRhOwner, area->name()).has_value());
  static_cast<void>(tpm::CheckKeyStrength(area->key()));
  FuzzCheck(!tpm::PublicArea::Parse(bytes.first(size - 1)));
  Bytes longer = ToBytes(bytes);
  longer.push_back(0);
  FuzzCheck(!tpm::PublicArea::Parse(longer));
  return 0;
}
