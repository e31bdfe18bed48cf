// Whom a statement was made for and by: the first thing that is judged of what
// it says. Used inside this folder.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_ADDRESSEE_H_
#define COUNTERSIGN_ATTEST_VERIFIER_ADDRESSEE_H_

#include "attest/base/text.h"
#include "attest/verifier/known_device.h"

namespace countersign::verifier {

// In this order: kWrongIssuer, kWrongTenant, kSessionOfOtherDevice,
// kAkNotBound, device.out_of_service.
template <typename StatementMessage>
[[nodiscard]] Status CheckAddressee(const StatementMessage& statement,
                                    const KnownDevice& device) {
  if (statement.issuer() != device.issuer) {
    return Fail(ErrorCode::kWrongIssuer, Printable(statement.issuer()));
  }
  if (statement.tenant() != device.tenant) {
    return Fail(ErrorCode::kWrongTenant, Printable(statement.tenant()));
  }
  if (!Equal(AsBytes(statement.device_id()), device.device_id)) {
    return Fail(ErrorCode::kSessionOfOtherDevice);
  }
  if (!Equal(AsBytes(statement.ak_name()), device.ak.name())) {
    return Fail(ErrorCode::kAkNotBound, "session of another AK");
  }
  if (device.out_of_service) return Fail(*device.out_of_service);
  return {};
}

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_ADDRESSEE_H_
