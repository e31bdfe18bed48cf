// Makes the tokens that a permit yields, and the client attestation that a
// session yields. It signs what it is told: callers do so only after the
// ledger entry is durable.
//
// All are compact JWS with ES256 under the service's key. Thread-safe.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_GRANT_ISSUER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_GRANT_ISSUER_H_

#include <string>

#include "attest/base/bytes.h"
#include "attest/jose/es256.h"
#include "attest/jose/jws.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

inline constexpr int64_t kReceiptTtlS = 60;

// What tokens say of the session they are for.
struct TokenSession {
  std::string subject;
  std::string client_id;  // Also `act.sub`: the workload's SPIFFE ID or,
                          // without one, a URN of the device.
  std::string jkt;
  std::string session_id;  // Hex, as are the digests.
  std::string device_id;
  std::string binding_digest;
};
// `subject` is the session's (SubjectOf).
[[nodiscard]] TokenSession TokenSessionOf(const v1::SessionBinding& binding,
                                          const Sha256Digest& binding_digest,
                                          std::string subject);

// One permitted action.
struct TokenAction {
  const v1::ActionRequest& request;
  Sha256Digest digest{};  // Statement digest of the Action.
  uint64_t ledger_index = 0;
  int64_t issued_s = 0;
  const v1::Approval* approval = nullptr;  // That the permit rests on, if any.
};

// RFC 9396 authorization_details of a permitted action, as the grant has them.
[[nodiscard]] std::string AuthorizationDetails(const TokenAction& action);

// A grant's place in the status lists: each holds this many.
inline constexpr uint64_t kStatusListSize = 65'536;

class GrantIssuer {
 public:
  GrantIssuer(const jose::Es256Key& key, std::string issuer,
              std::string ledger_origin)
      : key_(key),
        issuer_(std::move(issuer)),
        ledger_origin_(std::move(ledger_origin)) {}

  // RFC 9068 access token for request.grant_audience, sender-constrained by
  // DPoP (RFC 9449), with RFC 9396 authorization_details and its place in a
  // status list. The same arguments give the same claims.
  [[nodiscard]] Result<std::string> Grant(const TokenSession& session,
                                          const TokenAction& action,
                                          std::string_view jti,
                                          int64_t expires_s) const;

  // For a relying party that sees a request and no OAuth flow; accepted once.
  // htm is left out for actions that are not "http:METHOD".
  [[nodiscard]] Result<std::string> Receipt(const TokenAction& action,
                                            std::string_view jti) const;

  // draft-ietf-oauth-attestation-based-client-auth. `expires_s` is the
  // session's.
  [[nodiscard]] Result<std::string> ClientAttestation(
      const TokenSession& session, const jose::Es256PublicKey& session_key,
      int64_t issued_s, int64_t expires_s) const;

  // Any other token of the service's, for instance a status list.
  [[nodiscard]] Result<std::string> Sign(std::string_view typ,
                                         std::string_view claims_json) const {
    return jose::SignJws(key_, typ, claims_json);
  }
  // Whose signatures on these tokens hold now.
  [[nodiscard]] jose::KeySet keys() const;

 private:
  const jose::Es256Key& key_;
  const std::string issuer_;
  const std::string ledger_origin_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_GRANT_ISSUER_H_
