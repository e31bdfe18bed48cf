#include "platform/peer_identity.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "platform/linux/peer_process.h"
#include "platform/linux/proc_entry.h"
#include "platform/linux/process_handle.h"

// Linux 6.5; Debian 12's headers are older than many kernels it runs on.
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

namespace countersign::platform {
namespace {

// What a uid without a name in our user namespace looks like.
constexpr uint32_t kOverflowUid = 65534;
constexpr size_t kMaxParents = 16;
constexpr size_t kMaxArguments = 64;
constexpr int kMaxDepth = 64;

Status CheckUid(uint32_t uid) {
  if (uid == kOverflowUid || uid == UINT32_MAX) {
    return Fail(ErrorCode::kPeerIdentityUnknown,
                "a user of another user namespace");
  }
  return {};
}

std::string UserName(uint32_t uid) {
  std::array<char, 4096> buffer;
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 ||
      found == nullptr) {
    return {};
  }
  return entry.pw_name;
}

Result<OwnedHandle> OpenByPid(uint32_t pid) {
  OwnedHandle process(static_cast<Handle>(
      ::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
  if (process.valid()) return process;
  return Fail(errno == ESRCH ? ErrorCode::kPeerGone : ErrorCode::kIoError,
              std::string("pidfd_open: ") + std::strerror(errno));
}

Status CheckAlive(Handle process) {
  if (HasExited(process)) {
    return Fail(ErrorCode::kPeerGone, "the process has exited");
  }
  return {};
}

}  // namespace

Result<OwnedHandle> OpenPeerProcess(const LocalConnection& connection,
                                    PeerLookup lookup) {
  CS_ASSIGN_OR_RETURN(const PeerCredentials peer, connection.peer());
  if (peer.pid == 0) {
    return Fail(ErrorCode::kPeerIdentityUnknown,
                "a process of another pid namespace");
  }
  CS_RETURN_IF_ERROR(CheckUid(peer.uid));
  if (lookup == PeerLookup::kByHandle) {
    Handle process = kNoHandle;
    socklen_t size = sizeof(process);
    if (::getsockopt(connection.handle(), SOL_SOCKET, SO_PEERPIDFD, &process,
                     &size) == 0) {
      return OwnedHandle(process);
    }
    if (errno != ENOPROTOOPT) {
      return Fail(ErrorCode::kPeerGone, "the process has exited");
    }
  }
  return OpenByPid(peer.pid);
}

struct PinnedPeer::State {
  OwnedHandle process;
  uint32_t pid = 0;
  ProcUser user;
  uint64_t start_time = 0;
  OwnedHandle executable;
  ExecutableFile file;

  Status Pin();
};

// Reads all that identifies the process, then makes sure that it was still the
// same one.
Status PinnedPeer::State::Pin() {
  CS_ASSIGN_OR_RETURN(pid, PidOf(process.get()));
  CS_ASSIGN_OR_RETURN(user, ReadUser(pid));
  CS_RETURN_IF_ERROR(CheckUid(user.effective_uid));
  CS_ASSIGN_OR_RETURN(const ProcStat stat, ReadStat(pid));
  start_time = stat.start_time;
  CS_ASSIGN_OR_RETURN(executable, PinExecutable(pid));
  CS_ASSIGN_OR_RETURN(file, DescribeFile(executable.get()));
  return CheckAlive(process.get());
}

PinnedPeer::PinnedPeer(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
PinnedPeer::PinnedPeer(PinnedPeer&&) noexcept = default;
PinnedPeer& PinnedPeer::operator=(PinnedPeer&&) noexcept = default;
PinnedPeer::~PinnedPeer() = default;

Result<PinnedPeer> PinnedPeer::FromSocket(const LocalConnection& connection) {
  CS_ASSIGN_OR_RETURN(OwnedHandle process,
                      OpenPeerProcess(connection, PeerLookup::kByHandle));
  CS_ASSIGN_OR_RETURN(PinnedPeer peer, FromProcess(std::move(process)));
  CS_ASSIGN_OR_RETURN(const PeerCredentials connected, connection.peer());
  // Without SO_PEERPIDFD the pid may have been reused before we opened it; the
  // next best is that nothing contradicts.
  if (peer.pid() != connected.pid || peer.uid() != connected.uid) {
    return Fail(ErrorCode::kPeerGone, "another process has its number by now");
  }
  return peer;
}

Result<PinnedPeer> PinnedPeer::FromProcess(OwnedHandle process) {
  auto state = std::make_unique<State>();
  state->process = std::move(process);
  CS_RETURN_IF_ERROR(state->Pin());
  return PinnedPeer(std::move(state));
}

Status PinnedPeer::Repin() { return state_->Pin(); }

Status PinnedPeer::Verify() const {
  CS_RETURN_IF_ERROR(CheckAlive(state_->process.get()));
  CS_ASSIGN_OR_RETURN(const OwnedHandle now, PinExecutable(state_->pid));
  CS_ASSIGN_OR_RETURN(const ExecutableFile file, DescribeFile(now.get()));
  CS_ASSIGN_OR_RETURN(const ProcUser user, ReadUser(state_->pid));
  CS_RETURN_IF_ERROR(CheckAlive(state_->process.get()));
  if (file.device != state_->file.device || file.inode != state_->file.inode) {
    return Fail(ErrorCode::kPeerChanged, "it has executed another program");
  }
  if (user.effective_uid != state_->user.effective_uid) {
    return Fail(ErrorCode::kPeerChanged, "it has become another user");
  }
  return {};
}

Status PinnedPeer::VerifyWriter(const PeerCredentials& writer) const {
  if (writer.pid != state_->pid || writer.uid != uid()) {
    return Fail(ErrorCode::kPeerChanged,
                "process " + std::to_string(writer.pid) +
                    " wrote on the connection of process " +
                    std::to_string(state_->pid));
  }
  return Verify();
}

Result<PeerIdentity> PinnedPeer::Describe() const {
  CS_RETURN_IF_ERROR(Verify());
  PeerIdentity identity;
  identity.pid = state_->pid;
  identity.uid = uid();
  identity.gid = state_->user.effective_gid;
  identity.user_name = UserName(identity.uid);
  identity.start_time = state_->start_time;
  CS_ASSIGN_OR_RETURN(
      identity.executable,
      DescribeExecutable(state_->pid, state_->executable.get()));
  CS_ASSIGN_OR_RETURN(const std::string text, ReadProc(state_->pid, "cgroup"));
  ProcCgroup cgroup = ParseCgroup(text);
  identity.unit = std::move(cgroup.unit);
  identity.user_unit = std::move(cgroup.user_unit);
  identity.container_id = std::move(cgroup.container_id);
  CS_ASSIGN_OR_RETURN(const ProcUser now, ReadUser(state_->pid));
  identity.traced = now.tracer != 0;
  const Result<std::string> environment = ReadProc(state_->pid, "environ");
  identity.preloaded =
      environment.has_value() && LoadsForeignCode(*environment);
  identity.parents = ParentsOf(state_->pid, kMaxParents);
  CS_RETURN_IF_ERROR(Verify());
  return identity;
}

Result<std::vector<std::string>> PinnedPeer::Arguments() const {
  CS_ASSIGN_OR_RETURN(const std::string text, ReadProc(state_->pid, "cmdline"));
  CS_RETURN_IF_ERROR(CheckAlive(state_->process.get()));
  return ParseArguments(text, kMaxArguments);
}

// Walks up twice: a link that another process slipped into while we walked
// shows as a difference.
Result<bool> PinnedPeer::IsDescendantOf(const PinnedPeer& ancestor) const {
  std::array<std::vector<std::pair<uint32_t, uint64_t>>, 2> walks;
  bool found = false;
  for (auto& walk : walks) {
    found = false;
    uint32_t pid = state_->pid;
    for (int depth = 0; depth < kMaxDepth && pid != 0 && !found; ++depth) {
      const Result<ProcStat> stat = ReadStat(pid);
      const Result<ProcUser> user = ReadUser(pid);
      if (!stat || !user || user->effective_uid != ancestor.uid()) break;
      walk.emplace_back(pid, stat->start_time);
      found =
          pid == ancestor.pid() && stat->start_time == ancestor.start_time();
      pid = stat->parent;
    }
  }
  CS_RETURN_IF_ERROR(CheckAlive(state_->process.get()));
  CS_RETURN_IF_ERROR(CheckAlive(ancestor.state_->process.get()));
  return found && walks[0] == walks[1];
}

// The other way round than IsDescendantOf: whatever cannot be seen counts
// against it.
Result<bool> PinnedPeer::IsOutsideOf(const PinnedPeer& root) const {
  std::array<std::vector<std::pair<uint32_t, uint64_t>>, 2> walks;
  for (auto& walk : walks) {
    uint32_t pid = state_->pid;
    while (pid != 0) {
      const Result<ProcStat> stat = ReadStat(pid);
      if (!stat || walk.size() == kMaxDepth) return false;
      if (pid == root.pid() && stat->start_time == root.start_time()) {
        return false;
      }
      walk.emplace_back(pid, stat->start_time);
      pid = stat->parent;
    }
  }
  CS_RETURN_IF_ERROR(CheckAlive(state_->process.get()));
  CS_RETURN_IF_ERROR(CheckAlive(root.state_->process.get()));
  return walks[0] == walks[1];
}

Result<bool> PinnedPeer::HasChildren() const {
  Result<bool> has = platform::HasChildren(state_->pid);
  CS_RETURN_IF_ERROR(CheckAlive(state_->process.get()));
  return has;
}

Result<PinnedPeer> PinnedPeer::Parent() const {
  CS_ASSIGN_OR_RETURN(const ProcStat before, ReadStat(state_->pid));
  CS_ASSIGN_OR_RETURN(OwnedHandle process, OpenByPid(before.parent));
  CS_ASSIGN_OR_RETURN(const ProcStat after, ReadStat(state_->pid));
  CS_RETURN_IF_ERROR(CheckAlive(state_->process.get()));
  if (before.parent != after.parent) {
    return Fail(ErrorCode::kPeerGone, "its parent has exited");
  }
  return FromProcess(std::move(process));
}

Result<OwnedHandle> PinnedPeer::OpenExecutable() const {
  const std::string path =
      "/proc/self/fd/" + std::to_string(state_->executable.get());
  OwnedHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.valid()) return file;
  return Fail(ErrorCode::kPeerIdentityUnknown,
              std::string("its executable: ") + std::strerror(errno));
}

Handle PinnedPeer::exit_handle() const { return state_->process.get(); }
uint32_t PinnedPeer::pid() const { return state_->pid; }
uint32_t PinnedPeer::uid() const { return state_->user.effective_uid; }
uint64_t PinnedPeer::start_time() const { return state_->start_time; }

}  // namespace countersign::platform
