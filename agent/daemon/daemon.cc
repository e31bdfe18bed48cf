#include "agent/daemon/daemon.h"

#include <algorithm>
#include <utility>

#include "agent/daemon/request_handler.h"
#include "attest/base/text.h"
#include "platform/host.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxCaSize = 256 * 1024;
constexpr std::chrono::milliseconds kDrainStep{20};
// Relays that need no configuration: the programs of ours that relay, beside
// the daemon's own.
constexpr const char* kDefaultRelays[] = {"countersign-native-host"};

// What the files that a configuration names hold.
struct Files {
  std::shared_ptr<const jose::KeySet> pinned;
  std::string ca_pem;
  std::vector<platform::FileIdentity> relays;
  std::vector<std::string> complaints;  // Not reasons to stop.
};

Result<Files> ReadFiles(const AgentConfig& config) {
  Files files;
  if (!config.service.jwks_file.empty()) {
    CS_ASSIGN_OR_RETURN(const Bytes json,
                        platform::ReadTrustedFile(config.service.jwks_file,
                                                  jose::KeySet::kMaxJsonSize));
    auto keys = jose::KeySet::FromJson(AsString(json));
    if (!keys.has_value()) {
      return Fail(ErrorCode::kConfigInvalid,
                  config.service.jwks_file + ": " + keys.error().detail);
    }
    files.pinned = std::make_shared<const jose::KeySet>(*std::move(keys));
  }
  if (!config.service.ca_file.empty()) {
    CS_ASSIGN_OR_RETURN(
        const Bytes pem,
        platform::ReadTrustedFile(config.service.ca_file, kMaxCaSize));
    files.ca_pem = AsString(pem);
  }
  std::vector<std::string> relays = config.relays;
  if (!config.relays_set) {
    const std::string folder = platform::OwnProgramFolder();
    for (const char* name : kDefaultRelays) {
      relays.push_back(folder + "/" + name);
    }
  }
  for (const std::string& path : relays) {
    const auto program = platform::TrustedProgram(path);
    if (program.has_value()) {
      files.relays.push_back(*program);
    } else if (config.relays_set ||
               program.error().code != ErrorCode::kNotFound) {
      files.complaints.push_back("not a relay: " + program.error().detail);
    }
  }
  return files;
}

SessionSettings SettingsFrom(const AgentConfig& config) {
  return {config.session.tpm_key, config.session.lifetime_s,
          config.session.open_timeout_ms, config.tpm.event_log};
}

ServerLimits LimitsFrom(const AgentConfig& config) {
  ServerLimits limits;
  limits.connections = config.limits.connections;
  limits.connections_per_uid =
      std::max<size_t>(1, config.limits.connections * 3 / 4);
  limits.outstanding_per_peer = config.limits.outstanding_per_peer;
  return limits;
}

class DaemonImpl final : public Daemon {
 public:
  DaemonImpl(const Machine& machine, const AgentConfig& config,
             uint32_t uplink_uid, Report report);
  ~DaemonImpl() override;

  Status Start(Files files);
  Status Listen(platform::LocalListener agent,
                platform::LocalListener uplink) override;
  void Reconfigure(const Result<AgentConfig>& config) override;
  void Drain(std::chrono::milliseconds at_most,
             std::function<void()> done) override;

 private:
  void Activate(Enrolled enrolled);
  void OnUplinkChange(bool connected);
  void DrainStep(int64_t until_ms, std::function<void()> done);
  void Use(const AgentConfig& config, Files files);

  // In the order in which they need one another; threads end first.
  Machine machine_;
  Report report_;
  DaemonState state_;
  UplinkChannel uplink_;
  ServiceLink service_;
  Journal journal_;
  platform::ExecutableHasher hasher_;
  platform::PackageFinder packages_;
  TpmQueue tpm_;
  SessionRegistry sessions_;
  Worker disk_;
  Worker files_;
  Freshness freshness_;
  QuoteOrder order_;
  Batcher batcher_;
  ServiceEvents events_;
  Logins logins_;
  SessionOpener opener_;
  Enroller enroller_;
  Doctor doctor_;
  RequestHandler handler_;
  Server server_;
};

