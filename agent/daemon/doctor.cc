#include "agent/daemon/doctor.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/jose/signed_answer.h"
#include "attest/tpm/event_log.h"
#include "countersign/v1/service.pb.h"
#include "platform/host.h"
#include "platform/trusted_file.h"

namespace countersign::agent {
namespace {

constexpr uint32_t kTimeoutMs = 10'000;
constexpr uint64_t kLowDiskBytes = 64ull << 20;
constexpr int64_t kMaxSkewS = 60;

struct TpmFindings {
  Result<platform::TpmInfo> info = Fail(ErrorCode::kInternal);
  Result<std::vector<platform::EndorsementKey>> eks =
      Fail(ErrorCode::kInternal);
};

v1::DoctorCheck Check(const char* name, bool ok, const std::string& detail,
                      std::string hint = {}) {
  v1::DoctorCheck check;
  check.set_name(name);
  check.set_ok(ok);
  check.set_detail(Printable(detail, 1024));
  if (!ok) check.set_hint(std::move(hint));
  return check;
}

v1::DoctorCheck Failed(const char* name, const Error& error) {
  std::string detail(Message(error.code));
  if (!error.detail.empty()) detail += " (" + error.detail + ")";
  return Check(name, false, detail, std::string(Remedy(error.code)));
}

v1::DoctorCheck CheckConfig(const DoctorSubject& subject) {
  const AgentConfig& config = *subject.config;
  if (!subject.config_error.empty()) {
    return Check("config", false, subject.config_error,
                 "Correct the file; until then the last good one is in use.");
  }
  if (!config.warnings.empty()) {
    std::string all;
    for (const std::string& warning : config.warnings) {
      all += (all.empty() ? "" : "; ") + warning;
    }
    return Check("config", false, all, "Correct or remove these keys.");
  }
  return Check("config", true,
               config.source.empty() ? "built-in defaults" : config.source);
}

v1::DoctorCheck CheckTpm(const TpmFindings& found) {
  if (!found.info.has_value()) return Failed("tpm", found.info.error());
  const platform::TpmInfo& info = *found.info;
  if (info.locked_out) {
    return Failed("tpm", {ErrorCode::kTpmLockout, "reported by the TPM"});
  }
  return Check("tpm", true,
               info.manufacturer + " " + info.vendor_string +
                   (info.is_software ? " (software)" : ""));
}

v1::DoctorCheck CheckEks(const TpmFindings& found) {
  constexpr char kName[] = "endorsement-keys";
  if (!found.eks.has_value()) return Failed(kName, found.eks.error());
  std::string detail;
  size_t certificates = 0;
  for (const platform::EndorsementKey& ek : *found.eks) {
    detail += detail.empty() ? "" : ", ";
    detail += ek.type == tpm::KeyType::kEccP256 ? "ECC P-256" : "RSA-2048";
    if (!ek.certificates.empty()) {
      ++certificates;
      detail += " with certificate";
    }
  }
  return Check(kName, certificates > 0, detail,
               "The TPM stores no certificate: the service must know this EK "
               "from its manufacturer's list or an allow-list.");
}

v1::DoctorCheck CheckEventLog(const std::string& path) {
  constexpr char kName[] = "event-log";
  const auto bytes = platform::ReadWholeFile(path, tpm::kMaxEventLogSize);
  if (!bytes.has_value()) {
    return Check(
        kName, false,
        std::string(Name(bytes.error().code)) + ": " + bytes.error().detail,
        "Let the daemon's account read the boot event log, or set "
        "tpm.event_log.");
  }
  const auto log = tpm::EventLog::Parse(*bytes);
  if (!log.has_value()) return Failed(kName, log.error());
  return Check(kName, true,
               std::to_string(log->events().size()) + " events in " + path);
}

v1::DoctorCheck CheckDisk(const std::string& state_dir) {
  const auto free = platform::FreeDiskSpace(state_dir);
  if (!free.has_value()) return Failed("disk", free.error());
  return Check("disk", *free >= kLowDiskBytes,
               std::to_string(*free >> 20) + " MiB free at " + state_dir,
               "Free space on that disk: without it nothing can be signed.");
}

v1::DoctorCheck CheckRelays(const AgentConfig& config) {
  for (const std::string& path : config.relays) {
    const auto program = platform::TrustedProgram(path);
    if (!program.has_value()) {
      return Check("relays", false, program.error().detail,
                   "A relay must be a file that only root or the daemon's "
                   "account can change; others are not treated as relays.");
    }
  }
  return Check("relays", true,
               config.relays.empty()
                   ? "the defaults"
                   : std::to_string(config.relays.size()) + " configured");
}

v1::DoctorCheck CheckSockets(const AgentConfig& config) {
  const auto open = platform::SocketMode(config.socket);
  if (!open.has_value()) return Failed("sockets", open.error());
  const auto uplink = platform::SocketMode(config.uplink_socket);
  if (!uplink.has_value()) return Failed("sockets", uplink.error());
  return Check(
      "sockets", (*open & 0666) == 0666,
      config.socket + ", " + config.uplink_socket,
      "Every user must be able to connect: chmod 0666 " + config.socket);
}

v1::DoctorCheck CheckEnrollment(const DoctorSubject& subject,
                                const Error* device_refusal) {
  if (subject.device == nullptr) {
    return Failed("enrollment", subject.why_no_device);
  }
  if (device_refusal != nullptr) return Failed("enrollment", *device_refusal);
  return Check("enrollment", true,
               "device " + subject.device->service.audience + " at " +
                   subject.device->service.issuer);
}

v1::DoctorCheck CheckSessions(const DoctorSubject& subject) {
  return Check("sessions", true,
               std::to_string(subject.sessions) + " open, " +
                   std::to_string(subject.stale_leases) +
                   " to be confirmed with the service at the next action");
}

v1::DoctorCheck CheckClock(int64_t ahead_s) {
  const int64_t off = std::abs(ahead_s);
  return Check("clock", off <= kMaxSkewS,
               "this machine is " + std::to_string(off) + " s " +
                   (ahead_s < 0 ? "behind" : "ahead of") + " the service",
               "Set the clock: NTP (timedatectl set-ntp true).");
}

}  // namespace

// What was well, and when.
struct Doctor::Memory {
  std::optional<TpmFindings> tpm;
  int64_t tpm_ms = 0;
  std::optional<int64_t> service_s;  // The service's clock at that moment.
  DevicePtr of_device;
  int64_t service_ms = 0;
};

// One examination. Keeps itself alive until it is done.
class Doctor::Examination
    : public std::enable_shared_from_this<Doctor::Examination> {
 public:
  Examination(const Doctor::Parts& parts, std::shared_ptr<Memory> memory,
              DoctorSubject subject,
              std::function<void(v1::DoctorResponse)> done)
      : parts_(parts),
        memory_(std::move(memory)),
        subject_(std::move(subject)),
        done_(std::move(done)) {}

  void Start() {
    Add(CheckConfig(subject_));
    if (memory_->tpm.has_value() && StillBelieved(memory_->tpm_ms)) {
      OnTpm(*memory_->tpm);
      return;
    }
    const auto found = std::make_shared<TpmFindings>();
    parts_.tpm.Submit(
        TpmQueue::Urgency::kNormal,
        [found](platform::Tpm& tpm) -> Status {
          found->info = tpm.Info();
          found->eks = tpm.EndorsementKeys();
          CS_RETURN_IF_ERROR(found->info);
          return {};
        },
        [self = shared_from_this(), found](const Status&) {
          self->RememberTpm(*found);
          self->OnTpm(*found);
        });
  }

 private:
  [[nodiscard]] bool StillBelieved(int64_t since_ms) const {
    return parts_.clock.MonotonicMs() - since_ms < kBelievedForMs;
  }

  void RememberTpm(const TpmFindings& found) {
    memory_->tpm.reset();
    if (!found.info.has_value() || !found.eks.has_value()) return;
    memory_->tpm = found;
    memory_->tpm_ms = parts_.clock.MonotonicMs();
  }

  void OnTpm(const TpmFindings& found) {
    Add(CheckTpm(found));
    Add(CheckEks(found));
    LookAtFiles();
  }

  void Add(v1::DoctorCheck check) { *answer_.add_checks() = std::move(check); }

  void LookAtFiles() {
    parts_.files.Submit(
        Worker::Urgency::kNormal,
        [config = *subject_.config] {
          return std::vector<v1::DoctorCheck>{
              CheckEventLog(config.tpm.event_log), CheckDisk(config.state_dir),
              CheckRelays(config), CheckSockets(config)};
        },
        [self = shared_from_this()](std::vector<v1::DoctorCheck> checks) {
          self->Add(std::move(checks.front()));
          checks.erase(checks.begin());
          self->last_ = std::move(checks);
          self->AskService();
        });
  }

  void AskService() {
    Add(subject_.uplink_connected
            ? Check("uplink", true, "connected")
            : Failed("uplink", {ErrorCode::kUplinkDown, {}}));
    if (subject_.device == nullptr) {
      Finish();
      return;
    }
    if (memory_->service_s.has_value() &&
        memory_->of_device == subject_.device &&
        StillBelieved(memory_->service_ms)) {
      OnServiceWell();
      return;
    }
    v1::ChallengeRequest request;
    request.set_purpose("epoch");
    request.set_device_id(subject_.device->record.device_id());
    request.set_request_nonce(AsString(RandomBytes(16)));
    parts_.service.Post(
        subject_.device->service, ServiceLink::kControl, "/v1/challenges",
        request.SerializeAsString(), jose::kKindChallenge, kTimeoutMs,
        [self = shared_from_this()](const ServiceResult& result) {
          self->OnService(result);
        });
  }

  void OnService(const ServiceResult& result) {
    memory_->service_s.reset();
    if (!result.has_value()) {
      Add(Failed("service", result.error().error));
      Finish();
      return;
    }
    memory_->service_s = result->issued_at_s;
    memory_->of_device = subject_.device;
    memory_->service_ms = parts_.clock.MonotonicMs();
    OnServiceWell();
  }

  void OnServiceWell() {
    Add(Check("service", true, subject_.device->service.issuer + " answered"));
    const int64_t since_ms = parts_.clock.MonotonicMs() - memory_->service_ms;
    Add(CheckClock((parts_.clock.NowMs() - since_ms) / 1000 -
                   *memory_->service_s));
    Finish();
  }

  // Last, since the service's answer may tell something new of it.
  void Finish() {
    Add(CheckEnrollment(subject_, parts_.service.device_refusal()));
    Add(CheckSessions(subject_));
    Add(Check("backlog", subject_.undelivered == 0,
              std::to_string(subject_.undelivered) + " batches undelivered",
              "They are sent as soon as the service can be reached."));
    for (v1::DoctorCheck& check : last_) Add(std::move(check));
    done_(std::move(answer_));
  }

  Doctor::Parts parts_;
  std::shared_ptr<Memory> memory_;
  DoctorSubject subject_;
  std::function<void(v1::DoctorResponse)> done_;
  v1::DoctorResponse answer_;
  std::vector<v1::DoctorCheck> last_;
};

Doctor::Doctor(const Parts& parts)
    : parts_(parts), memory_(std::make_shared<Memory>()) {}

Doctor::~Doctor() = default;

void Doctor::Examine(DoctorSubject subject,
                     std::function<void(v1::DoctorResponse)> done) {
  std::make_shared<Examination>(parts_, memory_, std::move(subject),
                                std::move(done))
      ->Start();
}

}  // namespace countersign::agent
