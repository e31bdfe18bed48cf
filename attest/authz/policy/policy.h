// The rule file: who may do what, from which program and device.
//
// Rules are tried in the order of the file; the first that matches decides;
// if none does, the answer is deny. A rule is one TOML table:
//
//   [[rule]]
//   name = "read-project-files"             # unique; named in every answer
//   outcome = "permit"                      # "deny", "approval_required":
//                                           # a permit once it is approved
//   action = ["mcp:tools/call:read_*"]      # globs; absent: any
//   resource = ["file:///srv/project/*"]
//   purpose = ["review"]
//   grant_ttl_s = 120                       # 1 to 300; not with deny
//   audiences = ["https://api.example"]     # globs; absent: the resource's
//                                           # own origin only
//   approval = "webauthn"                   # approval_required only: the
//                                           # grade; also "prompt" and
//                                           # "second-person"
//   max_actions_per_task = 50               # not with deny: what matches is
//                                           # denied once a task has done that
//   [rule.when]                             # UTC
//   weekday = ["mon", "tue"]                # exact
//   from = "08:00"
//   until = "18:00"                         # before `from`: the next day's
//   max_session_age_s = 3600
//   [rule.user]
//   subject = ["os:*:1000"]                 # globs
//   os_name = ["alice"]
//   uid = ["1000"]
//   verification = ["os-login"]             # exact
//   groups = ["finance"]                    # exact; one of the user's groups
//   acr = ["phr"]                           # exact; how the user signed in
//   [rule.workload]
//   spiffe_id = ["spiffe://example/*"]      # globs
//   executable = ["/usr/bin/python3*"]
//   executable_sha256 = ["9f86d0…"]         # lower-case hex, exact
//   unit = ["app-*.scope"]
//   grade = "kernel"                        # not in a rule that denies: how
//                                           # well each workload fact that
//                                           # it names must be known at least
//   [rule.device]
//   ek_class = ["hardware", "firmware"]     # all exact
//   ek_trust = ["certificate"]
//   boot = ["event-log"]                    # or "pcrs-only"
//   pcr_digest = ["3c1f…"]                  # hex: exactly this boot
//
// Each key takes a string or a list of which one must match. In a glob `*`
// stands for any text; nothing else is special. Matching is linear in the
// text for each `*`. Rules are found by the literal beginnings of their
// conditions (rule_index.h): ten thousand cost what ten do.
//
// Grades of facts are "kernel", which is the default, "os-service",
// "same-user-spoofable" and "claimed". A rule that denies matches facts of any
// grade. One that wants an approval denies what it matches at a lower grade
// only, so that nobody gets past it to a later permit by being known less well.
//
// A fact that a process of the same user could have caused (graded
// same-user-spoofable or worse) is never the sole ground of a permit: if all
// user and workload facts that a permit rule names are such, it is skipped (and
// one that wants an approval denies).
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/result.h"

namespace countersign::authz {

// Ten thousand rules, and room for as many comments.
inline constexpr size_t kMaxPolicySize = 4 * 1024 * 1024;
inline constexpr int64_t kMaxGrantTtlS = 300;

// `text` matches `pattern`, in which '*' stands for any text.
[[nodiscard]] bool GlobMatches(std::string_view pattern, std::string_view text);

// How well a fact is known; smaller is stronger. The wire's Grade by strength.
enum class Strength : uint8_t {
  kVerifiedByService,
  kKernel,
  kOsService,
  kSameUserSpoofable,
  kClaimed,
};
// "verified-by-service", "kernel", "os-service", "same-user-spoofable",
// "claimed".
[[nodiscard]] std::string_view Name(Strength strength);

struct Fact {
  std::string value;
  Strength strength = Strength::kClaimed;
};

// What is known of a session. Values come from appraised evidence.
struct SessionFacts {
  std::string subject;
  Fact os_name;
  Fact uid;
  std::string verification;
  Fact spiffe_id;
  Fact executable;
  Fact executable_sha256;  // Lower-case hex.
  Fact unit;
  std::string ek_class;
  std::string ek_trust;
  // What the quote at the session's opening showed of the boot: "event-log"
  // (the log was there and replays to the quoted PCRs) or "pcrs-only".
  std::string boot;
  std::string pcr_digest;  // Lower-case hex; of the PCRs that policy selects.
  // Of the ID token, if a provider has verified the user; else empty.
  std::vector<std::string> groups;
  std::string acr;
};

// What one action asks for; claims of the client, quoted by the device.
struct ActionFacts {
  std::string_view name = {};
  std::string_view resource = {};
  std::string_view purpose = {};
  std::string_view audience = {};  // Empty: no grant wanted.
  // Grade of the approval that counts for it (authz/approval.h), or empty.
  std::string_view approval = {};
  int64_t time_ms = 0;        // The service's clock.
  int64_t session_age_s = 0;  // Since it was bound.
  // How many actions of this task were permitted before this one.
  uint64_t task_actions = 0;
};

// "mon" to "sun", in UTC.
[[nodiscard]] std::string_view WeekdayOf(int64_t time_ms);

enum class Outcome : uint8_t { kDeny, kPermit, kApprovalRequired };
[[nodiscard]] std::string_view Name(Outcome outcome);

struct PolicyDecision {
  Outcome outcome = Outcome::kDeny;
  ErrorCode reason = ErrorCode::kPolicyDenied;  // Unless permitted.
  std::string rule;                             // Empty: no rule matched.
  int64_t grant_ttl_s = 0;                      // With a permit.
  // With kApprovalRequired: the grade asked for. With a permit: the grade of
  // the approval that it rests on, if the rule asked for one.
  std::string approval;
  uint64_t max_actions_per_task = 0;  // With a permit; 0: no limit.
  std::string detail;  // Of a denial: words of whoever decided, or empty.
};

// Why a rule does not match: the first condition that fails.
struct Mismatch {
  std::string key;     // "workload.executable"
  std::string wanted;  // What the rule names.
  std::string got;     // What there is.
};
struct RuleTrace {
  std::string rule;
  Mismatch why;
};
struct Explanation {
  PolicyDecision decision;
  std::vector<RuleTrace> passed_over;  // The rules before the one that decided.
};

class RuleIndex;

// One rule file. Immutable; may be used by several threads.
class Policy {
 public:
  // `text` is at most kMaxPolicySize. `source` is for messages.
  //   kConfigInvalid  "source:line: what": not TOML, an unknown key or value,
  //                   two rules of one name, a permit for more than 300 s
  [[nodiscard]] static Result<std::shared_ptr<const Policy>> Parse(
      std::string_view text, std::string_view source);

  [[nodiscard]] PolicyDecision Decide(const SessionFacts& session,
                                      const ActionFacts& action) const;
  // The same decision, by trying one rule after the other, and why those
  // before it did not match. Slow.
  [[nodiscard]] Explanation Explain(const SessionFacts& session,
                                    const ActionFacts& action) const;

  // True if some rule could permit something (perhaps after an approval) to
  // this user, workload and device: else no session is opened.
  [[nodiscard]] bool MayOpenSession(const SessionFacts& session) const;

  // Hex SHA-256 of the text, and the text itself.
  [[nodiscard]] const std::string& version() const { return version_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] size_t rules() const;

  struct Rule;
  ~Policy();

 private:
  Policy();
  std::string text_;
  std::string version_;
  std::vector<Rule> rules_;
  std::unique_ptr<const RuleIndex> index_;
};

// The origin of a URI (scheme://host:port), or empty if it has no authority.
[[nodiscard]] std::string_view OriginOf(std::string_view uri);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_POLICY_H_
