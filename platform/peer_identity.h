// Which program is at the other end, as the kernel shows it.
//
// A PinnedPeer holds one process from connect to close: its pidfd (so that a
// reused pid is never mistaken for it), its start time and its open
// executable. It defeats two tricks: connecting, then letting a child that
// runs an allowed program talk; and connecting, then becoming an allowed
// program by exec (protocol.md §10). What it cannot see: ptrace, a preloaded
// library, root. It trusts nothing that the peer says.
// Not thread-safe, but HashExecutable may run on another thread.
#ifndef COUNTERSIGN_PLATFORM_PEER_IDENTITY_H_
#define COUNTERSIGN_PLATFORM_PEER_IDENTITY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/result.h"
#include "platform/handle.h"
#include "platform/local_socket.h"

namespace countersign::platform {

// The file that a process executes, by what it is and not by its name.
struct ExecutableFile {
  // As the process itself would see it; hostile text. Empty for memfd.
  std::string path;
  uint64_t device = 0;
  uint64_t inode = 0;
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  int64_t ctime_ns = 0;
  uint32_t owner_uid = 0;
  uint32_t mode = 0;
  bool deleted = false;  // Replaced or removed since it was started.
  bool memfd = false;    // Never was a file.
};

// Does its path lead to this very file here, too? A process may have a view of
// the file system of its own, and there give its program any name. Looks at the
// path, which may take long, and without end where a network file system's
// server is gone (as reading the executable may, see ExecutableHasher): never
// on the event loop.
[[nodiscard]] bool PathLeadsTo(const ExecutableFile& file);

struct ParentProcess {
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint64_t start_time = 0;
  std::string executable_path;  // Empty when we may not look.
  uint64_t device = 0;          // 0 when we may not look.
  uint64_t inode = 0;
};

struct PeerIdentity {
  uint32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string user_name;    // Empty when the uid has none.
  uint64_t start_time = 0;  // Clock ticks since boot; with pid, unique.
  ExecutableFile executable;
  std::string unit;          // Of the system's service manager, or empty.
  std::string user_unit;     // Of the user's own: a name of the user's choice.
  std::string container_id;  // 64 hex digits, or empty. As `user_unit`.
  // Seen at this moment; their absence proves nothing.
  bool traced = false;     // Somebody debugs it.
  bool preloaded = false;  // LD_PRELOAD or LD_AUDIT was in its environment.
  // Nearest first, at most 16, ending at pid 1. A hint: any process of the
  // same user can arrange to have this parent.
  std::vector<ParentProcess> parents;
};

class PinnedPeer {
 public:
  // The process that called connect(). Checks, in this order:
  //   kPeerIdentityUnknown  outside our pid or user namespace (pid 0, the
  //                         overflow uid 65534), or its /proc entry or
  //                         executable may not be read
  //   kPeerGone             has exited, or exited while we looked
  [[nodiscard]] static Result<PinnedPeer> FromSocket(
      const LocalConnection& connection);
  // The process behind `process` (received with SCM_RIGHTS). Same errors.
  [[nodiscard]] static Result<PinnedPeer> FromProcess(OwnedHandle process);

  PinnedPeer(PinnedPeer&&) noexcept;
  PinnedPeer& operator=(PinnedPeer&&) noexcept;
  ~PinnedPeer();

  // Still the same process running the same executable? To be asked at every
  // request. kPeerGone when it has exited, kPeerChanged when it has executed
  // something else or changed its user.
  [[nodiscard]] Status Verify() const;
  // Verify(), and `writer` is this very process: kPeerChanged when another
  // one wrote the frame, its child or one that was passed the socket included.
  [[nodiscard]] Status VerifyWriter(const PeerCredentials& writer) const;

  // Everything but the hash. Verifies before and after reading /proc.
  [[nodiscard]] Result<PeerIdentity> Describe() const;
  // Takes over what the process runs *now* as its identity: for a child that
  // was pinned before its exec (countersign run). kPeerGone.
  [[nodiscard]] Status Repin();

  // Is this process `ancestor` itself or a live descendant of it with the
  // same uid? kPeerGone when either has exited.
  [[nodiscard]] Result<bool> IsDescendantOf(const PinnedPeer& ancestor) const;

  // Has it a child now? None means that nothing which was forked before it
  // became what it is, by a program that is not its own, will ever be below
  // it. True also where that cannot be told: over 256 threads, or such as
  // come and go too fast, or a kernel that does not say. kPeerGone.
  [[nodiscard]] Result<bool> HasChildren() const;

  // Is it shown that this process is neither `root` nor any descendant of it,
  // whoever's they are? False where the way up is too long or changes while we
  // look. What was re-parented is outside. kPeerGone when either has exited.
  [[nodiscard]] Result<bool> IsOutsideOf(const PinnedPeer& root) const;

  // Becomes readable when the process has exited. Borrowed.
  [[nodiscard]] Handle exit_handle() const;
  [[nodiscard]] uint32_t pid() const;
  [[nodiscard]] uint32_t uid() const;
  [[nodiscard]] uint64_t start_time() const;

  // A handle to the open executable, for HashExecutable on another thread.
  [[nodiscard]] Result<OwnedHandle> OpenExecutable() const;

  // The parent process, pinned: the owner when the peer is a relay.
  [[nodiscard]] Result<PinnedPeer> Parent() const;

 private:
  struct State;
  explicit PinnedPeer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// SHA-256 of a whole executable, at most `max_bytes` long (kTooLarge). Takes
// as long as reading the file: never on the event loop. Cached by (device,
// inode, size, mtime, ctime); a file that changes while it is read is
// kPeerChanged. Thread-safe.
class ExecutableHasher {
 public:
  explicit ExecutableHasher(uint64_t max_bytes = uint64_t{2} << 30);
  ExecutableHasher(const ExecutableHasher&) = delete;
  ExecutableHasher& operator=(const ExecutableHasher&) = delete;
  ~ExecutableHasher();
  [[nodiscard]] Result<Sha256Digest> Hash(const OwnedHandle& executable);
  // The cached digest, without reading anything; kNotFound when there is none.
  [[nodiscard]] Result<Sha256Digest> Cached(const ExecutableFile& file) const;

 private:
  struct Cache;
  uint64_t max_bytes_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_PEER_IDENTITY_H_
