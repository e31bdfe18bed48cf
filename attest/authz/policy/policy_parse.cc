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
  return reader.Finish();
}

Status ReadWorkload(const toml::table& table, std::string_view source,
                    Policy::Rule* rule) {
  TomlReader reader(table, source);
  reader.Strings("spiffe_id", &rule->workload.spiffe_id);
  reader.Strings("executable", &rule->workload.executable);
  reader.Strings("executable_sha256", &rule->workload.executable_sha256);
  for (const std::string& digest : rule->workload.executable_sha256) {
    if (digest.size() != 64 ||
        digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
      reader.Complain("executable_sha256",
                      "must be 64 lower-case hex digits each");
    }
  }
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
    TomlReader device_reader(*device, source);
    device_reader.Strings("ek_class", &rule.ek_class);
    CS_RETURN_IF_ERROR(device_reader.Finish());
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
