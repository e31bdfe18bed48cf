// A whole valid evidence bundle, with everything in it open to be changed: the
// device of tests/attest/verifier/evidence.h, a service and a ledger.
#ifndef COUNTERSIGN_TESTS_AGENT_CLI_BUNDLE_MAKER_H_
#define COUNTERSIGN_TESTS_AGENT_CLI_BUNDLE_MAKER_H_

#include <string>

#include "agent/cli/trust_folder.h"
#include "attest/jose/es256.h"
#include "attest/ledger/checkpoint.h"
#include "countersign/v1/evidence.pb.h"
#include "countersign/v1/statements.pb.h"
#include "tests/attest/verifier/evidence.h"

namespace countersign::agent {

// A certificate authority that vouches for EKs.
struct Manufacturer {
  Manufacturer();
  [[nodiscard]] Bytes CertifyEk(const tpm::PublicArea& ek) const;

  EvpPkeyPtr key;
  Bytes root;  // DER
};

class BundleMaker {
 public:
  explicit BundleMaker(bool tpm_session_key = false,
                       tpm::KeyType ak_type = tpm::KeyType::kEccP256);

  // The parts, signed and logged as they are now.
  [[nodiscard]] v1::EvidenceBundle Build();
  [[nodiscard]] TrustFolder Trust() const;
  // The same trust as a folder on disk.
  void WriteTrust(const std::string& folder) const;

  [[nodiscard]] v1::ServiceSigned SignRecord(
      const v1::DeviceRecord& record) const;
  [[nodiscard]] std::string SignToken(std::string_view typ,
                                      const std::string& claims) const;
  // A proof of entry `index` of `entries`, under a checkpoint over them all.
  [[nodiscard]] v1::LedgerProof Prove(const std::vector<std::string>& entries,
                                      uint64_t index) const;

  Manufacturer manufacturer;
  jose::Es256Key service_key;
  ledger::LedgerKey ledger_key;
  verifier::Device device;
  v1::DeviceRecord record;
  verifier::SessionParts session;
  verifier::BatchParts batch;
  uint32_t leaf = 1;
  uint64_t session_index = 1;
  uint64_t decision_index = 4;
  bool approved = false;  // By prompt; the decision rests on it.

  // What Build() made, for tests that sign one of them anew.
  v1::LedgerEntry session_entry;
  v1::LedgerEntry decision_entry;
  std::string grant_claims;
  std::string receipt_claims;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_CLI_BUNDLE_MAKER_H_
