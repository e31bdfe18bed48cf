#include "attest/authz/audit/describe.h"

#include "attest/base/bytes.h"
#include "attest/base/text.h"

namespace countersign::authz {

std::string GradeText(v1::Grade grade) {
  switch (grade) {
    case v1::GRADE_KERNEL:
      return "the kernel said so";
    case v1::GRADE_OS_SERVICE:
      return "a system service said so";
    case v1::GRADE_SAME_USER_SPOOFABLE:
      return "any program of this user could have caused it";
    case v1::GRADE_VERIFIED_BY_SERVICE:
      return "checked by this service";
    default:
      return "only claimed";
  }
}

std::string UserText(const v1::User& user) {
  const std::string uid = "uid " + Printable(user.os_id());
  return user.os_name().empty() ? uid
                                : Printable(user.os_name()) + " (" + uid + ")";
}

std::string VerificationText(const v1::User& user) {
  if (user.verification() == "os-login") {
    return "logged in to the operating system, session " +
           Printable(user.os_session_id());
  }
  if (user.verification() == "os-uid-only") {
    return "known by the account's uid alone: the machine has no login service";
  }
  return Printable(user.verification());
}

std::string WorkloadText(const v1::Workload& workload) {
  std::string text = Printable(workload.executable_path());
  if (text.empty()) text = Printable(workload.kind());
  if (!workload.executable_sha256().empty()) {
    text += ", SHA-256 " + ToHex(AsBytes(workload.executable_sha256()));
  }
  if (!workload.package().empty()) {
    text += ", of the package " + Printable(workload.package());
  }
  if (!workload.origin().empty())
    text += ", for " + Printable(workload.origin());
  if (workload.pid() != 0)
    text += ", process " + std::to_string(workload.pid());
  if (!workload.unit().empty()) text += ", in " + Printable(workload.unit());
  return text;
}

std::string DeviceText(const v1::DeviceRecord& record) {
  return "device " + ToHex(AsBytes(record.device_id())) + ", TPM of class " +
         record.ek_class() +
         (record.tpm_manufacturer().empty()
              ? ""
              : ", " + Printable(record.tpm_manufacturer()) + " " +
                    Printable(record.tpm_model()));
}

std::string ActionText(const v1::ActionRequest& request) {
  std::string text = Printable(request.name()) + " " +
                     Printable(request.resource(), 1024) + ", to " +
                     Printable(request.purpose());
  if (!request.request_sha256().empty()) {
    text += ", content SHA-256 " + ToHex(AsBytes(request.request_sha256()));
  }
  return text;
}

}  // namespace countersign::authz
