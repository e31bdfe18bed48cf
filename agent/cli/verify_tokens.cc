#include "agent/cli/verify_tokens.h"

#include <nlohmann/json.hpp>

#include "attest/jose/claims.h"
#include "attest/jose/es256.h"
#include "attest/jose/jws.h"

namespace countersign::agent {
namespace {

constexpr int64_t kMaxGrantLifetime = 300;
constexpr int64_t kMaxReceiptLifetime = 60;

// The claims of a token whose signature holds; what is absent or of another
// type reads as nothing.
class Claims {
 public:
  explicit Claims(const std::string& json)
      : json_(nlohmann::json::parse(json, nullptr, false)) {}

  [[nodiscard]] std::optional<std::string> Text(const char* pointer) const {
    const nlohmann::json* value = At(pointer);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return value->get<std::string>();
  }
  [[nodiscard]] std::optional<int64_t> Number(const char* pointer) const {
    const nlohmann::json* value = At(pointer);
    if (value == nullptr || !value->is_number_integer()) return std::nullopt;
    return value->get<int64_t>();
  }
  // The JSON text of an object.
  [[nodiscard]] std::string Object(const char* pointer) const {
    const nlohmann::json* value = At(pointer);
    return value != nullptr && value->is_object() ? value->dump() : "";
  }

  // kJwsClaims unless the claim at `pointer` is `expected`.
  [[nodiscard]] Status Require(const char* pointer,
                               const std::string& expected) const {
    if (Text(pointer) == expected) return {};
    return Fail(ErrorCode::kJwsClaims,
                std::string(pointer + 1) + " is not the bundle's");
  }
  [[nodiscard]] Status Require(const char* pointer, uint64_t expected) const {
    const auto number = Number(pointer);
    if (number.has_value() && *number >= 0 &&
        static_cast<uint64_t>(*number) == expected) {
      return {};
    }
    return Fail(ErrorCode::kJwsClaims,
                std::string(pointer + 1) + " is not the bundle's");
  }

 private:
  [[nodiscard]] const nlohmann::json* At(const char* pointer) const {
    const nlohmann::json::json_pointer path(pointer);
    return json_.contains(path) ? &json_.at(path) : nullptr;
  }

