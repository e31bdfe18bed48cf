// What the browser's relay looks at itself: the daemon's greeting and the first
// byte of a request. It adds a nonce to the front and changes nothing else.
#include "agent/native_host/words.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const ByteSpan input(data, size);
  const auto nonce = agent::NonceOfGreeting(input);
  FuzzCheck(!nonce.has_value() || nonce->size() == 22);
  const auto whole = agent::WithNonce(input, nonce.value_or("n"));
  FuzzCheck(whole.has_value() == (size > 0 && data[0] == '{'));
  if (!whole.has_value()) return 0;
  const size_t added = whole->size() - size;
  FuzzCheck(added <= agent::kNonceRoom);
  FuzzCheck(Equal(ByteSpan(*whole).subspan(added + 1), input.subspan(1)));
  return 0;
}
