// The coordinator of enrollment: who may bring a new device, that its AK
// lives in the TPM of its EK, and which device that is.
//
// A token is spent when the device proves itself, not when it asks; the same
// (token, EK set, AK) may be brought again and gets the same device, so a
// lost answer costs neither token nor device.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_ENROLL_H_
#define COUNTERSIGN_ATTEST_AUTHZ_ENROLL_H_

#include "attest/authz/device_admission.h"
#include "attest/authz/enrollment_request.h"
#include "attest/authz/service.h"

namespace countersign::authz {

class Enroller {
 public:
  Enroller(const Service& service, Findings& findings)
      : service_(service), findings_(findings) {}

  // POST /v1/enrollments; `request` is hostile. In this order:
  //   the checks of ReadEnrollmentRequest
  //   kDeviceIdentityConflict  an EK of another device is named; a finding
  //   kDeviceRevoked           the chip belongs to a revoked device
  //   for an EK not yet known and not allow-listed, unless this very attempt
  //   was seen before:
  //     kEkNotTrusted          no token; or one for several devices, which
  //                            alone says nothing about this one
  //     kTokenInvalid, kTokenExpired, kTokenUsed
  // The answer wraps a secret for (EK, AK Name).
  [[nodiscard]] Result<v1::EnrollmentAnswer> Begin(
      const v1::EnrollmentRequest& request, const EkAdmission& admission);

  // POST /v1/enrollments/{id}/activation. In this order:
  //   kEnrollmentUnknown           unknown or timed out
  //   the statement and its quote (VerifyQuotedStatement, VerifyPcrs)
  //   kWrongIssuer, kWrongTenant
  //   kCredentialActivationFailed  another transcript; the HMAC under the
  //                                wrapped secret (constant time)
  //   then again identity, revocation and token, since they may have changed
  // Returns the serialised DeviceRecord.
  [[nodiscard]] Result<std::string> Activate(
      ByteSpan enrollment_id, const v1::ActivationRequest& request,
      const EkAdmission& admission);

 private:
  [[nodiscard]] Result<std::optional<DeviceRow>> Identify(
      StoreView& view, const EnrollmentKeys& keys, Bytes* holder) const;
  [[nodiscard]] Status CheckAdmission(StoreView& view,
                                      const EnrollmentRow& enrollment,
                                      const EnrollmentKeys& keys) const;
  [[nodiscard]] Status CheckSpareToken(StoreView& view,
                                       const Sha256Digest& key) const;
  [[nodiscard]] Result<v1::DeviceRecord> Admit(StoreTransaction& transaction,
                                               EnrollmentRow& enrollment,
                                               const ProvenEnrollment& proven,
                                               Bytes* holder);
  void NoteConflict(const Bytes& holder, const Error& error);

  const Service& service_;
  Findings& findings_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_ENROLL_H_
