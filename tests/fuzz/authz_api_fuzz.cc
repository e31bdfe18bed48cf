// The bodies of every endpoint, from the bytes through parsing to appraisal.
// The first byte picks the endpoint and the form; bodies are taken as they
// are, or merged over good evidence of a device that the service knows, so
// that the checks behind the first one are reached as well.
#include <spdlog/spdlog.h>

#include "attest/base/json_guard.h"
#include "attest/proto/silence.h"
#include "tests/attest/authz/service_rig.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign::authz {
namespace {

// Made once: keys and databases cost time.
struct Bench {
  Bench() : laptop(rig) {
    spdlog::set_level(spdlog::level::off);
    SilenceProtobufLog();
    rig.config.limits.requests_per_s = 1'000'000;
    rig.config.limits.enrollments_per_min = 1'000'000;
    laptop.Enroll();
    session = laptop.OpenSession();
    enrollment = laptop.EnrollmentRequestWith("").SerializeAsString();
    binding = laptop.NewSession().Build().SerializeAsString();
    batch = laptop.NewBatch({laptop.NewAction(session)}).SerializeAsString();
    api = std::make_unique<Api>(*rig.service,
                                *EkAdmission::Load(rig.config.enrollment));
  }
  ServiceRig rig;
  Laptop laptop;
  LaptopSession session;
  std::string enrollment;
  std::string binding;
  std::string batch;
  std::unique_ptr<Api> api;
};

Bench& TheBench() {
  static auto* bench = new Bench;
  return *bench;
}

struct Endpoint {
  const char* path;
  const std::string* good;  // Null: none to merge over.
};

void Check(const Response& response, bool json) {
  FuzzCheck(response.status >= 200 && response.status < 600);
  FuzzCheck(response.status != 500);
  if (json) FuzzCheck(CheckJson(response.body, 16 << 20).has_value());
}

}  // namespace
}  // namespace countersign::authz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  using namespace countersign::authz;
  if (size == 0) return 0;
  Bench& bench = TheBench();
  static const std::string activation =
      "/v1/enrollments/" + std::string(32, '0') + "/activation";
  const Endpoint endpoints[] = {{"/v1/enrollments", &bench.enrollment},
                                {activation.c_str(), nullptr},
                                {"/v1/challenges", nullptr},
                                {"/v1/sessions", &bench.binding},
                                {"/v1/actions", &bench.batch},
                                {"/v1/receipts/verify", nullptr}};
  const Endpoint& endpoint = endpoints[(data[0] >> 2) % std::size(endpoints)];
  const bool json = (data[0] & 1) != 0;
  const bool merge = (data[0] & 2) != 0 && !json && endpoint.good != nullptr;
  Request request;
  request.method = "POST";
  request.path = endpoint.path;
  request.content_type = json ? "application/json" : "application/x-protobuf";
  request.tls_exporter = kConnection.tls_exporter;
  // Protobuf merges messages that follow each other.
  if (merge) request.body = *endpoint.good;
  request.body += FuzzText(data + 1, size - 1);
  Check(bench.api->Handle(request), json);
  return 0;
}
