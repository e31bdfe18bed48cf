// What the uplink brings. Nobody holds the pinned key, so nothing is ever an
// answer, and never a refusal by the service either.
#include "agent/daemon/service_link.h"
#include "attest/base/digest.h"
#include "attest/jose/es256.h"
#include "attest/proto/silence.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign::agent {
namespace {

ServiceAddress MakeAddress() {
  SilenceProtobufLog();
  jose::KeySet keys;
  keys.Add(jose::Es256Key::Generate()->public_key());
  return {"https://authz.test", "00", "",
          std::make_shared<const jose::KeySet>(std::move(keys))};
}

}  // namespace
}  // namespace countersign::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  static const agent::ServiceAddress address = agent::MakeAddress();
  const Sha256Digest request{};
  v1::UplinkResponse response;
  // As a whole response, and as the body of one.
  const bool parsed = response.ParseFromArray(data, static_cast<int>(size));
  for (const bool whole : {true, false}) {
    if (whole && !parsed) continue;
    if (!whole) {
      response.Clear();
      response.set_http_status(200);
      response.set_body(std::string(FuzzText(data, size)));
    }
    const auto result =
        agent::VerifyResponse(address, "decisions", request, response);
    FuzzCheck(!result.has_value() && !result.error().refused);
    FuzzCheck(result.error().retry_after_s <= 3600);
    FuzzCheck(agent::MayHeal(result.error()));
  }
  return 0;
}
