// A child that waits: started, known by its process handle, and held twice
// until its parent says go: before exec, and as the program that it executes,
// before that program's first instruction. `countersign run` opens the session
// at the second hold, so that the daemon sees the program and nothing that it
// has done yet.
#ifndef COUNTERSIGN_PLATFORM_CHILD_PROCESS_H_
#define COUNTERSIGN_PLATFORM_CHILD_PROCESS_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "attest/base/result.h"
#include "platform/handle.h"

namespace countersign::platform {

class HeldChild {
 public:
  // Forks a child that holds. `argv[0]` is looked up in PATH at Release().
  // Standard streams, working directory and terminal are the caller's.
  [[nodiscard]] static Result<HeldChild> Spawn(std::vector<std::string> argv);
  HeldChild(HeldChild&&) noexcept;
  HeldChild& operator=(HeldChild&&) noexcept;
  // Kills a child that was never let go on; waits for no other.
  ~HeldChild();

  // Lets the child set `environment` (added to the inherited one) and exec;
  // returns once exec has happened, with the program stopped as by SIGSTOP.
  // Where tracing is forbidden it cannot be caught there, and runs. Such a
  // program gets no rights of its file (set-user-ID and capabilities).
  // kNotFound or kIoError when exec failed, with the reason.
  [[nodiscard]] Status Release(
      std::span<const std::pair<std::string, std::string>> environment);
  // Lets the program run. To be called once exec has happened.
  void Continue();
  // Waits for the end; the exit code, or 128 + the signal's number.
  [[nodiscard]] Result<int> Wait();
  // Sends SIGTERM or the like to it; does nothing once it has ended.
  void Signal(int signal);

  // Readable when the child has ended. Borrowed.
  [[nodiscard]] Handle process() const;
  [[nodiscard]] uint32_t pid() const;

 private:
  struct State;
  explicit HeldChild(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_CHILD_PROCESS_H_
