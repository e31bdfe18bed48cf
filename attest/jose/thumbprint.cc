#include "attest/jose/thumbprint.h"

#include "attest/base/digest.h"

namespace countersign::jose {

std::string EcJwkJson(const Coordinate& x, const Coordinate& y) {
  return R"({"crv":"P-256","kty":"EC","x":")" + ToBase64Url(x) + R"(","y":")" +
         ToBase64Url(y) + R"("})";
}

std::string EcThumbprint(const Coordinate& x, const Coordinate& y) {
  return ToBase64Url(Sha256(AsBytes(EcJwkJson(x, y))));
}

}  // namespace countersign::jose
