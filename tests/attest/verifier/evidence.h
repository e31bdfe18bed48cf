// Valid evidence of one device, made in software, with every part open: a
// test changes one thing and sees the one reason.
#ifndef COUNTERSIGN_TESTS_ATTEST_VERIFIER_EVIDENCE_H_
#define COUNTERSIGN_TESTS_ATTEST_VERIFIER_EVIDENCE_H_

#include <functional>

#include "attest/base/digest.h"
#include "attest/statement/statement.h"
#include "attest/verifier/appraise.h"
#include "countersign/v1/statements.pb.h"
#include "tests/fakes/event_log_builder.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::verifier {

inline constexpr char kIssuer[] = "https://authz.example";
inline constexpr char kTenant[] = "acme";

// A TPM in software whose PCRs an event log explains.
class Device {
 public:
  explicit Device(tpm::KeyType ak_type = tpm::KeyType::kEccP256);

  [[nodiscard]] KnownDevice Known() const;

  fakes::SoftKey ek;
  fakes::SoftKey ak;
  Bytes device_id = RandomBytes(16);
  fakes::EventLogBuilder log = fakes::SmallEventLog();
  tpm::TpmClock clock = {5'000, 3, 1, true};

  // What the log makes of PCRs 0-7.
  [[nodiscard]] std::vector<Sha256Digest> PcrValues() const;
  // The fields of a good quote over `digest`.
  [[nodiscard]] fakes::AttestFields QuoteFields(
      const Sha256Digest& digest) const;
  [[nodiscard]] v1::TpmQuote Quote(const fakes::AttestFields& fields) const;
  [[nodiscard]] v1::TpmQuote Quote(const Sha256Digest& digest) const {
    return Quote(QuoteFields(digest));
  }
};

// One device for the tests that only look at it: keys cost time to make.
[[nodiscard]] const Device& SharedDevice();

// A session's evidence. Change the fields, then Build.
struct SessionParts {
  explicit SessionParts(const Device& device, bool tpm_key = false);

  [[nodiscard]] v1::SessionEvidence Build() const;

  const Device& device;
  fakes::SoftKey session_key;
  v1::SessionBinding binding;
  std::string type;  // Of the statement.
  // What becomes of the quote and of the certification before they are
  // signed.
  std::function<void(fakes::AttestFields&)> change_quote = [](auto&) {};
  std::function<void(fakes::AttestFields&)> change_certify = [](auto&) {};
};

// A batch of `size` actions. Change the fields, then Build.
struct BatchParts {
  explicit BatchParts(const Device& device, uint32_t size = 3);

  // Statement and root over `actions` as they are now, quoted.
  [[nodiscard]] v1::BatchEvidence Build() const;
  // The proof of one of them.
  [[nodiscard]] v1::ActionProof Prove(uint32_t index) const;
  // Changes one leaf.
  void Change(uint32_t index, const std::function<void(v1::Action&)>& change);

  const Device& device;
  v1::ActionBatch batch;  // Root and tree_size are set by Build if empty.
  std::vector<std::string> actions;
};

// A protobuf `bytes` field of random bytes.
[[nodiscard]] std::string RandomString(size_t size);

}  // namespace countersign::verifier

#endif  // COUNTERSIGN_TESTS_ATTEST_VERIFIER_EVIDENCE_H_
