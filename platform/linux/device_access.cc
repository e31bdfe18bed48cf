#include "platform/esys/device_access.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

#include "attest/base/text.h"
#include "platform/handle.h"

namespace countersign::platform {
namespace {

constexpr std::string_view kDevice = "device:";

}  // namespace

Error WhyNotOpened(const std::string& tcti) {
  const std::string shown = Printable(tcti);
  if (!tcti.starts_with(kDevice)) {
    return {ErrorCode::kTpmUnavailable, "cannot open " + shown};
  }
  const std::string path = tcti.substr(kDevice.size());
  const OwnedHandle file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file.valid()) {
    return {ErrorCode::kTpmUnavailable, shown + " does not answer as a TPM"};
  }
  const int reason = errno;
  const ErrorCode code = reason == EACCES || reason == EPERM
                             ? ErrorCode::kTpmPermissionDenied
                         : reason == EBUSY ? ErrorCode::kTpmBusy
                                           : ErrorCode::kTpmUnavailable;
  return {code, shown + ": " + std::strerror(reason)};
}

bool HasResourceManager(const std::string& tcti) {
  return tcti.starts_with("device:/dev/tpmrm") || tcti.starts_with("tabrmd");
}

}  // namespace countersign::platform
