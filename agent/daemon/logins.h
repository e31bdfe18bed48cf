// Who is signed in at the identity provider, for each user of this machine.
//
// Has the TPM quote a login statement for a user, hands the authorization code
// that its digest is the nonce of to the service, which redeems it, and keeps
// what the service says: name and end of a login, never a token. Survives a
// restart; is forgotten when the service says that it has ended.
// Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_LOGINS_H_
#define COUNTERSIGN_AGENT_DAEMON_LOGINS_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/daemon/device.h"
#include "agent/daemon/service_link.h"
#include "agent/daemon/session_registry.h"
#include "agent/daemon/tpm_queue.h"
#include "agent/daemon/worker.h"
#include "countersign/v1/agent.pb.h"

namespace countersign::agent {

class Logins {
 public:
  // All outlive this. `store` is used on `disk` alone, but for Load.
  struct Parts {
    const Clock& clock;
    TpmQueue& tpm;
    Worker& disk;
    Worker& files;
    platform::StateStore& store;
    ServiceLink& service;
    SessionRegistry& sessions;
  };
  using Done = std::function<void(Result<v1::LoginResponse>)>;
  using LoggedOut = std::function<void(Result<v1::LogoutResponse>)>;

  explicit Logins(const Parts& parts) : parts_(parts) {}

  // What an earlier run left; before the loop runs.
  [[nodiscard]] Status Load();
  // Logins of another device are dropped.
  void set_device(DevicePtr device);

  // Of `uid`, while it lasts; null: nobody is signed in.
  [[nodiscard]] const state::UserLogin* Of(uint32_t uid) const;
  [[nodiscard]] static v1::LoginInfo Info(const state::UserLogin& login);

  // For process `pid` of `uid`. The first step: a quoted statement, and what
  // to ask the provider for; or, with `device_code`, what the user must type.
  // It replaces one of that user that is under way.
  //   kNotEnrolled, kBusy (one step at a time)
  //   what ServiceLink, platform::Tpm and the service say
  void Begin(uint32_t uid, uint32_t pid, const std::string& user_name,
             bool device_code, const Done& done);
  // The second step. kLoginUnknown: none is under way, or too long.
  void Finish(uint32_t uid, const v1::LoginRequest& request, const Done& done);
  void Poll(uint32_t uid, const Done& done);

  // Ends the sessions that rest on the login and forgets it, then tells the
  // service, whose error is part of the answer.
  void LogOut(uint32_t uid, const LoggedOut& done);

  // The service has ended it: nothing is told there.
  void Drop(uint32_t uid, const std::string& user_session_id);

 private:
  // A first step that was taken.
  struct Pending {
    v1::LoginEvidence evidence;
    std::string pending_id;  // Of a device-code sign-in.
    int64_t until_mono_ms = 0;
  };

  [[nodiscard]] Result<Pending*> FindPending(uint32_t uid);
  void OnAnswer(uint32_t uid, const ServiceResult& result, const Done& done);
  void Keep(state::UserLogin login, const Done& done);
  void Forget(uint32_t uid);

  Parts parts_;
  DevicePtr device_;
  std::map<uint32_t, state::UserLogin> logins_;
  std::map<uint32_t, Pending> pending_;
  std::map<uint32_t, bool> busy_;  // A step is under way.
};

// `user` as a session of that login shows it.
void DescribeLogin(const state::UserLogin& login, v1::User& user);

// True if sessions that end with `reason` take their login with them.
[[nodiscard]] bool EndsLogin(std::string_view reason);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_LOGINS_H_