  nlohmann::json json_;
};

std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

// Signature, issuer, audience and lifetime, judged at the time of issue: a
// bundle is looked at long after its tokens have expired.
Result<Claims> OpenToken(const std::string& token, std::string_view typ,
                         const TrustFolder& trust,
                         const BundleFindings& findings, int64_t max_lifetime) {
  CS_ASSIGN_OR_RETURN(const jose::VerifiedJws jws,
                      jose::VerifyJws(token, typ, trust.service_keys));
  Claims claims(jws.claims_json);
  const auto checked = jose::CheckClaims(
      jws.claims_json,
      {.issuer = findings.record->issuer(),
       .audience = findings.action->leaf.request.grant_audience(),
       .now_s = claims.Number("/iat").value_or(0),
       .leeway_s = 0,
       .max_lifetime_s = max_lifetime});
  if (!checked.has_value()) return tl::unexpected(checked.error());
  return claims;
}

Status CheckGrant(const v1::EvidenceBundle& bundle, const TrustFolder& trust,
                  const BundleFindings& findings) {
  CS_ASSIGN_OR_RETURN(const Claims claims,
                      OpenToken(bundle.grant(), jose::kTypGrant, trust,
                                findings, kMaxGrantLifetime));
  const verifier::ProvenAction& action = *findings.action;
  CS_RETURN_IF_ERROR(
      claims.Require("/evidence/device_id", ToHex(findings.device->device_id)));
  CS_RETURN_IF_ERROR(
      claims.Require("/evidence/action_digest", ToHex(action.leaf.digest)));
  CS_RETURN_IF_ERROR(
      claims.Require("/evidence/session_binding_digest",
                     Hex(action.leaf.action.session_binding_digest())));
  if (findings.session.has_value()) {
    const v1::SessionBinding& binding = findings.session->binding;
    CS_RETURN_IF_ERROR(claims.Require("/cnf/jkt", binding.pop_jkt()));
    CS_RETURN_IF_ERROR(claims.Require("/sid", Hex(binding.session_id())));
  }
  if (findings.decision_entry.has_value()) {
    const LoggedEntry& logged = *findings.decision_entry;
    CS_RETURN_IF_ERROR(claims.Require("/evidence/ledger/index", logged.index));
    CS_RETURN_IF_ERROR(
        claims.Require("/evidence/ledger/origin", findings.ledger_origin));
    CS_RETURN_IF_ERROR(claims.Require("/jti", logged.entry.grant_jti()));
    CS_RETURN_IF_ERROR(claims.Require(
        "/exp", static_cast<uint64_t>(logged.entry.grant_expires_s())));
    if (!logged.entry.approval_grade().empty()) {
      CS_RETURN_IF_ERROR(
          claims.Require("/authorization_details/0/approval/reference",
                         logged.entry.approval_reference()));
    }
  }
  return {};
}

Status CheckReceipt(const v1::EvidenceBundle& bundle, const TrustFolder& trust,
                    const BundleFindings& findings) {
  CS_ASSIGN_OR_RETURN(const Claims claims,
                      OpenToken(bundle.receipt(), jose::kTypReceipt, trust,
                                findings, kMaxReceiptLifetime));
  const verifier::BatchLeaf& leaf = findings.action->leaf;
  CS_RETURN_IF_ERROR(claims.Require("/action_digest", ToHex(leaf.digest)));
  if (leaf.request.request_sha256().empty()) {
    CS_RETURN_IF_ERROR(claims.Require("/body", "unbound"));
  } else {
    CS_RETURN_IF_ERROR(
        claims.Require("/request_sha256", Hex(leaf.request.request_sha256())));
  }
  if (findings.decision_entry.has_value()) {
    const LoggedEntry& logged = *findings.decision_entry;
    CS_RETURN_IF_ERROR(claims.Require("/ledger_index", logged.index));
    CS_RETURN_IF_ERROR(claims.Require("/decision", logged.entry.decision()));
    CS_RETURN_IF_ERROR(claims.Require("/jti", logged.entry.receipt_jti()));
  }
  return {};
}

Status CheckClientAttestation(const v1::EvidenceBundle& bundle,
                              const TrustFolder& trust,
                              const BundleFindings& findings) {
  CS_ASSIGN_OR_RETURN(
      const jose::VerifiedJws jws,
      jose::VerifyJws(bundle.client_attestation(), jose::kTypClientAttestation,
                      trust.service_keys));
  const Claims claims(jws.claims_json);
  CS_RETURN_IF_ERROR(claims.Require("/iss", findings.record->issuer()));
  CS_ASSIGN_OR_RETURN(const auto key, jose::Es256PublicKey::FromJwkJson(
                                          claims.Object("/cnf/jwk")));
  if (key.thumbprint() != findings.session->binding.pop_jkt()) {
    return Fail(ErrorCode::kJwsClaims, "cnf.jwk is another session's key");
  }
  return {};
}

void Conclude(Part part, const Status& status, std::string detail,
              BundleReport& report) {
  if (status.has_value()) {
    report.Holds(part, std::move(detail));
  } else {
    report.Fails(part, status.error());
  }
}

}  // namespace

void VerifyClientAttestation(const v1::EvidenceBundle& bundle,
                             const TrustFolder& trust,
                             const BundleFindings& findings,
                             BundleReport& report) {
  if (bundle.client_attestation().empty()) return;
  if (!findings.session.has_value()) {
    return report.NotJudged(Part::kClientAttestation,
                            "it rests on the session");
  }
  Conclude(Part::kClientAttestation,
           CheckClientAttestation(bundle, trust, findings), "", report);
}

void VerifyGrant(const v1::EvidenceBundle& bundle, const TrustFolder& trust,
                 const BundleFindings& findings, BundleReport& report) {
  if (bundle.grant().empty()) return;
  if (!findings.action.has_value()) {
    return report.NotJudged(Part::kGrant, "it rests on the action");
  }
  Conclude(Part::kGrant, CheckGrant(bundle, trust, findings),
           "for " + findings.action->leaf.request.grant_audience(), report);
}

void VerifyReceipt(const v1::EvidenceBundle& bundle, const TrustFolder& trust,
                   const BundleFindings& findings, BundleReport& report) {
  if (bundle.receipt().empty()) return;
  if (!findings.action.has_value()) {
    return report.NotJudged(Part::kReceipt, "it rests on the action");
  }
  Conclude(Part::kReceipt, CheckReceipt(bundle, trust, findings), "", report);
}

}  // namespace countersign::agent
