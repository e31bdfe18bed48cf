#include "platform/unclean_mark.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "platform/safe_path.h"

namespace countersign::platform {
namespace {

constexpr char kOpen = 'o';
constexpr char kClosed = 'c';

bool WriteMark(Handle file, char mark) {
  return ::pwrite(file, &mark, 1, 0) == 1 && ::fdatasync(file) == 0;
}

}  // namespace

Result<UncleanMark> UncleanMark::Open(const std::string& path) {
  CS_ASSIGN_OR_RETURN(OwnedHandle file, LockFile(path));
  char mark = kClosed;
  const bool read = ::pread(file.get(), &mark, 1, 0) == 1;
  return UncleanMark(std::move(file), read && mark == kOpen);
}

Status UncleanMark::Opened() {
  if (WriteMark(file_.get(), kOpen)) return {};
  const ErrorCode code =
      errno == ENOSPC ? ErrorCode::kDiskFull : ErrorCode::kIoError;
  return Fail(code, std::string("state.lock: ") + std::strerror(errno));
}

void UncleanMark::Closing() {
  // A mark that stays "open" makes the next start look closer, no more.
  (void)WriteMark(file_.get(), kClosed);
}

}  // namespace countersign::platform
