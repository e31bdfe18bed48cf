// The JSON guard, and strict decoders of text beside it: what one accepts has
// one meaning.
#include <nlohmann/json.hpp>
#include <string>

#include "attest/base/bytes.h"
#include "attest/base/json_guard.h"
#include "attest/base/text.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const std::string_view text = FuzzText(data, size);
  if (CheckJson(text, 1 << 16)) {
    FuzzCheck(IsUtf8(text));
    const auto json = nlohmann::json::parse(text, nullptr, false);
    FuzzCheck(!json.is_discarded());
    FuzzCheck(CheckJson(json.dump(), 1 << 20).has_value());
  }
  if (const auto bytes = FromBase64Url(text)) {
    FuzzCheck(ToBase64Url(*bytes) == text);
  }
  if (const auto bytes = FromBase64(text)) {
    FuzzCheck(ToBase64(*bytes) == text);
  }
  FuzzCheck(IsUtf8(Printable(text)));
  return 0;
}
