#include "attest/authz/decision_request.h"

#include "attest/authz/json_writer.h"
#include "attest/base/bytes.h"

namespace countersign::authz {
namespace {

constexpr int64_t kFormat = 1;

std::string_view Name(Strength strength) {
  switch (strength) {
    case Strength::kVerifiedByService:
      return "verified-by-service";
    case Strength::kKernel:
      return "kernel";
    case Strength::kOsService:
      return "os-service";
    case Strength::kSameUserSpoofable:
      return "same-user-spoofable";
    case Strength::kClaimed:
      break;
  }
  return "claimed";
}

void WriteFact(JsonWriter& json, std::string_view key, const Fact& fact) {
  if (fact.value.empty()) return;
  json.BeginObject(key)
      .String("value", fact.value)
      .String("grade", Name(fact.strength))
      .EndObject();
}

}  // namespace

DecisionSubject::DecisionSubject(const SessionFacts& facts,
                                 const v1::SessionBinding& binding,
                                 const v1::DeviceRecord& device) {
  JsonWriter subject;
  subject.BeginObject()
      .String("type", "user")
      .String("id", facts.subject)
      .BeginObject("properties")
      .Optional("verification", facts.verification);
  WriteFact(subject, "os_name", facts.os_name);
  WriteFact(subject, "uid", facts.uid);
  subject.EndObject().EndObject();
  subject_ = std::move(subject).text();

  JsonWriter workload;
  workload.BeginObject().Optional("kind", binding.workload().kind());
  WriteFact(workload, "spiffe_id", facts.spiffe_id);
  WriteFact(workload, "executable", facts.executable);
  WriteFact(workload, "executable_sha256", facts.executable_sha256);
  WriteFact(workload, "unit", facts.unit);
  workload.EndObject();
  workload_ = std::move(workload).text();

  JsonWriter json;
  json.BeginObject()
      .String("id", ToHex(AsBytes(device.device_id())))
      .String("ek_class", device.ek_class())
      .String("ek_trust", device.ek_trust())
      .EndObject();
  device_ = std::move(json).text();
}

std::string DecisionSubject::RequestFor(const v1::ActionRequest& request,
                                        std::string_view approval) const {
  JsonWriter json;
  json.BeginObject()
      .Raw("subject", subject_)
      .BeginObject("action")
      .String("name", request.name())
      .EndObject()
      .BeginObject("resource")
      .String("type", "uri")
      .String("id", request.resource())
      .EndObject()
      .BeginObject("context")
      .Int("format", kFormat)
      .String("purpose", request.purpose())
      .Optional("task_id", request.task_id())
      .Optional("request_sha256", ToHex(AsBytes(request.request_sha256())))
      .Optional("audience", request.grant_audience())
      .Optional("approval", approval)
      .Raw("workload", workload_)
      .Raw("device", device_)
      .EndObject()
      .EndObject();
  return std::move(json).text();
}

std::string DecisionResponse(const PolicyDecision& decision,
                             std::string_view policy_version) {
  const bool permitted = decision.outcome == Outcome::kPermit;
  JsonWriter json;
  json.BeginObject()
      .Bool("decision", permitted)
      .BeginObject("context")
      .String("outcome", authz::Name(decision.outcome))
      .String("rule", decision.rule)
      .String("policy_version", policy_version);
  if (permitted) {
    json.Int("grant_ttl_s", decision.grant_ttl_s);
  } else {
    json.String("reason", countersign::Name(decision.reason));
  }
  json.Optional("approval", decision.approval).EndObject().EndObject();
  return std::move(json).text();
}

}  // namespace countersign::authz