DaemonImpl::DaemonImpl(const Machine& machine, const AgentConfig& config,
                       uint32_t uplink_uid, Report report)
    : machine_(machine),
      report_(std::move(report)),
      state_{config, {}, nullptr, {ErrorCode::kNotEnrolled, {}}, {}, false},
      uplink_(machine.loop, uplink_uid,
              [this](bool connected) { OnUplinkChange(connected); }),
      service_(uplink_, machine.clock),
      journal_(machine.store),
      tpm_(machine.loop, machine.tpm),
      sessions_(machine.loop, machine.clock),
      disk_(machine.loop),
      files_(machine.loop),
      freshness_(service_, sessions_, machine.clock),
      order_(machine.loop),
      batcher_(machine.loop,
               {machine.clock, tpm_, disk_, journal_, service_, sessions_,
                freshness_},
               order_, config.limits.max_batch),
      events_(machine.loop, machine.clock, service_, sessions_,
              [this](const Error& why) { batcher_.OnDeviceRefused(why); }),
      logins_({machine.clock, tpm_, disk_, files_, machine.store, service_,
               sessions_}),
      opener_({machine.loop, machine.clock, tpm_, disk_, journal_, files_,
               hasher_, packages_, service_, sessions_, freshness_, events_,
               order_, logins_},
              SettingsFrom(config)),
      enroller_({tpm_, disk_, machine.store, journal_, service_}),
      doctor_({machine.clock, tpm_, files_, service_}),
      handler_({machine.loop, machine.clock, state_, sessions_, opener_,
                batcher_, enroller_, doctor_, service_, uplink_, tpm_, disk_,
                journal_, logins_,
                [this](Enrolled enrolled) { Activate(std::move(enrolled)); }}),
      server_(machine.loop, handler_, LimitsFrom(config)) {
  sessions_.set_listener(handler_);
  handler_.set_server(server_);
}

DaemonImpl::~DaemonImpl() = default;

void DaemonImpl::Use(const AgentConfig& config, Files files) {
  state_.config = config;
  state_.config_error.clear();
  state_.relays = std::move(files.relays);
  enroller_.set_pinned(files.pinned);
  enroller_.set_default_ca(files.ca_pem);
  batcher_.set_max_batch(config.limits.max_batch);
  opener_.set_settings(SettingsFrom(config));
  server_.set_outstanding_per_peer(config.limits.outstanding_per_peer);
  for (const std::string& warning : config.warnings) report_(warning);
  for (const std::string& complaint : files.complaints) report_(complaint);
}

Status DaemonImpl::Start(Files files) {
  const auto pinned = files.pinned;
  Use(AgentConfig(state_.config), std::move(files));
  CS_ASSIGN_OR_RETURN(const auto stored, LoadEnrolled(machine_.store));
  if (!stored.has_value()) {
    report_("not enrolled yet");
    return {};
  }
  CS_ASSIGN_OR_RETURN(DevicePtr device, MakeDevice(*stored, pinned));
  CS_ASSIGN_OR_RETURN(auto ak,
                      platform::AkBlob::Decode(AsBytes(stored->ak_blob())));
  auto auth = std::make_shared<Secret>(ToBytes(AsBytes(stored->ak_auth())));
  CS_ASSIGN_OR_RETURN(auto recovered,
                      journal_.Recover(AsBytes(device->record.ak_name())));
  CS_RETURN_IF_ERROR(logins_.Load());
  state_.why_no_device = {ErrorCode::kBusy, "starting"};
  auto enrolled = std::make_shared<Enrolled>(
      Enrolled{std::move(device), std::move(recovered)});
  tpm_.Submit(
      TpmQueue::Urgency::kUrgent,
      [ak = std::move(ak), auth](platform::Tpm& tpm) {
        return tpm.LoadAk(ak, *auth);
      },
      [this, enrolled](const Status& loaded) {
        if (!loaded.has_value() &&
            loaded.error().code == ErrorCode::kStateBelongsToOtherTpm) {
          // Fails closed: nothing of this state is used on this machine.
          state_.why_no_device = loaded.error();
          report_(std::string(Message(loaded.error().code)) + " " +
                  loaded.error().detail);
          return;
        }
        // Without a TPM for now: each request says so until there is one.
        if (!loaded.has_value()) {
          report_("the TPM: " + std::string(Name(loaded.error().code)) + ": " +
                  loaded.error().detail);
        }
        Activate(std::move(*enrolled));
      });
  return {};
}

