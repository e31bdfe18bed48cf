// What the coordinators share: one object of each kind, by reference. Only
// the program names concrete classes.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_SERVICE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_SERVICE_H_

#include <string>

#include "attest/authz/config.h"
#include "attest/authz/epoch.h"
#include "attest/authz/grant_issuer.h"
#include "attest/authz/ledger_writer.h"
#include "attest/authz/policy/decider.h"
#include "attest/authz/policy/policy_holder.h"
#include "attest/authz/store.h"
#include "attest/base/clock.h"
#include "attest/verifier/known_device.h"

namespace countersign::authz {

class Provider;

struct Service {
  const Config& config;
  Store& store;
  LedgerWriter& ledger;
  const PolicyHolder& policy;
  // Asked besides the rules; null: none is configured.
  Decider* decision_point;
  const EpochNonces& epochs;
  const EpochNonces& event_tokens;
  const GrantIssuer& issuer;
  const jose::Es256Key& key;
  const Clock& clock;
  Provider* provider = nullptr;  // Of identities; null: none is configured.
};

// Where a request came from, as the server saw it.
struct Origin {
  std::string address;
  Bytes tls_exporter;  // Empty under TLS 1.2.
};

// A device as the store has it now.
struct StoredDevice {
  DeviceRow row;
  AkRow ak;
  v1::DeviceRecord record;
  verifier::KnownDevice known;
};

// The device that evidence (hostile) names, with the AK that it names.
//   kDeviceUnknown  no such device
//   kAkNotBound     no such AK, or it is another device's
// A revoked device or a retired AK is found, and `known.out_of_service` says
// so: that is judged after the signature.
[[nodiscard]] Result<StoredDevice> FindStoredDevice(const Config& config,
                                                    StoreView& view,
                                                    ByteSpan device_id,
                                                    ByteSpan ak_name);

// Notes in the ledger that evidence of a known device was refused, or that
// something happened which somebody should look at. `subject` gives the
// digests that are known. At most one a second and device: a device that
// keeps failing must not fill the ledger.
class Findings {
 public:
  Findings(Store& store, LedgerWriter& ledger, const Clock& clock);
  ~Findings();
  void Record(v1::LedgerEntry subject, const Error& error);

 private:
  struct Limits;
  Store& store_;
  LedgerWriter& ledger_;
  const Clock& clock_;
  std::unique_ptr<Limits> limits_;
};

// `entry` as a finding; also for callers that append it with others.
[[nodiscard]] v1::LedgerEntry FindingEntry(v1::LedgerEntry subject,
                                           const Error& error);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_SERVICE_H_
