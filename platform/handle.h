// A kernel handle (a file descriptor on Linux), owned or borrowed.
//
// Headers of this folder name no type of the operating system: a Handle is
// what the event loop waits on and what one process passes to another.
#ifndef COUNTERSIGN_PLATFORM_HANDLE_H_
#define COUNTERSIGN_PLATFORM_HANDLE_H_

#include <utility>

namespace countersign::platform {

using Handle = int;
inline constexpr Handle kNoHandle = -1;

// Closes what it owns. Movable, not copyable.
class OwnedHandle {
 public:
  OwnedHandle() = default;
  explicit OwnedHandle(Handle handle) : handle_(handle) {}
  OwnedHandle(OwnedHandle&& other) noexcept
      : handle_(std::exchange(other.handle_, kNoHandle)) {}
  OwnedHandle& operator=(OwnedHandle&& other) noexcept {
    if (this != &other) {
      Reset();
      handle_ = std::exchange(other.handle_, kNoHandle);
    }
    return *this;
  }
  OwnedHandle(const OwnedHandle&) = delete;
  OwnedHandle& operator=(const OwnedHandle&) = delete;
  ~OwnedHandle() { Reset(); }

  [[nodiscard]] Handle get() const { return handle_; }
  [[nodiscard]] bool valid() const { return handle_ != kNoHandle; }
  [[nodiscard]] Handle Release() { return std::exchange(handle_, kNoHandle); }
  void Reset();
  // A second handle to the same thing; invalid when none is to be had.
  [[nodiscard]] OwnedHandle Duplicate() const;

 private:
  Handle handle_ = kNoHandle;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_HANDLE_H_
