// DPoP proofs, and the URIs that they are compared by.
#include <string>

#include "attest/base/uri.h"
#include "attest/jose/dpop.h"
#include "attest/jose/jws.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  static const auto key = jose::Es256Key::Generate().value();
  const std::string_view text = FuzzText(data, size);

  jose::ExpectedDpop expected;
  expected.method = "GET";
  expected.uri = "https://a.example/x";
  expected.access_token = "token";
  expected.jkt = key.kid();
  expected.now_s = 1'900'000'000;
  FuzzCheck(!jose::VerifyDpopProof(text, expected));

  // The input as the claims of a proof that is properly signed.
  const auto proof =
      jose::SignJws(key, jose::kTypDpop, text, jose::KeyHeader::kJwk);
  if (const auto verified = jose::VerifyDpopProof(proof.value(), expected)) {
    FuzzCheck(!verified->jti.empty() && verified->jkt == key.kid());
  }

  // The input as a URI: normalising is stable, and both sides agree on it.
  const auto uri = ParseUri(text);
  if (!uri) return 0;
  const std::string target = NormalizedTarget(*uri);
  const auto again = ParseUri(target);
  if (again) FuzzCheck(NormalizedTarget(*again) == target);
  const auto made = jose::CreateDpopProof(
      key, {"GET", std::string(text), "token", ""}, expected.now_s, "jti");
  if (!made) return 0;
  expected.uri = std::string(text);
  const auto verified = jose::VerifyDpopProof(*made, expected);
  FuzzCheck(verified || made->size() > jose::kMaxDpopSize);
  return 0;
}
