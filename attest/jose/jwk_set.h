// The public keys that a verifier trusts, found by `kid`.
#ifndef COUNTERSIGN_ATTEST_JOSE_JWK_SET_H_
#define COUNTERSIGN_ATTEST_JOSE_JWK_SET_H_

#include <map>
#include <string>
#include <string_view>

#include "attest/jose/es256.h"

namespace countersign::jose {

// A kid is always the key's own RFC 7638 thumbprint, so a name can never lead
// to another key, and never to a path or URL.
class KeySet {
 public:
  static constexpr size_t kMaxKeys = 32;
  static constexpr size_t kMaxJsonSize = 64 * 1024;

  // A JWK Set (RFC 7517 §5). Keys of another kind are skipped, as §5 asks.
  //   kTooLarge      more than kMaxJsonSize bytes or kMaxKeys keys
  //   kJwsMalformed  not a JWK Set; a private key; a kid that is not the
  //                  thumbprint
  //   kWeakKey       a P-256 key that is not on the curve
  [[nodiscard]] static Result<KeySet> FromJson(std::string_view json);
  // {"keys":[…]}, each with kid, alg and use, ordered by kid.
  [[nodiscard]] std::string ToJson() const;

  void Add(Es256PublicKey key);
  // Null if there is no such key. Valid until the set changes.
  [[nodiscard]] const Es256PublicKey* Find(std::string_view kid) const;
  // The only key; null if there are none or several.
  [[nodiscard]] const Es256PublicKey* Only() const {
    return keys_.size() == 1 ? &keys_.begin()->second : nullptr;
  }
  [[nodiscard]] size_t size() const { return keys_.size(); }
  [[nodiscard]] bool empty() const { return keys_.empty(); }

 private:
  std::map<std::string, Es256PublicKey, std::less<>> keys_;
};

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_JWK_SET_H_
