// Tokens, key sets, metadata and claims of an identity provider, and forms.
// Nobody holds the provider's key, so nothing may verify.
#include <array>
#include <string>

#include "attest/authz/login/id_token.h"
#include "attest/authz/login/provider_metadata.h"
#include "attest/base/form.h"
#include "attest/jose/es256.h"
#include "attest/jose/foreign_jws.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  using jose::ForeignAlgorithm;
  static const jose::ForeignKeySet keys = [] {
    std::string jwk = jose::Es256Key::Generate()->public_key().ToJwkJson();
    return *jose::ForeignKeySet::FromJson("{\"keys\":[" + jwk + "]}");
  }();
  static constexpr std::array kAll{
      ForeignAlgorithm::kRs256, ForeignAlgorithm::kPs256,
      ForeignAlgorithm::kEs256, ForeignAlgorithm::kEdDsa};
  static constexpr std::array<std::string_view, 1> kTypes{"JWT"};
  const std::string_view text = FuzzText(data, size);
  FuzzCheck(!jose::VerifyForeignJws(text, kTypes, kAll, keys));
  // Past the base64url: the input as a header.
  const std::string whole =
      ToBase64Url(AsBytes(text)) + ".e30." + std::string(86, 'A');
  FuzzCheck(!jose::VerifyForeignJws(whole, kTypes, kAll, keys));

  // Whatever keys the input holds, they sign nothing of ours.
  if (const auto set = jose::ForeignKeySet::FromJson(text)) {
    FuzzCheck(set->size() <= jose::ForeignKeySet::kMaxKeys);
    FuzzCheck(!jose::VerifyForeignJws(
        "eyJhbGciOiJFUzI1NiJ9.e30." + std::string(86, 'A'), kTypes, kAll,
        *set));
  }
  authz::OidcConfig config;
  config.issuer = "https://i";
  config.client_id = "c";
  if (const auto claims = authz::CheckIdToken(
          text, {.config = config, .now_s = 1'900'000'000, .nonce = "n"})) {
    FuzzCheck(claims->subject.starts_with("idp:"));
  }
  if (const auto logout =
          authz::CheckLogoutToken(text, config, 1'900'000'000)) {
    FuzzCheck(!logout->subject.empty() || !logout->provider_session.empty());
  }
  if (const auto metadata = authz::ParseProviderMetadata(text, config.issuer)) {
    FuzzCheck(metadata->token_endpoint.starts_with("http"));
  }
  if (const auto form = ParseForm(text)) {
    std::vector<std::pair<std::string_view, std::string_view>> fields;
    for (const auto& field : *form)
      fields.emplace_back(field.first, field.second);
    FuzzCheck(*ParseForm(FormBody(fields)) == *form);
  }
  return 0;
}
