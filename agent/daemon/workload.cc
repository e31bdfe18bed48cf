#include "agent/daemon/workload.h"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "attest/base/text.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxPath = 4000;
constexpr size_t kMaxUnit = 1000;
constexpr size_t kMaxSegment = 128;
constexpr size_t kMaxOrigin = 2000;
constexpr size_t kMaxPackage = 500;
constexpr uint32_t kWritableByOthers = 022;

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

using Names = std::initializer_list<const char*>;

// Why it may be another program that speaks in the name of this one.
std::vector<const char*> Doubts(const ObservedProcess& process) {
  std::vector<const char*> doubts;
  if (process.owner_is == OwnerIs::kNamed) {
    doubts.push_back("named by a relay or a descendant");
  }
  if (process.owner_is == OwnerIs::kHandedOverWithChildren) {
    doubts.push_back("handed over with children of unknown origin");
  }
  if (process.identity.traced) {
    doubts.push_back("debugged, by TracerPid in /proc/PID/status");
  }
  if (process.identity.preloaded) {
    doubts.push_back("LD_PRELOAD or LD_AUDIT in /proc/PID/environ");
  }
  return doubts;
}

// Why its path may not say which program it is.
std::vector<const char*> PathDoubts(const ObservedProcess& process) {
  const platform::ExecutableFile& file = process.identity.executable;
  if (file.memfd) return {"runs from memory, not from a file"};
  if (file.deleted) return {"its file was replaced or removed"};
  if (!process.path_leads_to_it) return {"its path leads to another file"};
  return {};
}

void Weaken(v1::Workload& workload, Names names,
            const std::vector<const char*>& doubts) {
  for (const char* const doubt : doubts) {
    for (const char* const name : names) {
      if (name == std::string_view("unit") && workload.unit().empty()) continue;
      if (name == std::string_view("package") && workload.package().empty()) {
        continue;
      }
      Observe(workload, name, doubt, v1::GRADE_SAME_USER_SPOOFABLE);
    }
  }
}

// Only the system's manager names the outermost unit. What looks like a
// container further in may be whatever that unit's owner has called it.
void DescribeUnit(const platform::PeerIdentity& identity,
                  v1::Workload& workload) {
  const bool in_container = !identity.container_id.empty();
  const bool named_inside =
      in_container && !identity.unit.empty() &&
      identity.unit.find(identity.container_id) == std::string::npos;
  if (in_container || !identity.unit.empty()) {
    workload.set_unit(Printable(
        in_container ? identity.container_id : identity.unit, kMaxUnit));
    Observe(workload, "unit", "/proc/PID/cgroup",
            named_inside ? v1::GRADE_SAME_USER_SPOOFABLE : v1::GRADE_KERNEL);
  }
  if (!identity.user_unit.empty()) {
    workload.set_user_unit(Printable(identity.user_unit, kMaxUnit));
    Observe(workload, "user_unit", "/proc/PID/cgroup",
            v1::GRADE_SAME_USER_SPOOFABLE);
  }
}

// Of the file alone: who may change a folder above it can replace it.
std::string WhoMayChange(const platform::ExecutableFile& file) {
  if (OnlyRootMayChange(file)) return "file of root, writable by nobody else";
  if ((file.mode & kWritableByOthers) != 0) {
    return "file writable by more than its owner";
  }
  return "file of uid " + std::to_string(file.owner_uid) +
         ", writable by nobody else";
}

// The browser's own word on who it speaks for goes before the extension's.
void DescribeOrigin(const ObservedProcess& process, v1::Workload& workload) {
  const bool told = !process.relay_origin.empty();
  const std::string& origin = told ? process.relay_origin : process.origin;
  if (origin.empty()) return;
  workload.set_origin(Printable(origin, kMaxOrigin));
  Observe(workload, "origin",
          told ? "arguments of the relay" : "said by the relay",
          told ? v1::GRADE_SAME_USER_SPOOFABLE : v1::GRADE_CLAIMED);
}

}  // namespace

bool OnlyRootMayChange(const platform::ExecutableFile& file) {
  return file.owner_uid == 0 && (file.mode & kWritableByOthers) == 0 &&
         !file.deleted && !file.memfd;
}

std::string OriginInArguments(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2) return {};
  const std::string& first = arguments[1];
  if (first.starts_with("chrome-extension://")) return first;
  const bool manifest = first.starts_with('/') && first.ends_with(".json");
  return manifest && arguments.size() > 2 ? arguments[2] : "";
}

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
  v1::Workload workload;
  workload.set_kind(process.origin.empty() && process.relay_origin.empty()
                        ? "process"
                        : "browser-extension");
  workload.set_executable_path(Printable(identity.executable.path, kMaxPath));
  workload.set_executable_sha256(AsString(process.executable_sha256));
  workload.set_pid(identity.pid);
  workload.set_start_ticks(identity.start_time);
  workload.set_spiffe_id("spiffe://" + TrustDomain(issuer) + "/device/" +
                         ToHex(AsBytes(device_id)) + "/user/" +
                         std::to_string(identity.uid) + "/exe/" +
                         Segment(identity.executable.path));
  Observe(workload, "executable_path", "/proc/PID/exe", v1::GRADE_KERNEL);
  const std::string who = WhoMayChange(identity.executable);
  Observe(workload, "executable_path", who.c_str(), v1::GRADE_KERNEL);
  Observe(workload, "executable_sha256", "read through /proc/PID/exe",
          v1::GRADE_KERNEL);
  Observe(workload, "spiffe_id", "from executable_path", v1::GRADE_KERNEL);
  Observe(workload, "pid", "pidfd", v1::GRADE_KERNEL);
  DescribeUnit(identity, workload);
  if (!process.package.empty()) {
    workload.set_package(Printable(process.package, kMaxPackage));
    Observe(workload, "package", "dpkg's lists of files", v1::GRADE_OS_SERVICE);
  }
  Weaken(workload, {"executable_path", "spiffe_id"}, PathDoubts(process));
  Weaken(workload,
         {"executable_path", "executable_sha256", "spiffe_id", "pid", "unit",
          "package"},
         Doubts(process));

  for (const platform::ParentProcess& parent : identity.parents) {
    workload.add_parents(parent.executable_path.empty()
                             ? "unreadable"
                             : Printable(parent.executable_path, kMaxPath));
  }
  if (!identity.parents.empty()) {
    Observe(workload, "parents", "/proc/PID/stat",
            v1::GRADE_SAME_USER_SPOOFABLE);
  }
  DescribeOrigin(process, workload);
  return workload;
}

}  // namespace countersign::agent
