// A child that waits: started, known by its process handle, and held before
// exec until its parent says go. `countersign run` opens the session for it in
// between, so that no instruction of the command runs without one.
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
  // Kills a child that was never released; waits for no other.
  ~HeldChild();

  // Lets the child set `environment` (added to the inherited one) and exec;
  // returns once exec has happened. kNotFound or kIoError when it failed, with
  // the reason.
  [[nodiscard]] Status Release(
      std::span<const std::pair<std::string, std::string>> environment);
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
