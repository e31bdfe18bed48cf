#include "attest/authz/policy/decision_answer.h"

#include <nlohmann/json.hpp>

#include "attest/base/json_guard.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxReason = 256;
constexpr size_t kMaxAudiences = 64;

tl::unexpected<Error> NoDecision(std::string what) {
  return Fail(ErrorCode::kDecisionPointAnswer, std::move(what));
}

Result<Json> Parse(std::string_view body) {
  if (const Status sound = CheckJson(body, kMaxDecisionAnswer); !sound) {
    return NoDecision("not JSON: " + sound.error().detail);
  }
  Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return NoDecision("not JSON");
  return json;
}

// Member `key` of the context, or null.
const Json* Find(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

Status ReadAudiences(const Json& list, std::vector<std::string>* audiences) {
  if (!list.is_array() || list.empty() || list.size() > kMaxAudiences) {
    return NoDecision("context.audiences is not a list of 1 to 64");
  }
  for (const Json& audience : list) {
    if (!audience.is_string()) return NoDecision("an audience is no text");
    audiences->push_back(audience.get<std::string>());
  }
  return {};
}

Status ReadPermit(const Json& context, Verdict* verdict) {
  verdict->decision.outcome = Outcome::kPermit;
  if (const Json* ttl = Find(context, "grant_ttl_s")) {
    if (!ttl->is_number_unsigned() || ttl->get<uint64_t>() < 1 ||
        ttl->get<uint64_t>() > kMaxGrantTtlS) {
      return NoDecision("context.grant_ttl_s is not 1 to 300");
    }
    verdict->decision.grant_ttl_s = ttl->get<int64_t>();
  }
  if (const Json* audiences = Find(context, "audiences")) {
    return ReadAudiences(*audiences, &verdict->audiences);
  }
  return {};
}

Status ReadRefusal(const Json& context, std::string_view outcome,
                   PolicyDecision* decision) {
  if (const Json* reason = Find(context, "reason");
      reason != nullptr && reason->is_string()) {
    decision->detail =
        Printable(reason->get_ref<const std::string&>(), kMaxReason);
  }
  if (outcome != "approval_required") {
    decision->reason = ErrorCode::kDecisionPointDenied;
    return {};
  }
  decision->outcome = Outcome::kApprovalRequired;
  decision->reason = ErrorCode::kApprovalRequired;
  decision->approval = "webauthn";
  if (const Json* grade = Find(context, "approval")) {
    if (*grade != "prompt" && *grade != "webauthn" &&
        *grade != "second-person") {
      return NoDecision("context.approval is no grade");
    }
    decision->approval = grade->get<std::string>();
  }
  return {};
}

Result<Verdict> ReadOne(const Json& answer) {
  const Json* decision =
      answer.is_object() ? Find(answer, "decision") : nullptr;
  if (decision == nullptr || !decision->is_boolean()) {
    return NoDecision("\"decision\" is not true or false");
  }
  const bool permits = decision->get<bool>();
  const Json none = Json::object();
  const Json* context = Find(answer, "context");
  if (context == nullptr || context->is_null()) context = &none;
  if (!context->is_object()) return NoDecision("context is no object");
  std::string outcome = permits ? "permit" : "deny";
  if (const Json* said = Find(*context, "outcome")) {
    if (*said != "permit" && *said != "deny" && *said != "approval_required") {
      return NoDecision("context.outcome is unknown");
    }
    outcome = said->get<std::string>();
  }
  if (permits != (outcome == "permit")) {
    return NoDecision("\"decision\" and context.outcome contradict each other");
  }
  Verdict verdict;
  if (permits) {
    CS_RETURN_IF_ERROR(ReadPermit(*context, &verdict));
  } else {
    CS_RETURN_IF_ERROR(ReadRefusal(*context, outcome, &verdict.decision));
  }
  return verdict;
}

// The decisions that lie in `body`, unread.
Result<std::vector<const Json*>> Split(const Json& body, AnswerShape shape) {
  if (!body.is_object()) return NoDecision("not an object");
  if (shape == AnswerShape::kEvaluation) return std::vector{&body};
  if (shape == AnswerShape::kOpaResult) {
    // OPA leaves `result` out where the policy says nothing.
    const Json* result = Find(body, "result");
    if (result == nullptr) return NoDecision("OPA has no such decision");
    return std::vector{result};
  }
  const Json* list = Find(body, "evaluations");
  if (list == nullptr || !list->is_array()) {
    return NoDecision("\"evaluations\" is no list");
  }
  std::vector<const Json*> all;
  for (const Json& one : *list) all.push_back(&one);
  return all;
}

Result<Verdict> ReadPart(const Json& part, AnswerShape shape) {
  if (shape == AnswerShape::kOpaResult && part.is_boolean()) {
    return ReadOne(Json{{"decision", part}});
  }
  return ReadOne(part);
}

}  // namespace

Result<std::vector<Verdict>> ReadDecisionAnswer(std::string_view body,
                                                AnswerShape shape,
                                                size_t count) {
  CS_ASSIGN_OR_RETURN(const Json json, Parse(body));
  CS_ASSIGN_OR_RETURN(const auto parts, Split(json, shape));
  if (parts.size() != count) {
    return NoDecision(std::to_string(parts.size()) + " decisions for " +
                      std::to_string(count) + " requests");
  }
  const auto kept = std::make_shared<const std::string>(body);
  std::vector<Verdict> verdicts;
  for (const Json* part : parts) {
    CS_ASSIGN_OR_RETURN(Verdict verdict, ReadPart(*part, shape));
    verdict.body = kept;
    verdict.shape = shape;
    verdict.place = static_cast<uint32_t>(verdicts.size());
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

Result<Verdict> ReadKeptDecision(std::string_view body, AnswerShape shape,
                                 size_t place) {
  CS_ASSIGN_OR_RETURN(const Json json, Parse(body));
  CS_ASSIGN_OR_RETURN(const auto parts, Split(json, shape));
  if (place >= parts.size()) return NoDecision("no such place");
  CS_ASSIGN_OR_RETURN(Verdict verdict, ReadPart(*parts[place], shape));
  verdict.body = std::make_shared<const std::string>(body);
  verdict.shape = shape;
  verdict.place = static_cast<uint32_t>(place);
  return verdict;
}

Result<std::string> ReadBatchEndpoint(std::string_view metadata) {
  CS_ASSIGN_OR_RETURN(const Json json, Parse(metadata));
  if (!json.is_object()) return NoDecision("metadata is no object");
  const Json* endpoint = Find(json, "access_evaluations_endpoint");
  if (endpoint == nullptr || !endpoint->is_string()) return std::string();
  return endpoint->get<std::string>();
}

}  // namespace countersign::authz
