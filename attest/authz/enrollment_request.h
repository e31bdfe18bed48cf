// What an EnrollmentRequest says, parsed and checked as far as it can be
// without the store: keys of the right kind, an EK that policy admits.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_ENROLLMENT_REQUEST_H_
#define COUNTERSIGN_ATTEST_AUTHZ_ENROLLMENT_REQUEST_H_

#include "attest/authz/ek_admission.h"
#include "countersign/v1/service.pb.h"

namespace countersign::authz {

struct EnrollmentKeys {
  std::vector<tpm::PublicArea> eks;  // As sent.
  size_t certified_ek = 0;
  tpm::PublicArea ak;
  Bytes qualified_signer;
  EkJudgement judgement;  // Of the certified EK.

  [[nodiscard]] const tpm::PublicArea& ek() const { return eks[certified_ek]; }
  [[nodiscard]] std::vector<Bytes> other_names() const;
};

// `request` is hostile. In this order:
//   kBadRequest   no EK, more than 4, one twice; certified_ek names none;
//                 request_nonce not 16 bytes; token or host texts too long or
//                 not printable
//   kTooLarge     more than 8 certificates of an EK
//   kMalformedEvidence, kWeakKey, kEkNotTrusted   an EK
//   kMalformedEvidence, kWeakKey, kAkAttributes   the AK
//   the errors of EkAdmission::Judge
[[nodiscard]] Result<EnrollmentKeys> ReadEnrollmentRequest(
    const v1::EnrollmentRequest& request, const EkAdmission& admission,
    int64_t now_ms);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_ENROLLMENT_REQUEST_H_
