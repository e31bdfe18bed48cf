#include "attest/authz/policy/request_reader.h"

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "attest/authz/toml_reader.h"
#include "attest/base/json_guard.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

using Json = nlohmann::json;

// One object, as strictly as TomlReader reads a table. The first complaint is
// kept.
class ObjectReader {
 public:
  ObjectReader(const Json& object, std::string path, std::string* complaint)
      : object_(object), path_(std::move(path)), complaint_(complaint) {
    if (!object_.is_object()) Complain("", "must be an object");
  }

  void String(const char* key, std::string* value) {
    const Json* member = Get(key);
    if (member == nullptr) return;
    if (!member->is_string()) return Complain(key, "must be a text");
    *value = member->get<std::string>();
  }
  void Int(const char* key, int64_t* value) {
    const Json* member = Get(key);
    if (member == nullptr) return;
    if (!member->is_number_unsigned() || member->get<uint64_t>() > INT32_MAX) {
      return Complain(key, "must be a whole number");
    }
    *value = member->get<int64_t>();
  }
  void Strings(const char* key, std::vector<std::string>* values) {
    const Json* member = Get(key);
    if (member == nullptr) return;
    if (!member->is_array()) return Complain(key, "must be a list of texts");
    for (const Json& one : *member) {
      if (!one.is_string()) return Complain(key, "must be a list of texts");
      values->push_back(one.get<std::string>());
    }
  }
  void GradedFact(const char* key, Fact* fact) {
    const Json* member = Get(key);
    if (member == nullptr) return;
    if (member->is_string()) {
      *fact = {member->get<std::string>(), Strength::kKernel};
      return;
    }
    ObjectReader reader(*member, path_ + key + ".", complaint_);
    reader.String("value", &fact->value);
    std::string grade = "kernel";
    reader.String("grade", &grade);
    for (const Strength strength :
         {Strength::kVerifiedByService, Strength::kKernel, Strength::kOsService,
          Strength::kSameUserSpoofable, Strength::kClaimed}) {
      fact->strength = strength;
      if (Name(strength) == grade) return reader.Finish();
    }
    reader.Complain("grade", "is unknown");
  }
  void Skip(const char* key) { Get(key); }
  // An empty object if there is none.
  ObjectReader Object(const char* key) {
    static const Json kNone = Json::object();
    const Json* member = Get(key);
    return {member == nullptr ? kNone : *member, path_ + key + ".", complaint_};
  }

  void Complain(std::string_view key, std::string_view what) {
    if (!complaint_->empty()) return;
    std::string name = path_ + std::string(key);
    if (name.ends_with('.')) name.pop_back();
    *complaint_ =
        (name.empty() ? "the request" : name) + " " + std::string(what);
  }
  void Finish() {
    if (!object_.is_object()) return;
    for (const auto& [key, value] : object_.items()) {
      if (!known_.contains(key)) {
        Complain(Printable(key), "is unknown");
      }
    }
  }

