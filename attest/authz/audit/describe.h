// Facts of a binding, a device and a boot as words for an auditor.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DESCRIBE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DESCRIBE_H_

#include <string>

#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// "SO_PEERCRED (named by the kernel)", of the observations of `name`.
template <typename Observations>
[[nodiscard]] std::string HowObserved(const Observations& observations,
                                      std::string_view name);
[[nodiscard]] std::string GradeText(v1::Grade grade);

[[nodiscard]] std::string UserText(const v1::User& user);
[[nodiscard]] std::string VerificationText(const v1::User& user);
[[nodiscard]] std::string WorkloadText(const v1::Workload& workload);
[[nodiscard]] std::string DeviceText(const v1::DeviceRecord& record);
[[nodiscard]] std::string ActionText(const v1::ActionRequest& request);

template <typename Observations>
std::string HowObserved(const Observations& observations,
                        std::string_view name) {
  std::string text;
  for (const v1::Observation& observation : observations) {
    if (observation.name() != name) continue;
    if (!text.empty()) text += ", ";
    text += observation.how() + " (" + GradeText(observation.grade()) + ")";
  }
  return text.empty() ? "claimed without observation" : text;
}

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_AUDIT_DESCRIBE_H_
