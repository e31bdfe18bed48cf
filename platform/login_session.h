// The login session that a process belongs to, by the session manager's word.
//
// On Linux systemd-logind is asked through libsystemd. Where there is no
// session (a service, ssh without PAM, a container) the result says so and
// nothing is guessed: the user id alone is then what the Evidence shows.
#ifndef COUNTERSIGN_PLATFORM_LOGIN_SESSION_H_
#define COUNTERSIGN_PLATFORM_LOGIN_SESSION_H_

#include <cstdint>
#include <optional>
#include <string>

#include "attest/base/result.h"

namespace countersign::platform {

struct LoginSession {
  uint32_t uid = 0;
  // Empty: there is no login session, and all below is empty as well.
  std::string id;
  // False: the user's service manager started the process, and this is the
  // session that the user sits at.
  bool by_process = false;
  std::string seat;              // E.g. "seat0"; empty for remote ones.
  std::string type;              // "wayland", "x11", "tty", "unspecified".
  bool remote = false;           // Over the network.
  bool active = false;           // In the foreground of its seat.
  std::optional<bool> locked;    // Unknown when the desktop does not say.
  std::optional<int64_t> start;  // Milliseconds since 1970, host clock.
};

// The session of process `pid`, whose user is `uid`. A session that belongs
// to another user (su, sudo) is not taken: the result is then without one.
// kPeerGone when the process has exited.
[[nodiscard]] Result<LoginSession> FindLoginSession(uint32_t pid, uint32_t uid);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_LOGIN_SESSION_H_
