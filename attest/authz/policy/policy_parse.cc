#include <set>

#include "attest/authz/policy/policy_rule.h"
#include "attest/authz/toml_reader.h"

namespace countersign::authz {
namespace {

void ReadOutcome(TomlReader& reader, Policy::Rule* rule) {
  std::string outcome;
  reader.String("outcome", &outcome);
  if (outcome == "permit") {
    rule->outcome = Outcome::kPermit;
  } else if (outcome == "approval_required") {
    rule->outcome = Outcome::kApprovalRequired;
  } else if (outcome != "deny") {
    reader.Complain("outcome",
                    "must be \"permit\", \"deny\" or \"approval_required\"");
  }
  std::string approval = rule->approval;
  reader.String("approval", &approval);
  if (approval != "prompt" && approval != "webauthn" &&
      approval != "second-person") {
    reader.Complain("approval",
                    "must be \"prompt\", \"webauthn\" or \"second-person\"");
  }
  rule->approval = approval;
}

Status ReadUser(const toml::table& table, std::string_view source,
                Policy::Rule* rule) {
  TomlReader reader(table, source);
  reader.Strings("subject", &rule->user.subject);
  reader.Strings("os_name", &rule->user.os_name);
  reader.Strings("uid", &rule->user.uid);
  reader.Strings("verification", &rule->user.verification);
  reader.Strings("groups", &rule->user.groups);
  reader.Strings("acr", &rule->user.acr);
  return reader.Finish();
}

void ReadDigests(TomlReader& reader, std::string_view key, Patterns* digests) {
  reader.Strings(key, digests);
  for (const std::string& digest : *digests) {
    if (digest.size() != 64 ||
        digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
      reader.Complain(key, "must be 64 lower-case hex digits each");
    }
  }
}

Status ReadWorkload(const toml::table& table, std::string_view source,
                    Policy::Rule* rule) {
  TomlReader reader(table, source);
  reader.Strings("spiffe_id", &rule->workload.spiffe_id);
  reader.Strings("executable", &rule->workload.executable);
  ReadDigests(reader, "executable_sha256", &rule->workload.executable_sha256);
  reader.Strings("unit", &rule->workload.unit);
  std::string grade;
  reader.String("grade", &grade);
  if (grade == "kernel") {
    rule->workload.grade = Strength::kKernel;
  } else if (grade == "os-service") {
    rule->workload.grade = Strength::kOsService;
  } else if (grade == "same-user-spoofable") {
    rule->workload.grade = Strength::kSameUserSpoofable;
  } else if (grade == "claimed") {
    rule->workload.grade = Strength::kClaimed;
  } else if (!grade.empty()) {
    reader.Complain("grade",
                    "must be \"kernel\", \"os-service\", "
                    "\"same-user-spoofable\" or \"claimed\"");
  }
  return reader.Finish();
}

Status ReadDevice(const toml::table& table, std::string_view source,
                  Policy::Rule* rule) {
  TomlReader reader(table, source);
  reader.Strings("ek_class", &rule->device.ek_class);
  reader.Strings("ek_trust", &rule->device.ek_trust);
  reader.Strings("boot", &rule->device.boot);
  ReadDigests(reader, "pcr_digest", &rule->device.pcr_digest);
  return reader.Finish();
}

// "08:30" in minutes.
void ReadClock(TomlReader& reader, std::string_view key, int* minute) {
  std::string text;
  reader.String(key, &text);
  if (text.empty()) return;
  const auto digit = [&text](size_t at) {
    return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : 1000;
  };
  const bool shaped = text.size() == 5 && text[2] == ':';
  const int hour = shaped ? digit(0) * 10 + digit(1) : 24;
  const int past = shaped ? digit(3) * 10 + digit(4) : 60;
  if (past > 59 || hour > 24 || (hour == 24 && past > 0)) {
    return reader.Complain(key, "must be a time of day like \"08:30\"");
  }
  *minute = hour * 60 + past;
}

Status ReadWhen(const toml::table& table, std::string_view source,
                Policy::Rule* rule) {
  TomlReader reader(table, source);
  auto& when = rule->when;
  reader.Strings("weekday", &when.weekday);
  for (const std::string& day : when.weekday) {
    constexpr std::string_view kDays = "mon tue wed thu fri sat sun";
    if (day.size() != 3 || kDays.find(day) % 4 != 0) {
      reader.Complain("weekday", "must be mon, tue, wed, thu, fri, sat or sun");
    }
  }
  ReadClock(reader, "from", &when.from_minute);
  ReadClock(reader, "until", &when.until_minute);
  if (when.from_minute == when.until_minute) {
    reader.Complain("until", "must differ from `from`");
  }
  reader.Int("max_session_age_s", 1, 86400, &when.max_session_age_s);
  return reader.Finish();
}

Result<Policy::Rule> ReadRule(const toml::table& table,
                              std::string_view source) {
  Policy::Rule rule;
  TomlReader reader(table, source);
  reader.String("name", &rule.name);
  if (rule.name.empty() || rule.name.size() > 100) {
    reader.Complain("name", "must be 1 to 100 characters");
  }
  ReadOutcome(reader, &rule);
  reader.Strings("action", &rule.action);
  reader.Strings("resource", &rule.resource);
  reader.Strings("purpose", &rule.purpose);
  reader.Strings("audiences", &rule.audiences);
  reader.Int("grant_ttl_s", 1, kMaxGrantTtlS, &rule.grant_ttl_s);
  if (const toml::table* user = reader.Table("user")) {
    CS_RETURN_IF_ERROR(ReadUser(*user, source, &rule));
  }
  if (const toml::table* workload = reader.Table("workload")) {
    CS_RETURN_IF_ERROR(ReadWorkload(*workload, source, &rule));
  }
  if (const toml::table* device = reader.Table("device")) {
    CS_RETURN_IF_ERROR(ReadDevice(*device, source, &rule));
  }
  if (const toml::table* when = reader.Table("when")) {
    CS_RETURN_IF_ERROR(ReadWhen(*when, source, &rule));
  }
  int64_t most = 0;
  reader.Int("max_actions_per_task", 1, 1'000'000'000, &most);
  rule.max_actions_per_task = static_cast<uint64_t>(most);
  if (rule.outcome == Outcome::kDeny && most != 0) {
    reader.Complain("max_actions_per_task", "is not for a rule that denies");
  }
  if (rule.outcome == Outcome::kDeny && rule.workload.grade.has_value()) {
    reader.Complain("workload",
                    "of a rule that denies has no grade: facts of any grade "
                    "match");
  }
  CS_RETURN_IF_ERROR(reader.Finish());
  return rule;
}

}  // namespace

Result<std::vector<Policy::Rule>> ParseRules(std::string_view text,
                                             std::string_view source) {
  CS_ASSIGN_OR_RETURN(const toml::table root, ParseToml(text, source));
  TomlReader reader(root, source);
  std::vector<Policy::Rule> rules;
  std::set<std::string> names;
  for (const toml::table* table : reader.Tables("rule")) {
    CS_ASSIGN_OR_RETURN(Policy::Rule rule, ReadRule(*table, source));
    if (!names.insert(rule.name).second) {
      return Fail(ErrorCode::kConfigInvalid,
                  std::string(source) + ":" +
                      std::to_string(table->source().begin.line) +
                      ": a second rule of this name");
    }
    rules.push_back(std::move(rule));
  }
  CS_RETURN_IF_ERROR(reader.Finish());
  return rules;
}

}  // namespace countersign::authz
