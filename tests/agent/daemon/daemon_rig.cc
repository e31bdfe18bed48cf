#include "tests/agent/daemon/daemon_rig.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "platform/local_socket.h"

namespace countersign::agent {
namespace {

constexpr std::chrono::seconds kPatience{20};

template <typename T>
T Must(Result<T> result, const char* what) {
  if (!result.has_value()) {
    std::fprintf(stderr, "%s: %s %s\n", what,
                 std::string(Name(result.error().code)).c_str(),
                 result.error().detail.c_str());
    std::abort();
  }
  return *std::move(result);
}

}  // namespace

DaemonRig::DaemonRig(std::function<void(AgentConfig&)> configure) {
  char name[] = "/tmp/countersign-daemon-XXXXXX";
  folder = ::mkdtemp(name);
  config.state_dir = folder + "/state";
  config.socket = folder + "/agent.sock";
  config.uplink_socket = folder + "/uplink.sock";
  config.tpm.event_log = folder + "/event_log";
  config.session.open_timeout_ms = 5'000;
  ::mkdir(config.state_dir.c_str(), 0700);
  const Bytes log = tpm.event_log();
  std::ofstream(config.tpm.event_log, std::ios::binary)
      .write(reinterpret_cast<const char*>(log.data()),
             static_cast<std::streamsize>(log.size()));
  if (configure) configure(config);
  StartDaemon();
  uplink = std::make_unique<TestUplink>(config.uplink_socket, service);
  uplink->Start();
  if (!Eventually([&] { return Status().uplink_connected(); })) std::abort();
}

DaemonRig::~DaemonRig() {
  tpm.Release();
  service.Release();
  if (uplink != nullptr) uplink->Stop();
  StopDaemon();
  std::filesystem::remove_all(folder);
}

void DaemonRig::StartDaemon() {
  thread_ = std::make_unique<LoopThread>();
  auto failing = std::make_unique<FailingStore>(
      Must(platform::StateStore::Open(config.state_dir), "state"));
  store = failing.get();
  store_ = std::move(failing);
  thread_->Sync([this] {
    daemon_ =
        Must(Daemon::Create({thread_->loop(), clock, tpm, *store_}, config,
                            [this](const std::string& line) {
                              const std::lock_guard lock(mutex_);
                              reported_ += line + "\n";
                            }),
             "daemon");
    const auto listening = daemon_->Listen(
        Must(platform::LocalListener::Listen(config.socket, 0666), "socket"),
        Must(platform::LocalListener::Listen(config.uplink_socket, 0600),
             "uplink socket"));
    if (!listening.has_value()) std::abort();
  });
}

void DaemonRig::StopDaemon() {
  if (thread_ == nullptr) return;
  thread_->Stop();
  daemon_.reset();
  store_.reset();
  store = nullptr;
  thread_.reset();
}

Client DaemonRig::Connect() const {
  return Must(Client::Connect(config.socket, kPatience), "connect");
}

Result<v1::Response> DaemonRig::Call(const v1::Request& request) const {
  Client client = Connect();
  return client.Call(request, kPatience);
}

Result<v1::EnrollResponse> DaemonRig::Enroll() {
  v1::Request request;
  request.mutable_enroll()->set_service(TestService::kIssuer);
  request.mutable_enroll()->set_token(service.token());
  CS_ASSIGN_OR_RETURN(const v1::Response response, Call(request));
  return response.enroll();
}

Result<std::string> DaemonRig::OpenSession(Client& client) {
  CS_ASSIGN_OR_RETURN(const v1::Response response,
                      client.Call(OpenSessionAsk(), kPatience));
  return response.open_session().session().session_id();
}

Result<v1::AuthorizeResponse> DaemonRig::Authorize(Client& client,
                                                   const std::string& session,
                                                   const std::string& name) {
  CS_ASSIGN_OR_RETURN(const v1::Response response,
                      client.Call(AuthorizeAsk(session, name), kPatience));
  return response.authorize();
}

v1::StatusResponse DaemonRig::Status() const {
  v1::Request request;
  request.mutable_status();
  return Must(Call(request), "status").status();
}

void DaemonRig::Reconfigure(const Result<AgentConfig>& changed) {
  thread_->Sync([&] { daemon_->Reconfigure(changed); });
}

void DaemonRig::Drain(std::chrono::milliseconds at_most) {
  std::promise<void> drained;
  thread_->loop().Post(
      [&] { daemon_->Drain(at_most, [&] { drained.set_value(); }); });
  drained.get_future().wait();
}

std::string DaemonRig::reported() const {
  const std::lock_guard lock(mutex_);
  return reported_;
}

v1::Request OpenSessionAsk(const std::string& purpose) {
  v1::Request request;
  request.mutable_open_session()->set_purpose(purpose);
  return request;
}

v1::Request AuthorizeAsk(const std::string& session, const std::string& name) {
  v1::Request request;
  v1::AuthorizeRequest& authorize = *request.mutable_authorize();
  authorize.set_session_id(session);
  authorize.set_name(name);
  authorize.set_resource("https://api.test/v1/things");
  authorize.set_grant_audience("https://api.test");
  return request;
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace countersign::agent
