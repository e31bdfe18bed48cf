#include "attest/jose/foreign_keys.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <utility>

#include "attest/jose/es256.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jwk_members.h"

namespace countersign::jose {
namespace {

constexpr size_t kMaxJwkSize = 64 * 1024;  // Some carry x5c chains.
constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;
constexpr std::array<std::string_view, 4> kNames{"RS256", "PS256", "ES256",
                                                 "EdDSA"};

using ParamBuilderPtr =
    std::unique_ptr<OSSL_PARAM_BLD, OpensslDeleter<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, OpensslDeleter<OSSL_PARAM_free>>;
using EvpKey = std::shared_ptr<EVP_PKEY>;

tl::unexpected<Error> Malformed(std::string detail) {
  return Fail(ErrorCode::kJwsMalformed, std::move(detail));
}

bool HoldsSecret(const JsonObject& jwk) { return jwk.Has("d") || jwk.Has("k"); }

EvpKey Owned(EVP_PKEY* key) { return {key, EVP_PKEY_free}; }

Result<Bytes> Member(const JsonObject& jwk, std::string_view name) {
  auto bytes = FromBase64Url(jwk.Text(name).value_or(""));
  if (!bytes || bytes->empty()) {
    return Malformed("JWK's " + std::string(name) + " is not base64url");
  }
  return bytes;
}

Result<EvpKey> RsaKey(const JsonObject& jwk) {
  CS_ASSIGN_OR_RETURN(const Bytes n, Member(jwk, "n"));
  CS_ASSIGN_OR_RETURN(const Bytes e, Member(jwk, "e"));
  if (n.size() > kMaxRsaBits / 8 || e.size() > 8) {
    return Fail(ErrorCode::kWeakKey, "RSA key over 8192 bits");
  }
  const BignumPtr modulus(
      BN_bin2bn(n.data(), static_cast<int>(n.size()), nullptr));
  const BignumPtr exponent(
      BN_bin2bn(e.data(), static_cast<int>(e.size()), nullptr));
  if (BN_num_bits(modulus.get()) < kMinRsaBits ||
      BN_is_odd(modulus.get()) == 0 || BN_is_odd(exponent.get()) == 0 ||
      BN_is_one(exponent.get()) != 0) {
    return Fail(ErrorCode::kWeakKey, "RSA key");
  }
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  const ParamsPtr params(OSSL_PARAM_BLD_to_param(builder.get()));
  const EvpPkeyCtxPtr context(
      EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                        params.get()) != 1) {
    return Fail(ErrorCode::kWeakKey, "RSA key: " + OpensslError());
  }
  return Owned(key);
}

Result<EvpKey> Ed25519Key(const JsonObject& jwk) {
  CS_ASSIGN_OR_RETURN(const Bytes x, Member(jwk, "x"));
  EVP_PKEY* key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                              x.data(), x.size());
  if (key == nullptr) {
    return Fail(ErrorCode::kWeakKey, "Ed25519 key: " + OpensslError());
  }
  return Owned(key);
}

Result<EvpKey> P256Key(const JsonObject& jwk) {
  CS_ASSIGN_OR_RETURN(const Bytes x, Member(jwk, "x"));
  CS_ASSIGN_OR_RETURN(const Bytes y, Member(jwk, "y"));
  if (x.size() != sizeof(Coordinate) || y.size() != sizeof(Coordinate)) {
    return Malformed("JWK's coordinates are not 32 bytes each");
  }
  CS_ASSIGN_OR_RETURN(const auto key, Es256PublicKey::FromCoordinates(x, y));
  return key.evp_key();
}

bool VerifyWith(EVP_PKEY* key, ForeignAlgorithm algorithm, ByteSpan message,
                ByteSpan signature) {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;
  const EVP_MD* hash =
      algorithm == ForeignAlgorithm::kEdDsa ? nullptr : EVP_sha256();
  if (EVP_DigestVerifyInit(context.get(), &options, hash, nullptr, key) != 1) {
    return false;
  }
  if (algorithm == ForeignAlgorithm::kPs256 &&
      (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) !=
           1)) {
    return false;
  }
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                          message.data(), message.size()) == 1;
}

}  // namespace

std::string_view Name(ForeignAlgorithm algorithm) {
  return kNames[static_cast<size_t>(algorithm)];
}

