#include "attest/authz/enrollment_request.h"

#include <set>

#include "attest/authz/tokens.h"
#include "attest/base/text.h"
#include "attest/verifier/ak_verifier.h"

namespace countersign::authz {
namespace {

constexpr int kMaxEks = 4;
constexpr size_t kRequestNonceSize = 16;
constexpr size_t kMaxHostText = 256;

Status CheckShape(const v1::EnrollmentRequest& request) {
  if (request.eks_size() < 1 || request.eks_size() > kMaxEks) {
    return Fail(ErrorCode::kBadRequest, "eks: 1 to 4 are needed");
  }
  if (request.certified_ek() >= static_cast<uint32_t>(request.eks_size())) {
    return Fail(ErrorCode::kBadRequest, "certified_ek names none of eks");
  }
  if (request.request_nonce().size() != kRequestNonceSize) {
    return Fail(ErrorCode::kBadRequest, "request_nonce is not 16 bytes");
  }
  if (request.token().size() > kMaxTokenText) {
    return Fail(ErrorCode::kBadRequest, "token is too long");
  }
  for (const v1::EkMaterial& ek : request.eks()) {
    if (ek.certificates_size() > static_cast<int>(verifier::kMaxCertificates)) {
      return Fail(ErrorCode::kTooLarge, "more than 8 certificates");
    }
  }
  const v1::HostFacts& host = request.host();
  for (const std::string* text :
       {&host.os_name(), &host.os_version(), &host.hostname(),
        &host.agent_version(), &host.tpm_manufacturer(),
        &host.tpm_firmware()}) {
    if (text->empty()) continue;
    CS_RETURN_IF_ERROR(CheckText(*text, kMaxHostText, "host"));
  }
  return {};
}

}  // namespace

std::vector<Bytes> EnrollmentKeys::other_names() const {
  std::vector<Bytes> names;
  for (size_t i = 0; i < eks.size(); ++i) {
    if (i != certified_ek) names.push_back(eks[i].name());
  }
  return names;
}

Result<EnrollmentKeys> ReadEnrollmentRequest(
    const v1::EnrollmentRequest& request, const EkAdmission& admission,
    int64_t now_ms) {
  CS_RETURN_IF_ERROR(CheckShape(request));
  std::vector<tpm::PublicArea> eks;
  std::set<Bytes> names;
  for (const v1::EkMaterial& material : request.eks()) {
    CS_ASSIGN_OR_RETURN(
        auto ek, tpm::PublicArea::Parse(AsBytes(material.public_area())));
    CS_RETURN_IF_ERROR(verifier::CheckEk(ek));
    if (!names.insert(ek.name()).second) {
      return Fail(ErrorCode::kBadRequest, "eks holds one EK twice");
    }
    eks.push_back(std::move(ek));
  }
  CS_ASSIGN_OR_RETURN(auto ak,
                      tpm::PublicArea::Parse(AsBytes(request.ak_public())));
  CS_RETURN_IF_ERROR(verifier::CheckAk(ak));
  const size_t certified = request.certified_ek();
  CS_ASSIGN_OR_RETURN(Bytes signer,
                      verifier::ExpectedQualifiedSigner(eks[certified], ak));
  std::vector<Bytes> chain;
  for (const std::string& certificate :
       request.eks(static_cast<int>(certified)).certificates()) {
    chain.push_back(ToBytes(AsBytes(certificate)));
  }
  CS_ASSIGN_OR_RETURN(EkJudgement judgement,
                      admission.Judge(eks[certified], chain, now_ms));
  return EnrollmentKeys{.eks = std::move(eks),
                        .certified_ek = certified,
                        .ak = std::move(ak),
                        .qualified_signer = std::move(signer),
                        .judgement = std::move(judgement)};
}

}  // namespace countersign::authz
