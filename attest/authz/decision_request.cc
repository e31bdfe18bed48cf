#include "attest/authz/decision_request.h"

#include <array>
#include <chrono>
#include <cstdio>

#include "attest/authz/approval.h"
#include "attest/authz/json_writer.h"
#include "attest/base/bytes.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr int64_t kFormat = 2;

void WriteFact(JsonWriter& json, std::string_view key, const Fact& fact) {
  if (fact.value.empty()) return;
  json.BeginObject(key)
      .String("value", fact.value)
      .String("grade", Name(fact.strength))
      .EndObject();
}

void WriteUser(JsonWriter& json, const SessionFacts& facts) {
  json.Optional("verification", facts.verification);
  WriteFact(json, "os_name", facts.os_name);
  WriteFact(json, "uid", facts.uid);
  if (!facts.groups.empty()) {
    json.BeginArray("groups");
    for (const std::string& group : facts.groups) json.String({}, group);
    json.EndArray();
  }
  json.Optional("acr", facts.acr);
}

}  // namespace

std::string RfcTime(int64_t unix_ms) {
  const std::chrono::sys_seconds time{std::chrono::seconds(unix_ms / 1000)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ",
                static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()),
                static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

DecisionSubject::DecisionSubject(const SessionFacts& facts,
                                 const v1::SessionBinding& binding,
                                 const v1::DeviceRecord& device) {
  JsonWriter json;
  json.BeginObject()
      .String("type", "user")
      .String("id", facts.subject)
      .BeginObject("properties");
  WriteUser(json, facts);
  json.BeginObject("workload").Optional("kind", binding.workload().kind());
  WriteFact(json, "spiffe_id", facts.spiffe_id);
  WriteFact(json, "executable", facts.executable);
  WriteFact(json, "executable_sha256", facts.executable_sha256);
  WriteFact(json, "unit", facts.unit);
  json.EndObject()
      .BeginObject("device")
      .String("id", ToHex(AsBytes(device.device_id())))
      .String("ek_class", facts.ek_class)
      .String("ek_trust", facts.ek_trust)
      .Optional("boot", facts.boot)
      .Optional("pcr_digest", facts.pcr_digest)
      .EndObject()
      .EndObject()
      .EndObject();
  subject_ = std::move(json).text();
}

std::string DecisionRest(const ActionFacts& facts,
                         const v1::ActionRequest& request,
                         const v1::Approval& approval) {
  JsonWriter json;
  json.BeginObject()
      .BeginObject("action")
      .String("name", request.name())
      .EndObject()
      .BeginObject("resource")
      .String("type", "uri")
      .String("id", request.resource())
      .EndObject()
      .BeginObject("context")
      .Int("format", kFormat)
      .String("time", RfcTime(facts.time_ms))
      .String("purpose", request.purpose())
      .BeginObject("task")
      .Optional("id", request.task_id())
      .Int("actions", static_cast<int64_t>(facts.task_actions))
      .EndObject()
      .Int("session_age_s", facts.session_age_s)
      .Optional("request_sha256", ToHex(AsBytes(request.request_sha256())))
      .Optional("audience", request.grant_audience());
  if (!approval.grade().empty()) WriteApproval(json, approval);
  json.Optional("approved", facts.approval).EndObject().EndObject();
  const std::string text = std::move(json).text();
  return text.substr(1, text.size() - 2);
}

std::string DecisionRequest(std::string_view subject, std::string_view rest) {
  std::string request = "{\"subject\":";
  request.append(subject).append(",").append(rest);
  return request + "}";
}

std::string DecisionResponse(const PolicyDecision& decision,
                             std::string_view policy_version,
                             const Verdict& point) {
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
    json.String("reason", countersign::Name(decision.reason))
        .Optional("detail", decision.detail);
  }
  json.Optional("approval", decision.approval);
  if (point.body != nullptr) {
    json.BeginObject("decision_point")
        .String("body_sha256", ToHex(Sha256(AsBytes(*point.body))))
        .Int("place", point.place)
        .EndObject();
  }
  json.EndObject().EndObject();
  return std::move(json).text();
}

}  // namespace countersign::authz
