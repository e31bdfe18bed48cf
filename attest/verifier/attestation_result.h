// What an appraisal comes to (RFC 9334 §8.4). "Could not appraise" is an
// Error; "appraised and refused" is an AttestationResult. Neither yields a
// grant, but only the second is a finding about the device.
#ifndef COUNTERSIGN_ATTEST_VERIFIER_ATTESTATION_RESULT_H_
#define COUNTERSIGN_ATTEST_VERIFIER_ATTESTATION_RESULT_H_

#include <variant>

#include "attest/base/result.h"

namespace countersign::verifier {

// True if `code` is a judgement about evidence or the state it rests on (the
// table's groups 200-499), and not trouble of our own or a request that was
// no evidence at all.
[[nodiscard]] inline bool IsRefusal(ErrorCode code) {
  const auto number = static_cast<uint16_t>(code);
  return number >= 200 && number < 500;
}

// Either what was established, or why the evidence was refused.
template <typename Claims>
class [[nodiscard]] AttestationResult {
 public:
  // Sorts the outcome of a list of guarded calls into the three cases.
  static Result<AttestationResult> Conclude(Result<Claims> outcome) {
    if (outcome.has_value()) {
      return AttestationResult(*std::move(outcome));
    }
    if (IsRefusal(outcome.error().code)) {
      return AttestationResult(std::move(outcome).error());
    }
    return tl::unexpected<Error>(std::move(outcome).error());
  }

  [[nodiscard]] bool trusted() const {
    return std::holds_alternative<Claims>(outcome_);
  }
  // Only if trusted().
  [[nodiscard]] const Claims& claims() const {
    return std::get<Claims>(outcome_);
  }
  // Only if not trusted(): the reason and what was seen.
  [[nodiscard]] const Error& refusal() const {
    return std::get<Error>(outcome_);
  }

 private:
  explicit AttestationResult(std::variant<Claims, Error> outcome)
      : outcome_(std::move(outcome)) {}

  std::variant<Claims, Error> outcome_;
};

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_ATTEST_VERIFIER_ATTESTATION_RESULT_H_
