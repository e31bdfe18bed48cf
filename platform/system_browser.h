// The browser that the user of this session has chosen.
#ifndef COUNTERSIGN_PLATFORM_SYSTEM_BROWSER_H_
#define COUNTERSIGN_PLATFORM_SYSTEM_BROWSER_H_

#include <string>

#include "attest/base/result.h"

namespace countersign::platform {

// Shows `url`, which the caller made or checked, in it; returns once it was
// asked to. kNotFound: there is none, or no screen to show it on.
[[nodiscard]] Status OpenInBrowser(const std::string& url);

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_SYSTEM_BROWSER_H_
