// What policy and tokens may know of a session, taken from its appraised
// binding. The binding's user and workload are claims of the daemon, made
// from what the kernel shows; each fact keeps the grade it came with.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_SESSION_FACTS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_SESSION_FACTS_H_

#include "attest/authz/login/login_rows.h"
#include "attest/authz/policy/policy.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::authz {

// With a login, its subject. Else "os:" + device_id + ":" + uid: a bare OS
// name is nobody, since the same one exists on every machine. A binding that
// names a login is nobody's without it.
[[nodiscard]] std::string SubjectOf(const v1::SessionBinding& binding,
                                    const LoginRow* login = nullptr);

// A fact without an observation is kClaimed; a SPIFFE ID without one rests on
// the executable that it was made from. `pcr_digest` is what the session's
// quote showed. `login` is the one that the binding names, null if it names
// none: how the user was verified is read from there and never from the
// binding.
[[nodiscard]] SessionFacts FactsOf(const v1::SessionBinding& binding,
                                   const v1::DeviceRecord& device,
                                   ByteSpan pcr_digest,
                                   const LoginRow* login = nullptr);

// What `request` asks for; time, age and count are for the caller to add.
[[nodiscard]] ActionFacts FactsOfAction(const v1::ActionRequest& request,
                                        const v1::Approval& approval,
                                        const SessionFacts& session);

// kMalformedStatement: what makes a subject must be 1 to 256 of A-Z a-z 0-9
// and '-'.
[[nodiscard]] Status CheckOsId(std::string_view os_id);

// Checks the texts of a quoted binding that is about to be kept and shown:
// kMalformedStatement naming the field that is too long, not UTF-8 or holds
// control characters; os_id, which makes the subject, must be 1 to 256 of
// A-Z a-z 0-9 and '-'.
[[nodiscard]] Status CheckBindingTexts(const v1::SessionBinding& binding);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_SESSION_FACTS_H_
