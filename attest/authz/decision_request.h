// A decision as the AuthZEN Authorization API 1.0 asks and answers it
// (§5, access evaluation): what an external decision point would be sent, and
// what the built-in rules answered, as exact bytes.
//
// Their digests go into the ledger. The bytes follow from the evidence alone,
// so an auditor makes them again from what is kept. They are therefore a
// format: change them only together with `format` in the context, unless by a
// member that no request so far could have had.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_DECISION_REQUEST_H_
#define COUNTERSIGN_ATTEST_AUTHZ_DECISION_REQUEST_H_

#include <string>

#include "attest/authz/policy/policy.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// The part of a request that is the same for every action of one session.
class DecisionSubject {
 public:
  DecisionSubject(const SessionFacts& facts, const v1::SessionBinding& binding,
                  const v1::DeviceRecord& device);

  // {"subject":…,"action":…,"resource":…,"context":…}. `approval` is what the
  // action carries, as it stands there: empty if it carries none.
  [[nodiscard]] std::string RequestFor(const v1::ActionRequest& request,
                                       const v1::Approval& approval) const;

 private:
  std::string subject_;  // JSON values.
  std::string workload_;
  std::string device_;
};

// {"decision":…,"context":…}
[[nodiscard]] std::string DecisionResponse(const PolicyDecision& decision,
                                           std::string_view policy_version);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_DECISION_REQUEST_H_
