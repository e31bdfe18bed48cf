// URLs and tokens that a client names: the input is "AUDIENCE\nURI", and each
// line is also tried as an issuer and as an enrollment token.
#include "agent/daemon/audience.h"
#include "agent/daemon/enroll.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  const std::string_view text = FuzzText(data, size);
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string audience(text.substr(0, end));
  const std::string uri(text.substr(std::min(end + 1, text.size())));
  const auto under = agent::CheckUnderAudience(audience, uri);
  if (under.has_value()) {
    // What lies under an audience names no user and climbs out of no folder.
    FuzzCheck(uri.find("://") != std::string::npos);
    const std::string path = uri.substr(0, uri.find_first_of("?#"));
    FuzzCheck(path.find("/../") == std::string::npos);
    FuzzCheck(path.find('\\') == std::string::npos);
    // And it lies under itself.
    FuzzCheck(agent::CheckUnderAudience(uri, uri).has_value());
  } else {
    FuzzCheck(under.error().code == ErrorCode::kForeignAudience);
  }
  for (const std::string& line : {audience, uri}) {
    if (const auto issuer = agent::CheckIssuer(line)) {
      FuzzCheck(!issuer->ends_with('/'));
      FuzzCheck(*agent::CheckIssuer(*issuer) == *issuer);
    }
    if (const auto thumbprint = agent::ThumbprintInToken(line)) {
      FuzzCheck(thumbprint->size() == 43);
    }
  }
  return 0;
}