 private:
  const Json* Get(const char* key) {
    known_.insert(key);
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const Json& object_;
  std::string path_;
  std::string* complaint_;
  std::set<std::string, std::less<>> known_;
};

bool ReadTime(const std::string& text, int64_t* time_ms) {
  unsigned year = 0;
  unsigned month = 0;
  unsigned day = 0;
  unsigned hour = 0;
  unsigned minute = 0;
  unsigned second = 0;
  int end = 0;
  if (std::sscanf(text.c_str(), "%4u-%2u-%2uT%2u:%2u:%2uZ%n", &year, &month,
                  &day, &hour, &minute, &second, &end) != 6 ||
      static_cast<size_t>(end) != text.size()) {
    return false;
  }
  const std::chrono::year_month_day date{
      std::chrono::year(static_cast<int>(year)), std::chrono::month(month),
      std::chrono::day(day)};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return false;
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  *time_ms = ((days * 24 + hour) * 60 + minute) * 60'000 + second * 1000;
  return *time_ms >= 0;
}

void ReadSubject(ObjectReader subject, SessionFacts* facts) {
  subject.Skip("type");
  subject.String("id", &facts->subject);
  if (facts->subject.empty()) subject.Complain("id", "is missing");
  ObjectReader properties = subject.Object("properties");
  properties.String("verification", &facts->verification);
  properties.GradedFact("os_name", &facts->os_name);
  properties.GradedFact("uid", &facts->uid);
  properties.Strings("groups", &facts->groups);
  properties.String("acr", &facts->acr);
  ObjectReader workload = properties.Object("workload");
  workload.Skip("kind");
  workload.GradedFact("spiffe_id", &facts->spiffe_id);
  workload.GradedFact("executable", &facts->executable);
  workload.GradedFact("executable_sha256", &facts->executable_sha256);
  workload.GradedFact("unit", &facts->unit);
  workload.Finish();
  ObjectReader device = properties.Object("device");
  device.Skip("id");
  device.String("ek_class", &facts->ek_class);
  device.String("ek_trust", &facts->ek_trust);
  device.String("boot", &facts->boot);
  device.String("pcr_digest", &facts->pcr_digest);
  device.Finish();
  properties.Finish();
  subject.Finish();
}

void ReadContext(ObjectReader context, AskedFacts* facts) {
  for (const char* key : {"format", "request_sha256", "approval"}) {
    context.Skip(key);
  }
  std::string time;
  context.String("time", &time);
  if (!time.empty() && !ReadTime(time, &facts->time_ms)) {
    context.Complain("time", "must be like 2026-11-21T13:56:41Z");
  }
  context.String("purpose", &facts->purpose);
  context.String("audience", &facts->audience);
  context.String("approved", &facts->approved);
  context.Int("session_age_s", &facts->session_age_s);
  ObjectReader task = context.Object("task");
  task.Skip("id");
  int64_t actions = 0;
  task.Int("actions", &actions);
  facts->task_actions = static_cast<uint64_t>(actions);
  task.Finish();
  context.Finish();
}

void ReadRequest(ObjectReader request, AskedFacts* facts) {
  ReadSubject(request.Object("subject"), &facts->session);
  ObjectReader action = request.Object("action");
  action.String("name", &facts->name);
  if (facts->name.empty()) action.Complain("name", "is missing");
  action.Finish();
  ObjectReader resource = request.Object("resource");
  resource.Skip("type");
  resource.String("id", &facts->resource);
  if (facts->resource.empty()) resource.Complain("id", "is missing");
  resource.Finish();
  ReadContext(request.Object("context"), facts);
  request.Finish();
}

PolicyExample ReadExample(ObjectReader reader) {
  PolicyExample example;
  reader.String("name", &example.name);
  if (example.name.empty()) reader.Complain("name", "is missing");
  reader.String("outcome", &example.outcome);
  if (example.outcome != "permit" && example.outcome != "deny" &&
      example.outcome != "approval_required") {
    reader.Complain("outcome", "must be permit, deny or approval_required");
  }
  reader.String("rule", &example.rule);
  reader.String("reason", &example.reason);
  reader.Int("grant_ttl_s", &example.grant_ttl_s);
  ReadRequest(reader.Object("request"), &example.facts);
  reader.Finish();
  return example;
}

Result<Json> ExamplesAsJson(std::string_view text, std::string_view source) {
  std::string json(text);
  if (!source.ends_with(".json")) {
    CS_ASSIGN_OR_RETURN(const toml::table table, ParseToml(text, source));
    std::ostringstream out;
    out << toml::json_formatter(table);
    json = out.str();
  }
  if (const Status sound = CheckJson(json, 2 * kMaxExamples); !sound) {
    return Fail(ErrorCode::kConfigInvalid,
                std::string(source) + ":1: " + sound.error().detail);
  }
  return Json::parse(json, nullptr, /*allow_exceptions=*/false);
}

}  // namespace

ActionFacts AskedFacts::action() const {
  return {.name = name,
          .resource = resource,
          .purpose = purpose,
          .audience = audience,
          .approval = approved,
          .time_ms = time_ms,
          .session_age_s = session_age_s,
          .task_actions = task_actions};
}

Result<AskedFacts> ReadDecisionRequest(std::string_view json) {
  CS_RETURN_IF_ERROR(CheckJson(json, kMaxExamples));
  const Json request = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  AskedFacts facts;
  std::string complaint;
  ReadRequest({request, "", &complaint}, &facts);
  if (!complaint.empty()) return Fail(ErrorCode::kBadRequest, complaint);
  return facts;
}

Result<std::vector<PolicyExample>> ReadExamples(std::string_view text,
                                                std::string_view source) {
  CS_ASSIGN_OR_RETURN(const Json root, ExamplesAsJson(text, source));
  const std::string where(source);
  if (!root.is_object() || root.size() != 1 || !root.contains("example") ||
      !root["example"].is_array() || root["example"].empty()) {
    return Fail(ErrorCode::kConfigInvalid,
                where + ":1: must hold examples, and nothing else");
  }
  std::vector<PolicyExample> examples;
  for (const Json& one : root["example"]) {
    std::string complaint;
    examples.push_back(ReadExample({one, "", &complaint}));
    if (complaint.empty()) continue;
    const std::string name = examples.back().name.empty()
                                 ? std::to_string(examples.size())
                                 : "'" + Printable(examples.back().name) + "'";
    return Fail(ErrorCode::kConfigInvalid,
                where + ": example " + name + ": " + complaint);
  }
  return examples;
}

}  // namespace countersign::authz
