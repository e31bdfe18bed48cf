// Enrollment: how the service comes to know this device's TPM and AK.
//
// Repeatable: AK and token of an attempt whose answer was lost are used again
// and the service answers as before. The service's keys are pinned by the
// token's thumbprint or by managed configuration; without either there is no
// enrollment. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_ENROLL_H_
#define COUNTERSIGN_AGENT_DAEMON_ENROLL_H_

#include <functional>
#include <memory>
#include <string>

#include "agent/daemon/device.h"
#include "agent/daemon/journal.h"
#include "agent/daemon/service_link.h"
#include "agent/daemon/tpm_queue.h"
#include "agent/daemon/worker.h"
#include "countersign/v1/agent.pb.h"

namespace countersign::agent {

// A newly enrolled device and the journal that goes with its AK.
struct Enrolled {
  DevicePtr device;
  Journal::Recovered journal;
};

class Enroller {
 public:
  using Done = std::function<void(Result<Enrolled>)>;

  // All outlive the enroller. `store` and `journal` are used on `disk` alone.
  struct Parts {
    TpmQueue& tpm;
    Worker& disk;
    platform::StateStore& store;
    Journal& journal;
    ServiceLink& service;
  };

  explicit Enroller(const Parts& parts) : parts_(parts) {}

  // Keys from managed configuration; null: none are pinned there.
  void set_pinned(std::shared_ptr<const jose::KeySet> keys) {
    pinned_ = std::move(keys);
  }

  // For an enrollment that names no CA of its own.
  void set_default_ca(std::string pem) { default_ca_ = std::move(pem); }

  // One at a time. `done` gets the device once it is stored, or
  //   kBusy                     another enrollment is under way
  //   kBadRequest               the service is not a URL
  //   kTokenInvalid             the token is not of our form
  //   kUntrustedKey             nothing pins the service's key, or it has no
  //                             key with that thumbprint
  //   kStateBelongsToOtherTpm   the stored AK is not of this TPM
  //   kDeviceRecordInvalid      see CheckDeviceRecord
  //   what ServiceLink, platform::Tpm and StateStore say
  void Enroll(const v1::EnrollRequest& request, Done done);

 private:
  class Attempt;

  Parts parts_;
  std::shared_ptr<const jose::KeySet> pinned_;
  std::string default_ca_;
  bool busy_ = false;
};

// The key thumbprint in "cs1.SECRET.THUMBPRINT". kTokenInvalid.
[[nodiscard]] Result<std::string> ThumbprintInToken(std::string_view token);

// `url` without a slash at its end, if it can be an issuer: https, or http to
// this machine, with a host and nothing after the path. kBadRequest.
[[nodiscard]] Result<std::string> CheckIssuer(std::string_view url);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_ENROLL_H_
