#include "agent/daemon/workload.h"

#include <algorithm>
#include <cctype>

#include "attest/base/text.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxPath = 4000;
constexpr size_t kMaxUnit = 1000;
constexpr size_t kMaxSegment = 128;

template <typename Message>
void Observe(Message& message, const char* name, const char* how,
             v1::Grade grade) {
  v1::Observation& observation = *message.add_observations();
  observation.set_name(name);
  observation.set_how(how);
  observation.set_grade(grade);
}

// A host name out of "https://host:port/path".
std::string TrustDomain(const std::string& issuer) {
  const size_t scheme = issuer.find("://");
  const size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  std::string host =
      issuer.substr(start, issuer.find_first_of(":/?#", start) - start);
  std::ranges::transform(host, host.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  return host;
}

// A SPIFFE path segment: letters, digits, '-', '_' and '.' alone, and not a
// dot segment (SPIFFE-ID §2.2).
std::string Segment(const std::string& path) {
  std::string name = path.substr(path.rfind('/') + 1).substr(0, kMaxSegment);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '_' &&
        c != '.') {
      c = '_';
    }
  }
  return name.empty() || name == "." || name == ".." ? "unnamed" : name;
}

}  // namespace

v1::User DescribeUser(const ObservedProcess& process) {
  const platform::PeerIdentity& identity = process.identity;
  v1::User user;
  user.set_os_id(std::to_string(identity.uid));
  Observe(user, "os_id", "SO_PEERCRED", v1::GRADE_KERNEL);
  if (!identity.user_name.empty()) {
    user.set_os_name(Printable(identity.user_name, 250));
    Observe(user, "os_name", "getpwuid", v1::GRADE_OS_SERVICE);
  }
  if (process.login.id.empty()) {
    user.set_verification("os-uid-only");
    return user;
  }
  user.set_os_session_id(Printable(process.login.id, 250));
  user.set_session_start_ms(process.login.start.value_or(0));
  user.set_verification("os-login");
  Observe(
      user, "os_session_id",
      process.login.by_process ? "sd_pid_get_session" : "sd_uid_get_sessions",
      v1::GRADE_OS_SERVICE);
  return user;
}

v1::Workload DescribeWorkload(const ObservedProcess& process,
                              const std::string& issuer,
                              const std::string& device_id) {
  const platform::PeerIdentity& identity = process.identity;
  const v1::Grade grade =
      process.arranged ? v1::GRADE_SAME_USER_SPOOFABLE : v1::GRADE_KERNEL;
  v1::Workload workload;
  workload.set_kind(process.origin.empty() ? "process" : "browser-extension");
  workload.set_executable_path(Printable(identity.executable.path, kMaxPath));
  workload.set_executable_sha256(AsString(process.executable_sha256));
  workload.set_pid(identity.pid);
  workload.set_start_ticks(identity.start_time);
  workload.set_spiffe_id("spiffe://" + TrustDomain(issuer) + "/device/" +
                         ToHex(AsBytes(device_id)) + "/user/" +
                         std::to_string(identity.uid) + "/exe/" +
                         Segment(identity.executable.path));
  Observe(workload, "executable_path", "/proc/PID/exe", grade);
  Observe(workload, "executable_sha256", "read through /proc/PID/exe", grade);
  Observe(workload, "spiffe_id", "from executable_path", grade);
  Observe(workload, "pid", "pidfd", grade);

  const bool in_container = !identity.container_id.empty();
  if (in_container || !identity.unit.empty()) {
    workload.set_unit(Printable(
        in_container ? identity.container_id : identity.unit, kMaxUnit));
    Observe(workload, "unit", "/proc/PID/cgroup", grade);
  }
  for (const platform::ParentProcess& parent : identity.parents) {
    workload.add_parents(parent.executable_path.empty()
                             ? "unreadable"
                             : Printable(parent.executable_path, kMaxPath));
  }
  if (!identity.parents.empty()) {
    Observe(workload, "parents", "/proc/PID/stat",
            v1::GRADE_SAME_USER_SPOOFABLE);
  }
  if (!process.origin.empty()) {
    workload.set_origin(Printable(process.origin, 2000));
    Observe(workload, "origin", "said by the relay", v1::GRADE_CLAIMED);
  }
  return workload;
}

}  // namespace countersign::agent
