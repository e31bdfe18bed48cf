// A decision as the AuthZEN Authorization API 1.0 asks and answers it
// (§5, access evaluation): what a decision point is sent, and what came of it,
// as exact bytes.
//
// Their digests go into the ledger. The bytes follow from the evidence and
// from the DecisionRecord that lies in the same blob (time, counts, groups,
// the answers of a decision point), so an auditor makes them again from what
// is kept. They are therefore a format: change them only together with
// `format` in the context, unless by a member that no request so far could
// have had.
//
// Who asks stands in the subject's properties, with workload and device, what
// is asked in action and resource, the rest in the context.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_DECISION_REQUEST_H_
#define COUNTERSIGN_ATTEST_AUTHZ_DECISION_REQUEST_H_

#include <string>

#include "attest/authz/policy/decider.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// The part of a request that is the same for every action of one session.
class DecisionSubject {
 public:
  DecisionSubject(const SessionFacts& facts, const v1::SessionBinding& binding,
                  const v1::DeviceRecord& device);

  // {"type":"user","id":…,"properties":…}
  [[nodiscard]] const std::string& text() const { return subject_; }

 private:
  std::string subject_;
};

// "2026-11-21T13:56:41Z", of RFC 3339.
[[nodiscard]] std::string RfcTime(int64_t unix_ms);

// "action":…,"resource":…,"context":…  What it says of time, counts and
// approval that counts is what `facts` say; `approval` is what the action
// carries, as it stands there: empty if it carries none.
[[nodiscard]] std::string DecisionRest(const ActionFacts& facts,
                                       const v1::ActionRequest& request,
                                       const v1::Approval& approval);

// {"subject":…,"action":…,"resource":…,"context":…}: the request whose digest
// is kept, whether or not it was sent in a batch.
[[nodiscard]] std::string DecisionRequest(std::string_view subject,
                                          std::string_view rest);

// {"decision":…,"context":…}. `point` is the decision point's verdict, if it
// gave one: the response names the body that it came in.
[[nodiscard]] std::string DecisionResponse(const PolicyDecision& decision,
                                           std::string_view policy_version,
                                           const Verdict& point);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_DECISION_REQUEST_H_
