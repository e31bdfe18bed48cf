#include "platform/login_session.h"

#include <systemd/sd-bus.h>
#include <systemd/sd-login.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace countersign::platform {
namespace {

constexpr uint64_t kBusTimeoutUs = 2'000'000;

struct Free {
  void operator()(char* text) const { ::free(text); }
};
using Text = std::unique_ptr<char, Free>;

// Runs one of libsystemd's "give me a string" calls; empty if it has none.
template <typename Call>
std::string TextFrom(Call call) {
  char* raw = nullptr;
  const int rc = call(&raw);
  const Text text(raw);
  return rc >= 0 && text != nullptr ? std::string(text.get()) : std::string();
}

struct BusClose {
  void operator()(sd_bus* bus) const { ::sd_bus_flush_close_unref(bus); }
};

// What only the session manager's bus interface tells: when the session began
// and whether its screen is locked.
void AskTheBus(LoginSession& session) {
  sd_bus* raw = nullptr;
  if (::sd_bus_open_system(&raw) < 0) return;
  const std::unique_ptr<sd_bus, BusClose> bus(raw);
  ::sd_bus_set_method_call_timeout(raw, kBusTimeoutUs);
  const std::string path = TextFrom([&](char** text) {
    return ::sd_bus_path_encode("/org/freedesktop/login1/session",
                                session.id.c_str(), text);
  });
  const auto property = [&](const char* name, char type, void* value) {
    return ::sd_bus_get_property_trivial(raw, "org.freedesktop.login1",
                                         path.c_str(),
                                         "org.freedesktop.login1.Session", name,
                                         nullptr, type, value) >= 0;
  };
  uint64_t start_us = 0;
  if (property("Timestamp", 't', &start_us)) {
    session.start = static_cast<int64_t>(start_us / 1000);
  }
  int locked = 0;
  if (property("LockedHint", 'b', &locked)) session.locked = locked != 0;
}

// The session of the process; else, for a program that the user's own service
// manager started (as desktops do), the session that the user sits at.
std::string SessionId(pid_t pid, uid_t uid, bool* by_process) {
  std::string id =
      TextFrom([&](char** text) { return ::sd_pid_get_session(pid, text); });
  *by_process = !id.empty();
  if (!id.empty()) return id;
  uid_t owner = 0;
  if (::sd_pid_get_owner_uid(pid, &owner) < 0 || owner != uid) return {};
  return TextFrom([&](char** text) { return ::sd_uid_get_display(uid, text); });
}

}  // namespace

Result<LoginSession> FindLoginSession(uint32_t pid, uint32_t uid) {
  LoginSession session;
  session.uid = uid;
  const auto process = static_cast<pid_t>(pid);
  uid_t ignored = 0;
  if (::sd_pid_get_owner_uid(process, &ignored) == -ESRCH) {
    return Fail(ErrorCode::kPeerGone, "the process has exited");
  }
  session.id = SessionId(process, uid, &session.by_process);
  uid_t owner = 0;
  if (session.id.empty() ||
      ::sd_session_get_uid(session.id.c_str(), &owner) < 0 || owner != uid) {
    session.id.clear();
    session.by_process = false;
    return session;
  }
  const char* id = session.id.c_str();
  session.seat =
      TextFrom([id](char** text) { return ::sd_session_get_seat(id, text); });
  session.type =
      TextFrom([id](char** text) { return ::sd_session_get_type(id, text); });
  session.remote = ::sd_session_is_remote(id) > 0;
  session.active = ::sd_session_is_active(id) > 0;
  AskTheBus(session);
  return session;
}

}  // namespace countersign::platform
