#include "platform/handle.h"

#include <fcntl.h>
#include <unistd.h>

namespace countersign::platform {

void OwnedHandle::Reset() {
  if (handle_ >= 0) ::close(handle_);
  handle_ = kNoHandle;
}

OwnedHandle OwnedHandle::Duplicate() const {
  if (!valid()) return {};
  return OwnedHandle(::fcntl(handle_, F_DUPFD_CLOEXEC, 0));
}

}  // namespace countersign::platform