void DaemonImpl::Activate(Enrolled enrolled) {
  const Journal::Recovered& journal = enrolled.journal;
  state_.device = enrolled.device;
  report_("device " + enrolled.device->service.audience + " of " +
          enrolled.device->service.issuer + "; " +
          std::to_string(journal.backlog.size()) + " batches to deliver, " +
          std::to_string(journal.sessions.size()) + " sessions to end");
  if (!journal.new_journal_reason.empty()) {
    report_("began a new journal, which the service will record: " +
            journal.new_journal_reason);
  }
  service_.ForgetRefusal();
  opener_.set_device(enrolled.device);
  logins_.set_device(enrolled.device);
  events_.set_device(enrolled.device);
  // Those that the service knows of are among `journal.sessions`.
  sessions_.EndAll("enrolled_again", /*by_service=*/true);
  batcher_.Start(std::move(enrolled.device), std::move(enrolled.journal));
}

void DaemonImpl::OnUplinkChange(bool connected) {
  report_(connected ? "the uplink is connected" : "the uplink is gone");
  if (!connected) return;
  batcher_.OnUplink();
  events_.OnUplink();
}

Status DaemonImpl::Listen(platform::LocalListener agent,
                          platform::LocalListener uplink) {
  CS_RETURN_IF_ERROR(uplink_.Listen(std::move(uplink)));
  return server_.Listen(std::move(agent));
}

void DaemonImpl::Reconfigure(const Result<AgentConfig>& config) {
  Result<Files> files = Fail(ErrorCode::kInternal);
  const Error* wrong = nullptr;
  if (!config.has_value()) {
    wrong = &config.error();
  } else if (files = ReadFiles(*config); !files.has_value()) {
    wrong = &files.error();
  }
  if (wrong != nullptr) {
    state_.config_error = wrong->detail;
    report_("the configuration stays as it was: " + wrong->detail);
    return;
  }
  Use(*config, *std::move(files));
  report_("the configuration was read again");
}

void DaemonImpl::Drain(std::chrono::milliseconds at_most,
                       std::function<void()> done) {
  report_("shutting down");
  state_.draining = true;
  server_.StopListening();
  DrainStep(machine_.clock.MonotonicMs() + at_most.count(), std::move(done));
}

void DaemonImpl::DrainStep(int64_t until_ms, std::function<void()> done) {
  const bool finished = handler_.outstanding() == 0 && batcher_.idle() &&
                        opener_.idle() && server_.flushed();
  if (finished || machine_.clock.MonotonicMs() >= until_ms) {
    done();
    return;
  }
  machine_.loop.RunAfter(kDrainStep, [this, until_ms, done = std::move(done)] {
    DrainStep(until_ms, done);
  });
}

}  // namespace

Result<std::unique_ptr<Daemon>> Daemon::Create(const Machine& machine,
                                               const AgentConfig& config,
                                               Report report) {
  uint32_t uplink_uid = platform::OwnUid();
  if (!config.uplink_user.empty()) {
    CS_ASSIGN_OR_RETURN(uplink_uid, platform::UidOfAccount(config.uplink_user));
  }
  CS_ASSIGN_OR_RETURN(Files files, ReadFiles(config));
  auto daemon = std::make_unique<DaemonImpl>(machine, config, uplink_uid,
                                             std::move(report));
  CS_RETURN_IF_ERROR(daemon->Start(std::move(files)));
  return std::unique_ptr<Daemon>(std::move(daemon));
}

}  // namespace countersign::agent
