// What OAuth clients send: forms, Basic credentials, assertions. The input is
// a body as it is, and a client's credentials in each of their places.
#include <spdlog/spdlog.h>

#include "attest/authz/oauth/form.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/oauth/resource_server.h"
#include "attest/base/json_guard.h"
#include "tests/attest/authz/service_rig.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign::authz {
namespace {

struct Bench {
  Bench() {
    spdlog::set_level(spdlog::level::off);
    rig.config.limits.requests_per_s = 1'000'000;
    api = std::make_unique<Api>(*rig.service,
                                *EkAdmission::Load(rig.config.enrollment));
  }
  ServiceRig rig;
  std::unique_ptr<Api> api;
};

void Ask(Bench& bench, const char* path, const std::string& body,
         const std::string& credentials) {
  Request request;
  request.method = "POST";
  request.path = path;
  request.content_type = "application/x-www-form-urlencoded";
  request.body = body;
  request.authorization = credentials;
  request.client_attestation = credentials;
  request.dpop = credentials;
  const Response response = bench.api->Handle(request);
  // Nobody is known here, so nothing may succeed.
  FuzzCheck(response.status == 400 || response.status == 401);
  FuzzCheck(CheckJson(response.body, 1 << 20).has_value());
}

}  // namespace
}  // namespace countersign::authz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  using namespace countersign::authz;
  static auto* const bench = new Bench;
  const std::string text(FuzzText(data, size));
  const auto form = Form::Parse("application/x-www-form-urlencoded", text);
  if (form) FuzzCheck(form->Get("token").size() <= Form::kMaxValue);
  for (const char* path : {"/oauth/token", "/oauth/introspect"}) {
    Ask(*bench, path, text, {});
    Ask(*bench, path, "token=x", text);
    Ask(*bench, path, "token=x", "Basic " + ToBase64(AsBytes(text)));
  }
  FuzzCheck(!AuthenticateResourceServer(
      *bench->rig.service, {.authorization = {},
                            .client_id = {},
                            .assertion_type = std::string(kJwtBearer),
                            .assertion = text}));
  return 0;
}
