#include "attest/authz/policy/policy.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "attest/authz/config.h"
#include "attest/authz/decision_request.h"
#include "attest/authz/policy/policy_holder.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"
#include "attest/base/json_guard.h"
#include "tests/attest/authz/service_rig.h"

namespace countersign::authz {
namespace {

SessionFacts Ada() {
  SessionFacts facts;
  facts.subject = "os:00ff:1000";
  facts.os_name = {"ada", Strength::kOsService};
  facts.uid = {"1000", Strength::kKernel};
  facts.verification = "os-login";
  facts.spiffe_id = {"spiffe://acme/agent", Strength::kKernel};
  facts.executable = {"/usr/bin/agent", Strength::kKernel};
  facts.executable_sha256 = {std::string(64, 'a'), Strength::kKernel};
  facts.unit = {"app-agent.scope", Strength::kKernel};
  facts.ek_class = "hardware";
  return facts;
}

constexpr ActionFacts kRead{.name = "mcp:tools/call:read_file",
                            .resource = "file:///srv/a",
                            .purpose = "review",
                            .audience = ""};

std::shared_ptr<const Policy> Rules(const std::string& text) {
  auto policy = Policy::Parse(text, "policy.toml");
  EXPECT_TRUE(policy.has_value()) << policy.error().detail;
  return policy.has_value() ? *policy : nullptr;
}

// One permit rule with `conditions` in it.
PolicyDecision DecideWith(const std::string& conditions,
                          const SessionFacts& facts = Ada(),
                          const ActionFacts& action = kRead) {
  return Rules("[[rule]]\nname = \"r\"\noutcome = \"permit\"\n" + conditions)
      ->Decide(facts, action);
}
bool Permits(const std::string& conditions, const SessionFacts& facts = Ada(),
             const ActionFacts& action = kRead) {
  return DecideWith(conditions, facts, action).outcome == Outcome::kPermit;
}

std::string Complaint(const std::string& text) {
  const auto policy = Policy::Parse(text, "policy.toml");
  EXPECT_FALSE(policy.has_value()) << text;
  if (policy.has_value()) return "";
  EXPECT_EQ(policy.error().code, ErrorCode::kConfigInvalid);
  return policy.error().detail;
}

TEST(GlobTest, MatchesAnyTextForAStar) {
  EXPECT_TRUE(GlobMatches("", ""));
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_TRUE(GlobMatches("a*c", "ac"));
  EXPECT_TRUE(GlobMatches("a*c", "abcbc"));
  EXPECT_TRUE(GlobMatches("*b*", "abc"));
  EXPECT_FALSE(GlobMatches("a*c", "acb"));
  EXPECT_FALSE(GlobMatches("a", "A"));
  EXPECT_FALSE(GlobMatches("a?c", "abc"));
  EXPECT_FALSE(GlobMatches("", "a"));
}

TEST(GlobTest, TakesNoLongTimeForHostilePatterns) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "a*";
  const std::string text(20'000, 'a');
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_FALSE(GlobMatches(pattern + "b", text));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(2));
}

TEST(OriginTest, IsSchemeAndAuthority) {
  EXPECT_EQ(OriginOf("https://a.example:8443/x?y"), "https://a.example:8443");
  EXPECT_EQ(OriginOf("https://a.example"), "https://a.example");
  EXPECT_EQ(OriginOf("file:///srv"), "");
  EXPECT_EQ(OriginOf("urn:x"), "");
}

TEST(PolicyTest, DeniesByDefault) {
  const PolicyDecision decision = Rules("")->Decide(Ada(), kRead);
  EXPECT_EQ(decision.outcome, Outcome::kDeny);
  EXPECT_EQ(decision.reason, ErrorCode::kPolicyDenied);
  EXPECT_TRUE(decision.rule.empty());
}

TEST(PolicyTest, LetsTheFirstMatchDecide) {
  const auto policy = Rules(R"(
[[rule]]
name = "first"
outcome = "deny"
resource = ["file:///etc/*"]
[[rule]]
name = "second"
outcome = "permit"
grant_ttl_s = 7
)");
  EXPECT_EQ(policy->Decide(Ada(), kRead).rule, "second");
  EXPECT_EQ(policy->Decide(Ada(), kRead).grant_ttl_s, 7);
  ActionFacts etc = kRead;
  etc.resource = "file:///etc/shadow";
  EXPECT_EQ(policy->Decide(Ada(), etc).rule, "first");
  EXPECT_EQ(policy->Decide(Ada(), etc).outcome, Outcome::kDeny);
}

TEST(PolicyTest, MatchesEveryConditionOfARule) {
  EXPECT_TRUE(Permits("action = [\"mcp:tools/call:read_*\"]"));
  EXPECT_TRUE(Permits("action = \"mcp:*\""));
  EXPECT_FALSE(Permits("action = [\"http:*\"]"));
  EXPECT_TRUE(Permits("resource = [\"x\", \"file:///srv/*\"]"));
  EXPECT_FALSE(Permits("resource = [\"file:///etc/*\"]"));
  EXPECT_FALSE(Permits("purpose = [\"deploy\"]"));
  EXPECT_TRUE(Permits("[rule.user]\nsubject = \"os:*:1000\""));
  EXPECT_FALSE(Permits("[rule.user]\nsubject = \"os:*:1001\""));
  EXPECT_FALSE(Permits("[rule.user]\nos_name = \"eve\""));
  EXPECT_FALSE(Permits("[rule.user]\nuid = \"100*\""));
  EXPECT_FALSE(Permits("[rule.user]\nverification = \"oidc\""));
  EXPECT_TRUE(Permits("[rule.workload]\nspiffe_id = \"spiffe://acme/*\""));
  EXPECT_FALSE(Permits("[rule.workload]\nexecutable = \"/usr/bin/bash\""));
  EXPECT_TRUE(Permits("[rule.workload]\nexecutable_sha256 = \"" +
                      std::string(64, 'a') + "\""));
  EXPECT_FALSE(Permits("[rule.workload]\nexecutable_sha256 = \"" +
                       std::string(64, 'b') + "\""));
  EXPECT_FALSE(Permits("[rule.workload]\nunit = \"ssh.service\""));
  EXPECT_TRUE(Permits("[rule.device]\nek_class = [\"hardware\"]"));
  EXPECT_FALSE(Permits("[rule.device]\nek_class = [\"virtual\"]"));
}

TEST(PolicyTest, AsksForTheGradeThatARuleNames) {
  const std::string rule =
      "[rule.user]\nuid = \"1000\"\n[rule.workload]\n"
      "executable = \"/usr/bin/agent\"\n";
  const std::vector<std::pair<std::string, Strength>> grades = {
      {"kernel", Strength::kKernel},
      {"os-service", Strength::kOsService},
      {"same-user-spoofable", Strength::kSameUserSpoofable},
      {"claimed", Strength::kClaimed}};
  for (const auto& asked : grades) {
    for (const auto& known : grades) {
      SessionFacts facts = Ada();
      facts.executable.strength = known.second;
      EXPECT_EQ(Permits(rule + "grade = \"" + asked.first + "\"", facts),
                known.second <= asked.second)
          << asked.first << " asked, " << known.first << " known";
    }
  }
}

// A47: a relay's word is not enough where a rule asks for nothing.
TEST(PolicyTest, TakesTheKernelsWordAloneUnlessARuleSaysOtherwise) {
  SessionFacts facts = Ada();
  facts.executable.strength = Strength::kOsService;
  const std::string conditions =
      "[rule.user]\nuid = \"1000\"\n[rule.workload]\n"
      "executable = \"/usr/bin/agent\"\n";
  for (const std::string outcome : {"permit", "approval_required"}) {
    const auto policy = Rules("[[rule]]\nname = \"r\"\noutcome = \"" + outcome +
                              "\"\n" + conditions);
    EXPECT_EQ(policy->Decide(Ada(), kRead).rule, "r");
    EXPECT_TRUE(policy->MayOpenSession(Ada()));
    EXPECT_EQ(policy->Decide(facts, kRead).outcome, Outcome::kDeny) << outcome;
    EXPECT_FALSE(policy->MayOpenSession(facts)) << outcome;
  }
  facts.executable.strength = Strength::kClaimed;
  EXPECT_EQ(Rules("[[rule]]\nname = \"r\"\noutcome = \"deny\"\n" + conditions)
                ->Decide(facts, kRead)
                .rule,
            "r");
}

// A47: a program under LD_PRELOAD, say, is known less well, and by its own
// doing.
TEST(PolicyTest, DeniesWhatWouldSlipPastAnApprovalToALaterPermit) {
  SessionFacts facts = Ada();
  const auto policy = Rules(
      "[[rule]]\nname = \"ask\"\noutcome = \"approval_required\"\n"
      "[rule.workload]\nexecutable = \"/usr/bin/agent\"\n"
      "[[rule]]\nname = \"rest\"\noutcome = \"permit\"\n"
      "[rule.user]\nuid = \"1000\"\n");
  EXPECT_EQ(policy->Decide(facts, kRead).outcome, Outcome::kApprovalRequired);
  for (const Strength strength :
       {Strength::kOsService, Strength::kSameUserSpoofable,
        Strength::kClaimed}) {
    facts.executable.strength = strength;
    const PolicyDecision decision = policy->Decide(facts, kRead);
    EXPECT_EQ(decision.outcome, Outcome::kDeny);
    EXPECT_EQ(decision.rule, "ask");
  }
  facts.executable.value = "/usr/bin/other";
  EXPECT_EQ(policy->Decide(facts, kRead).rule, "rest");
}

// A47: nor does the user's word lift what is known less well.
TEST(PolicyTest, CountsAnApprovalOnlyWhereItsRuleAllows) {
  SessionFacts facts = Ada();
  const auto policy = Rules(
      "[[rule]]\nname = \"ask\"\noutcome = \"approval_required\"\n"
      "approval = \"prompt\"\n"
      "[rule.workload]\nexecutable = \"/usr/bin/agent\"\n"
      "[[rule]]\nname = \"rest\"\noutcome = \"permit\"\n"
      "[rule.user]\nuid = \"1000\"\n");
  ActionFacts approved = kRead;
  approved.approval = "prompt";
  const PolicyDecision permit = policy->Decide(facts, approved);
  EXPECT_EQ(permit.outcome, Outcome::kPermit);
  EXPECT_EQ(permit.approval, "prompt");
  for (const Strength strength :
       {Strength::kOsService, Strength::kSameUserSpoofable,
        Strength::kClaimed}) {
    facts.executable.strength = strength;
    const PolicyDecision denied = policy->Decide(facts, approved);
    EXPECT_EQ(denied.outcome, Outcome::kDeny);
    EXPECT_EQ(denied.reason, ErrorCode::kPolicyDenied);
    EXPECT_EQ(denied.rule, "ask");
    EXPECT_EQ(denied.approval, "");
    EXPECT_EQ(denied.grant_ttl_s, 0);
  }
}

TEST(PolicyTest, PermitsNothingOnSpoofableGroundsAlone) {
  SessionFacts facts = Ada();
  facts.executable.strength = Strength::kSameUserSpoofable;
  const std::string workload =
      "[rule.workload]\nexecutable = \"/usr/bin/*\"\n"
      "grade = \"same-user-spoofable\"\n";
  EXPECT_FALSE(Permits(workload, facts));
  EXPECT_TRUE(Permits(workload + "[rule.user]\nuid = \"1000\"", facts));
  EXPECT_TRUE(
      Permits(workload + "[rule.user]\nsubject = \"os:*:1000\"", facts));
  facts.uid.strength = Strength::kClaimed;
  EXPECT_FALSE(Permits(workload + "[rule.user]\nuid = \"1000\"", facts));
  // A subject is known as well as the uid in it.
  EXPECT_FALSE(Permits("[rule.user]\nsubject = \"os:*:1000\"", facts));
}

TEST(PolicyTest, DoesNotMatchAFactThatIsNotKnown) {
  SessionFacts facts = Ada();
  facts.unit = {"", Strength::kKernel};
  EXPECT_FALSE(Permits("[rule.workload]\nunit = \"*\"", facts));
}

TEST(PolicyTest, AllowsTheResourcesOwnAudienceUnlessTheRuleNamesOthers) {
  ActionFacts post{.name = "http:POST",
                   .resource = "https://a.example/x",
                   .purpose = "p",
                   .audience = "https://a.example"};
  EXPECT_TRUE(Permits("", Ada(), post));
  EXPECT_FALSE(Permits("audiences = \"https://b.example\"", Ada(), post));
  post.audience = "https://b.example";
  EXPECT_TRUE(Permits("audiences = \"https://b.example\"", Ada(), post));
  const PolicyDecision decision = DecideWith("", Ada(), post);
  EXPECT_EQ(decision.outcome, Outcome::kDeny);
  EXPECT_EQ(decision.reason, ErrorCode::kAudienceNotAllowed);
  EXPECT_EQ(decision.rule, "r");
}

TEST(PolicyTest, OpensNoSessionForWhomNoRulePermitsAnything) {
  const auto policy = Rules(R"(
[[rule]]
name = "no"
outcome = "deny"
[[rule]]
name = "ask"
outcome = "approval_required"
[rule.user]
uid = "1000"
)");
  EXPECT_TRUE(policy->MayOpenSession(Ada()));
  SessionFacts eve = Ada();
  eve.uid.value = "1001";
  EXPECT_FALSE(policy->MayOpenSession(eve));
}

TEST(PolicyTest, NamesTheLineOfEveryMistake) {
  const std::string rule = "[[rule]]\nname = \"r\"\noutcome = \"permit\"\n";
  EXPECT_EQ(Complaint("x = 1").substr(0, 14), "policy.toml:1:");
  EXPECT_EQ(Complaint("[[rule]\n").substr(0, 14), "policy.toml:1:");
  EXPECT_EQ(Complaint(rule + "actoin = \"x\"").substr(0, 14), "policy.toml:4:");
  EXPECT_EQ(Complaint(rule + "grant_ttl_s = 301").substr(0, 14),
            "policy.toml:4:");
  EXPECT_EQ(Complaint(rule + "grant_ttl_s = \"1\"").substr(0, 14),
            "policy.toml:4:");
  EXPECT_EQ(Complaint(rule + "action = []").substr(0, 14), "policy.toml:4:");
  EXPECT_EQ(Complaint(rule + "action = [1]").substr(0, 14), "policy.toml:4:");
  EXPECT_EQ(Complaint(rule + "[rule.user]\nname = \"x\"").substr(0, 14),
            "policy.toml:5:");
  EXPECT_EQ(Complaint(rule + "[rule.workload]\nexecutable_sha256 = \"AB\"")
                .substr(0, 14),
            "policy.toml:5:");
  EXPECT_EQ(Complaint(rule + "[rule.workload]\ngrade = \"best\"").substr(0, 14),
            "policy.toml:5:");
  EXPECT_EQ(Complaint("[[rule]]\nname = \"r\"\noutcome = \"deny\"\n"
                      "[rule.workload]\ngrade = \"kernel\"")
                .substr(0, 14),
            "policy.toml:4:");
  EXPECT_EQ(Complaint(rule + rule).substr(0, 14), "policy.toml:4:");
  EXPECT_EQ(
      Complaint("[[rule]]\nname = \"r\"\noutcome = \"allow\"").substr(0, 14),
      "policy.toml:3:");
  Complaint("[[rule]]\noutcome = \"permit\"");
  Complaint("rule = 1");
  Complaint(std::string("\0", 1));
  Complaint("\xff");
  Complaint(std::string(kMaxPolicySize + 1, ' '));
}

// toml++ holds these impossible, and asserts.
TEST(PolicyTest, RefusesTextThatTheParserTripsOver) {
  for (const std::string text : {"[,", "[[,", "[[ =", "[a.,", "a = 1\n[;]",
                                 "\u00e9 = 1", "a = 1 \u00e9"}) {
    EXPECT_EQ(Complaint(text).substr(0, 12), "policy.toml:") << text;
  }
}

TEST(PolicyTest, IsNamedByTheDigestOfItsText) {
  EXPECT_EQ(Rules("# x\n")->version(), ToHex(Sha256(AsBytes("# x\n"))));
}

// F29
TEST(PolicyHolderTest, KeepsTheLastGoodFile) {
  const TempFolder folder;
  const std::string path = folder.Path("policy.toml");
  const auto write = [&](const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
  };
  const auto any = [](const Policy&) { return Status(); };
  write("# one\n");
  auto holder = PolicyHolder::Load(path);
  ASSERT_TRUE(holder.has_value());
  const std::string first = (*holder)->Get()->version();
  EXPECT_FALSE((*holder)->Changed());

  write("broken");
  EXPECT_TRUE((*holder)->Changed());
  const auto failed = (*holder)->Reload(any);
  ASSERT_FALSE(failed.has_value());
  EXPECT_NE(failed.error().detail.find("policy.toml:1:"), std::string::npos);
  EXPECT_EQ((*holder)->Get()->version(), first);

  std::filesystem::remove(path);
  EXPECT_TRUE((*holder)->Changed());
  EXPECT_FALSE((*holder)->Reload(any).has_value());
  EXPECT_EQ((*holder)->Get()->version(), first);

  write("# three\n");
  EXPECT_EQ((*holder)->Reload(any).value(), true);
  EXPECT_NE((*holder)->Get()->version(), first);
  EXPECT_EQ((*holder)->Reload(any).value(), false);
}

TEST(PolicyHolderTest, StaysWithTheOldFileIfTheNewOneCannotBeRecorded) {
  const TempFolder folder;
  const std::string path = folder.Path("policy.toml");
  std::ofstream(path) << "# one\n";
  auto holder = PolicyHolder::Load(path);
  const std::string first = (*holder)->Get()->version();
  std::ofstream(path, std::ios::trunc) << "# two is longer\n";
  EXPECT_FALSE((*holder)
                   ->Reload([](const Policy&) {
                     return Status(Fail(ErrorCode::kDiskFull));
                   })
                   .has_value());
  EXPECT_EQ((*holder)->Get()->version(), first);
  EXPECT_TRUE((*holder)->Changed());  // It will be tried again.
}

TEST(ConfigTest, ReadsBackWhatInitWrites) {
  const TempFolder folder;
  const std::string path = folder.Path("authz.toml");
  Config config;
  config.issuer = "https://a.example:8443";
  config.tenant = "it's \"acme\"";
  std::ofstream(path) << ConfigText(config);
  const auto read = LoadConfig(path);
  ASSERT_TRUE(read.has_value()) << read.error().detail;
  EXPECT_EQ(read->issuer, config.issuer);
  EXPECT_EQ(read->tenant, config.tenant);
  EXPECT_EQ(read->ledger_origin, "a.example:8443");
  EXPECT_EQ(read->database, folder.Path("ledger.db"));
  EXPECT_EQ(read->enrollment.ek_policy, EkPolicy::kCertificate);
}

TEST(ConfigTest, NamesTheLineOfEveryMistake) {
  const TempFolder folder;
  const std::string path = folder.Path("authz.toml");
  const auto complaint = [&](const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
    const auto read = LoadConfig(path);
    EXPECT_FALSE(read.has_value()) << text;
    if (read.has_value()) return std::string();
    EXPECT_EQ(read.error().code, ErrorCode::kConfigInvalid);
    return read.error().detail;
  };
  const std::string good = "issuer = \"https://a.example\"\n";
  EXPECT_NE(complaint("issuer = \"http://a.example\"").find(":1:"),
            std::string::npos);
  EXPECT_NE(complaint(good + "isuer = 1").find(":2:"), std::string::npos);
  EXPECT_NE(complaint(good + "[sessions]\nlease_ttl_s = 121").find(":3:"),
            std::string::npos);
  EXPECT_NE(complaint(good + "[enrollment]\nek_policy = \"any\"").find(":3:"),
            std::string::npos);
  EXPECT_NE(
      complaint(good + "[enrollment]\npcr_selection = \"sha1:0\"").find(":3:"),
      std::string::npos);
  EXPECT_NE(complaint(good + "[limits]\nworkers = 0").find(":3:"),
            std::string::npos);
  EXPECT_NE(complaint(good + "[,").find("authz.toml"), std::string::npos);
}

TEST(SessionFactsTest, TakesTheWeakestObservationOfAFact) {
  v1::SessionBinding binding;
  binding.set_device_id(std::string(16, '\x01'));
  binding.mutable_user()->set_os_id("1000");
  v1::Workload& workload = *binding.mutable_workload();
  workload.set_executable_path("/usr/bin/agent");
  workload.set_spiffe_id("spiffe://acme/agent");
  const auto observe = [&](v1::Grade grade) {
    v1::Observation& observation = *workload.add_observations();
    observation.set_name("executable_path");
    observation.set_grade(grade);
  };
  EXPECT_EQ(FactsOf(binding, {}, {}).executable.strength, Strength::kClaimed);
  observe(v1::GRADE_KERNEL);
  EXPECT_EQ(FactsOf(binding, {}, {}).executable.strength, Strength::kKernel);
  EXPECT_EQ(FactsOf(binding, {}, {}).spiffe_id.strength, Strength::kKernel);
  observe(v1::GRADE_SAME_USER_SPOOFABLE);
  EXPECT_EQ(FactsOf(binding, {}, {}).executable.strength,
            Strength::kSameUserSpoofable);
  // The laptop cannot speak for the service.
  workload.clear_observations();
  observe(v1::GRADE_VERIFIED_BY_SERVICE);
  EXPECT_EQ(FactsOf(binding, {}, {}).executable.strength, Strength::kClaimed);
}

TEST(DecisionRequestTest, IsJsonWhateverTheTextsHold) {
  v1::SessionBinding binding;
  binding.mutable_workload()->set_kind("a\"b\\c\n\x7f");
  v1::DeviceRecord device;
  device.set_ek_class("hardware");
  const SessionFacts facts = FactsOf(binding, device, {});
  v1::ActionRequest request;
  request.set_name("http:POST");
  request.set_resource("https://a.example/\"},\"x\":{\"");
  request.set_purpose("\u00e9");
  const std::string json = DecisionRequest(
      DecisionSubject(facts, binding, device).text(),
      DecisionRest(FactsOfAction(request, {}, facts), request, {}));
  EXPECT_TRUE(CheckJson(json, 65'536).has_value()) << json;
  PolicyDecision decision;
  decision.rule = "\"";
  EXPECT_TRUE(
      CheckJson(DecisionResponse(decision, "00", {}), 65'536).has_value());
}

}  // namespace
}  // namespace countersign::authz
