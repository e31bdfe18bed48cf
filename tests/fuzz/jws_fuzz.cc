// Tokens, key sets and claims. Nobody holds the trusted key, so nothing may
// verify.
#include <string>

#include "attest/jose/claims.h"
#include "attest/jose/jws.h"
#include "attest/jose/signed_answer.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign {
namespace {

// Made anew in each process, so that no input in the corpus is signed by it.
const jose::Es256PublicKey& TrustedKey() {
  static const jose::Es256PublicKey key =
      jose::Es256Key::Generate()->public_key();
  return key;
}

}  // namespace
}  // namespace countersign

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  static const jose::KeySet keys = [] {
    jose::KeySet set;
    set.Add(TrustedKey());
    return set;
  }();
  const std::string_view text = FuzzText(data, size);
  FuzzCheck(!jose::VerifyJws(text, jose::kTypGrant, keys));

  // Past the base64url: the input as a header, then as claims.
  const std::string header = ToBase64Url(AsBytes(text));
  const std::string rest = ".e30." + std::string(86, 'A');
  FuzzCheck(!jose::VerifyJws(header + rest, jose::kTypGrant, keys));

  jose::ExpectedClaims expected;
  expected.issuer = "i";
  expected.audience = "a";
  expected.now_s = 1'900'000'000;
  expected.max_lifetime_s = 300;
  if (const auto claims = jose::CheckClaims(text, expected)) {
    FuzzCheck(claims->expires_at_s > claims->issued_at_s);
  }
  if (const auto set = jose::KeySet::FromJson(text)) {
    FuzzCheck(jose::KeySet::FromJson(set->ToJson())->size() == set->size());
  }
  v1::ServiceSigned answer;
  answer.set_jws(std::string(text));
  FuzzCheck(!jose::VerifyAnswer(keys, {"i", "a", "k"}, std::nullopt, answer));
  return 0;
}
