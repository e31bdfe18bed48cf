// Public keys of another issuer, an identity provider, as its JWK Set names
// them: any kid, several kinds of key. Ours are in jwk_set.h.
//
// A key is good for one algorithm: the one that it names, or the one that its
// kind is used with here. So a token can never have a key used in another way
// than its owner meant (RFC 8725 §3.1, §3.2).
#ifndef COUNTERSIGN_ATTEST_JOSE_FOREIGN_KEYS_H_
#define COUNTERSIGN_ATTEST_JOSE_FOREIGN_KEYS_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/openssl_ptr.h"

namespace countersign::jose {

enum class ForeignAlgorithm : uint8_t { kRs256, kPs256, kEs256, kEdDsa };
[[nodiscard]] std::string_view Name(ForeignAlgorithm algorithm);
// Nothing for all others: "none" and the HMACs above all.
[[nodiscard]] std::optional<ForeignAlgorithm> ForeignAlgorithmFrom(
    std::string_view name);

class ForeignKey {
 public:
  // One JWK, hostile.
  //   kJwsMalformed  members missing or not strict base64url; a private key
  //   kJwsAlgorithm  a kind of key, a use or an alg that is none of ours
  //   kWeakKey       RSA below 2048 bits or an exponent that is even or below
  //                  3; over 8192 bits; a point not on its curve
  [[nodiscard]] static Result<ForeignKey> FromJwkJson(std::string_view json);

  [[nodiscard]] const std::string& kid() const { return kid_; }
  // An RSA key that names no alg is good for RS256 and PS256.
  [[nodiscard]] bool IsFor(ForeignAlgorithm algorithm) const;
  [[nodiscard]] bool SharesAlgorithmWith(const ForeignKey& other) const;
  // kJwsAlgorithm unless IsFor; kBadSignature.
  [[nodiscard]] Status Verify(ForeignAlgorithm algorithm, ByteSpan message,
                              ByteSpan signature) const;

 private:
  std::string kid_;
  std::vector<ForeignAlgorithm> algorithms_;
  std::shared_ptr<EVP_PKEY> key_;
};

class ForeignKeySet {
 public:
  static constexpr size_t kMaxKeys = 64;
  static constexpr size_t kMaxJsonSize = 256 * 1024;

  // A JWK Set (RFC 7517 §5). A key that ForeignKey refuses is left out: one
  // bad key must not take the others with it.
  //   kTooLarge      more than kMaxJsonSize bytes or kMaxKeys keys
  //   kJwsMalformed  not a JWK Set; a secret among its keys; one kid twice
  //                  for the same algorithm
  [[nodiscard]] static Result<ForeignKeySet> FromJson(std::string_view json);

  // The key that a token names. Without a kid, the only one for that
  // algorithm (OpenID Connect Core §10.1). Null: none.
  [[nodiscard]] const ForeignKey* Find(const std::optional<std::string>& kid,
                                       ForeignAlgorithm algorithm) const;
  [[nodiscard]] size_t size() const { return keys_.size(); }

 private:
  std::vector<ForeignKey> keys_;
};

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_FOREIGN_KEYS_H_
