// What the verification of an evidence bundle came to, part by part.
#ifndef COUNTERSIGN_AGENT_CLI_BUNDLE_REPORT_H_
#define COUNTERSIGN_AGENT_CLI_BUNDLE_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/result.h"

namespace countersign::agent {

// In the order in which they are judged and shown.
enum class Part : uint8_t {
  kDeviceRecord,
  kEkChain,
  kSessionQuote,
  kSessionBinding,
  kBootLog,
  kSessionKey,
  kClientAttestation,
  kActionQuote,
  kActionTree,
  kActionSession,
  kCheckpoint,
  kSessionEntry,
  kDecisionEntry,
  kOrder,
  kApproval,
  kGrant,
  kReceipt,
};
inline constexpr size_t kParts = 17;

// Stable snake_case name, and plain words for people.
[[nodiscard]] std::string_view PartId(Part part);
[[nodiscard]] std::string_view PartTitle(Part part);

enum class PartState : uint8_t {
  kAbsent,     // The bundle does not hold it.
  kHolds,      // Checked; `detail` says what it shows.
  kFailed,     // `reason` and `detail` say why.
  kNotJudged,  // There, but what it rests on is absent or failed.
};
[[nodiscard]] std::string_view Name(PartState state);

struct PartReport {
  PartState state = PartState::kAbsent;
  ErrorCode reason = ErrorCode::kInternal;  // Only of a failed part.
  std::string detail;
};

// How the agent saw one fact of the user or the workload.
struct Observed {
  std::string fact;  // The name of its field, e.g. "executable_path".
  std::string how;
  std::string grade;  // "kernel", "same_user_spoofable" and so on.
};

// What the parts that hold say. Empty where no such part holds. Foreign text:
// print it through Printable.
struct BundleFacts {
  std::string issuer;
  std::string device_id;  // Hex, as are the digests below.
  std::string ek_class;
  std::string ek_trust;
  std::string session_id;
  std::string user;  // "name (uid 1000)"
  std::string user_verification;
  std::string workload;  // SPIFFE ID
  std::string executable;
  std::string package;  // That installed it.
  std::string origin;   // Of a browser's extension.
  std::vector<Observed> observations;
  std::string purpose;
  std::string action_digest;
  std::string action_name;
  std::string resource;
  std::string decision;
  std::string approval;  // "prompt by os:1000": what the decision rests on.
  std::optional<uint64_t> session_index;
  std::optional<uint64_t> decision_index;
  int64_t decided_at_ms = 0;  // The service's clock.
};

class BundleReport {
 public:
  BundleReport() : parts_(kParts) {}

  void Holds(Part part, std::string detail = {});
  void Fails(Part part, const Error& error);
  void NotJudged(Part part, std::string why);

  [[nodiscard]] const PartReport& part(Part part) const {
    return parts_[static_cast<size_t>(part)];
  }
  [[nodiscard]] bool holds(Part part) const {
    return this->part(part).state == PartState::kHolds;
  }
  // Something holds, and nothing that is there fails or cannot be judged. Says
  // nothing of what is not there: see ok().
  [[nodiscard]] bool sound() const;
  // The required parts hold: an enrolled device's session and action, and both
  // in the ledger in that order.
  [[nodiscard]] bool complete() const;
  // What whoever relies on a bundle has to ask.
  [[nodiscard]] bool ok() const { return sound() && complete(); }
  // The first failed part's error; of a bundle that proves nothing, that;
  // kEvidenceIncomplete, naming the required parts that are absent.
  [[nodiscard]] Error FirstError() const;

  BundleFacts facts;
  // What verification took on trust, in whole sentences.
  std::vector<std::string> warnings;

 private:
  std::vector<PartReport> parts_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_BUNDLE_REPORT_H_
