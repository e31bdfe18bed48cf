#include "attest/verifier/session_key_verifier.h"

#include "attest/jose/es256.h"
#include "attest/tpm/attest.h"
#include "attest/tpm/signature.h"
#include "attest/verifier/tpm_clock_check.h"

namespace countersign::verifier {
namespace {

constexpr uint32_t kRequired = tpm::kFixedTpm | tpm::kFixedParent |
                               tpm::kSensitiveDataOrigin | tpm::kUserWithAuth |
                               tpm::kSign;
constexpr uint32_t kForbidden = tpm::kRestricted | tpm::kDecrypt;

tl::unexpected<Error> Mismatch(std::string detail) {
  return Fail(ErrorCode::kSessionKeyMismatch, std::move(detail));
}
tl::unexpected<Error> NotCertified(std::string detail) {
  return Fail(ErrorCode::kSessionKeyNotCertified, std::move(detail));
}

Status CheckThumbprint(const v1::SessionEvidence& evidence,
                       const v1::SessionBinding& binding) {
  const auto key = jose::Es256PublicKey::FromCoordinates(
      AsBytes(evidence.pop_x()), AsBytes(evidence.pop_y()));
  if (!key) return Mismatch("not a point on P-256");
  if (key->thumbprint() != binding.pop_jkt()) {
    return Mismatch("the thumbprint is not the quoted one");
  }
  return {};
}

Status CheckMemoryKey(const v1::SessionEvidence& evidence,
                      const v1::SessionBinding& binding) {
  if (!evidence.session_key_public().empty() ||
      !evidence.certify_attest().empty() ||
      !evidence.certify_signature().empty() ||
      !binding.pop_key_name().empty()) {
    return Mismatch("a key in memory has no TPM parts");
  }
  return {};
}

Status CheckArea(const tpm::PublicArea& area,
                 const v1::SessionEvidence& evidence,
                 const v1::SessionBinding& binding) {
  if (area.curve() != tpm::kCurveP256 ||
      !Equal(area.x(), AsBytes(evidence.pop_x())) ||
      !Equal(area.y(), AsBytes(evidence.pop_y()))) {
    return Mismatch("the public area holds another key");
  }
  if (!Equal(area.name(), AsBytes(binding.pop_key_name()))) {
    return Mismatch("the Name is not the quoted one");
  }
  if (!area.HasAll(kRequired) || area.HasAny(kForbidden) ||
      area.scheme().algorithm != tpm::kAlgEcdsa ||
      area.scheme().hash != tpm::kAlgSha256) {
    return Fail(ErrorCode::kSessionKeyAttributes);
  }
  return {};
}

Status CheckCertification(const v1::SessionEvidence& evidence,
                          const tpm::PublicArea& area,
                          const SessionKeyContext& context) {
  const ByteSpan bytes = AsBytes(evidence.certify_attest());
  CS_ASSIGN_OR_RETURN(const tpm::Attest attest, tpm::ParseAttest(bytes));
  const tpm::CertifyInfo* certified = attest.certify();
  if (certified == nullptr) return NotCertified("a quote, no certification");
  if (!ConstantTimeEqual(attest.extra_data, context.digest)) {
    return NotCertified("certified for another session");
  }
  if (!Equal(certified->name, area.name())) {
    return NotCertified("another key was certified");
  }
  CS_ASSIGN_OR_RETURN(const Bytes qualified_name,
                      tpm::QualifiedNameOfPrimary(tpm::kRhNull, area.name()));
  if (!Equal(certified->qualified_name, qualified_name)) {
    return NotCertified("not a primary of the NULL hierarchy");
  }
  if (!Equal(attest.qualified_signer, context.device.qualified_signer)) {
    return Fail(ErrorCode::kAkNotBound, "certified by another key");
  }
  CS_RETURN_IF_ERROR(tpm::VerifySignature(
      context.device.ak, bytes, AsBytes(evidence.certify_signature())));
  return CheckSameBoot(context.quote_clock, attest.clock);
}

}  // namespace

Status VerifySessionKey(const v1::SessionEvidence& evidence,
                        const SessionKeyContext& context) {
  CS_RETURN_IF_ERROR(CheckThumbprint(evidence, context.binding));
  if (context.binding.key_kind() == "memory") {
    return CheckMemoryKey(evidence, context.binding);
  }
  if (context.binding.key_kind() != "tpm") return Mismatch("unknown key_kind");
  CS_ASSIGN_OR_RETURN(
      const tpm::PublicArea area,
      tpm::PublicArea::Parse(AsBytes(evidence.session_key_public())));
  CS_RETURN_IF_ERROR(CheckArea(area, evidence, context.binding));
  return CheckCertification(evidence, area, context);
}

}  // namespace countersign::verifier