std::optional<ForeignAlgorithm> ForeignAlgorithmFrom(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<ForeignAlgorithm>(found - kNames.begin());
}

Result<ForeignKey> ForeignKey::FromJwkJson(std::string_view json) {
  CS_ASSIGN_OR_RETURN(const JsonObject jwk,
                      JsonObject::Parse(json, kMaxJwkSize));
  if (HoldsSecret(jwk)) return Malformed("JWK holds a secret");
  const auto kty = jwk.Text("kty");
  const auto crv = jwk.Text("crv");
  ForeignKey key;
  if (kty == "RSA") {
    key.algorithms_ = {ForeignAlgorithm::kRs256, ForeignAlgorithm::kPs256};
    CS_ASSIGN_OR_RETURN(key.key_, RsaKey(jwk));
  } else if (kty == "EC" && crv == "P-256") {
    key.algorithms_ = {ForeignAlgorithm::kEs256};
    CS_ASSIGN_OR_RETURN(key.key_, P256Key(jwk));
  } else if (kty == "OKP" && crv == "Ed25519") {
    key.algorithms_ = {ForeignAlgorithm::kEdDsa};
    CS_ASSIGN_OR_RETURN(key.key_, Ed25519Key(jwk));
  } else {
    return Fail(ErrorCode::kJwsAlgorithm, "a kind of key that is not used");
  }
  if (jwk.Has("use") && jwk.Text("use") != "sig") {
    return Fail(ErrorCode::kJwsAlgorithm, "not a key for signatures");
  }
  if (jwk.Has("alg")) {
    const auto alg = ForeignAlgorithmFrom(jwk.Text("alg").value_or(""));
    if (!alg || !key.IsFor(*alg)) {
      return Fail(ErrorCode::kJwsAlgorithm, "a key for another algorithm");
    }
    key.algorithms_ = {*alg};
  }
  if (jwk.Has("kid") && !jwk.Text("kid")) return Malformed("kid is not text");
  key.kid_ = jwk.Text("kid").value_or("");
  return key;
}

bool ForeignKey::IsFor(ForeignAlgorithm algorithm) const {
  return std::ranges::find(algorithms_, algorithm) != algorithms_.end();
}

bool ForeignKey::SharesAlgorithmWith(const ForeignKey& other) const {
  return std::ranges::any_of(
      algorithms_, [&](ForeignAlgorithm alg) { return other.IsFor(alg); });
}

Status ForeignKey::Verify(ForeignAlgorithm algorithm, ByteSpan message,
                          ByteSpan signature) const {
  if (!IsFor(algorithm)) {
    return Fail(ErrorCode::kJwsAlgorithm, "the key is for another algorithm");
  }
  if (algorithm == ForeignAlgorithm::kEs256) {
    CS_ASSIGN_OR_RETURN(const auto key,
                        Es256PublicKey::FromEvpPkey(key_.get()));
    return key.Verify(message, signature);
  }
  if (!VerifyWith(key_.get(), algorithm, message, signature)) {
    (void)OpensslError();
    return Fail(ErrorCode::kBadSignature, "of the identity provider's token");
  }
  return {};
}

Result<ForeignKeySet> ForeignKeySet::FromJson(std::string_view json) {
  CS_ASSIGN_OR_RETURN(const std::vector<std::string> members,
                      JwkMembers(json, kMaxJsonSize, kMaxKeys));
  ForeignKeySet set;
  for (const std::string& member : members) {
    const auto jwk = JsonObject::Parse(member, kMaxJwkSize);
    if (jwk && HoldsSecret(*jwk)) return Malformed("JWK holds a secret");
    auto key = ForeignKey::FromJwkJson(member);
    if (!key) continue;
    for (const ForeignKey& other : set.keys_) {
      if (!key->kid().empty() && other.kid() == key->kid() &&
          other.SharesAlgorithmWith(*key)) {
        return Malformed("one kid twice");
      }
    }
    set.keys_.push_back(*std::move(key));
  }
  return set;
}

const ForeignKey* ForeignKeySet::Find(const std::optional<std::string>& kid,
                                      ForeignAlgorithm algorithm) const {
  const ForeignKey* found = nullptr;
  for (const ForeignKey& key : keys_) {
    if (!key.IsFor(algorithm) || (kid && key.kid() != *kid)) continue;
    if (found != nullptr) return nullptr;
    found = &key;
  }
  return found;
}

}  // namespace countersign::jose
