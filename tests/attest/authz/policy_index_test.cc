// The index names every rule that can match, and in order: what it finds is
// what trying one rule after the other finds. And it is quick.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <random>

#include "attest/authz/policy/policy.h"

namespace countersign::authz {
namespace {

class Dice {
 public:
  explicit Dice(uint32_t seed) : engine_(seed) {}
  size_t Below(size_t end) { return engine_() % end; }
  bool OneIn(size_t n) { return Below(n) == 0; }
  template <size_t N>
  std::string Of(const std::array<const char*, N>& texts) {
    return texts[Below(N)];
  }

 private:
  std::mt19937 engine_;
};

constexpr std::array kTexts = {"a",  "ab", "abc", "b",      "ba",
                               "c*", "",   "aba", "a/b/c/d"};
constexpr std::array kPatterns = {"*",   "a",   "a*",  "ab*", "*b",  "abc",
                                  "b*a", "c*",  "ab",  "a/*", "aba", "**",
                                  "b",   "a*b", "*a*", "ba",  "abab"};

// `key = ["…"]`, of one or two patterns, or nothing.
std::string Condition(Dice& dice, const std::string& key) {
  if (dice.OneIn(2)) return "";
  std::string line = key + " = [\"" + dice.Of(kPatterns) + "\"";
  if (dice.OneIn(3)) line += ", \"" + dice.Of(kPatterns) + "\"";
  return line + "]\n";
}

std::string RandomRules(Dice& dice, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    constexpr std::array kOutcomes = {"permit", "deny", "approval_required"};
    text += "[[rule]]\nname = \"r" + std::to_string(i) + "\"\noutcome = \"" +
            dice.Of(kOutcomes) + "\"\n";
    for (const char* key : {"action", "resource", "purpose"}) {
      text += Condition(dice, key);
    }
    text += "[rule.user]\n";
    for (const char* key : {"subject", "uid", "groups"}) {
      if (dice.OneIn(3)) text += Condition(dice, key);
    }
    text += "[rule.workload]\n";
    for (const char* key : {"spiffe_id", "executable"}) {
      if (dice.OneIn(3)) text += Condition(dice, key);
    }
  }
  return text;
}

TEST(PolicyIndexTest, DecidesAsTryingEveryRuleInTurnDoes) {
  size_t decided = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Dice dice(seed);
    const auto policy =
        Policy::Parse(RandomRules(dice, 1 + dice.Below(40)), "policy.toml");
    ASSERT_TRUE(policy.has_value()) << policy.error().detail;
    for (int i = 0; i < 50; ++i) {
      SessionFacts session;
      session.subject = dice.Of(kTexts);
      session.uid = {dice.Of(kTexts), Strength::kKernel};
      session.spiffe_id = {dice.Of(kTexts), Strength::kKernel};
      session.executable = {dice.Of(kTexts), dice.OneIn(4) ? Strength::kClaimed
                                                           : Strength::kKernel};
      while (dice.OneIn(2)) session.groups.push_back(dice.Of(kTexts));
      const std::array texts = {dice.Of(kTexts), dice.Of(kTexts),
                                dice.Of(kTexts)};
      const ActionFacts action{.name = texts[0],
                               .resource = texts[1],
                               .purpose = texts[2],
                               .audience = {}};
      const PolicyDecision found = (*policy)->Decide(session, action);
      const Explanation tried = (*policy)->Explain(session, action);
      ASSERT_EQ(found.rule, tried.decision.rule) << "seed " << seed;
      ASSERT_EQ(found.outcome, tried.decision.outcome);
      ASSERT_EQ(found.reason, tried.decision.reason);
      for (const RuleTrace& rule : tried.passed_over) {
        ASSERT_FALSE(rule.why.key.empty()) << rule.rule << ", seed " << seed;
      }
      if (!found.rule.empty()) ++decided;
    }
  }
  EXPECT_GT(decided, 2000u);  // The dice gave something to find.
}

std::string ManyRules(size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    text += "[[rule]]\nname = \"project-" + n +
            "\"\noutcome = \"permit\"\naction = [\"mcp:tools/call:*\"]\n"
            "resource = [\"file:///srv/project-" +
            n + "/*\"]\n[rule.user]\nuid = [\"1000\"]\n";
  }
  return text;
}

double SecondsOf(const auto& work) {
  const auto begun = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun)
      .count();
}

TEST(PolicyIndexTest, ReadsTenThousandRulesAndAsksAFewOfThem) {
  const std::string text = ManyRules(10'000);
  ASSERT_LT(text.size(), kMaxPolicySize);
  Result<std::shared_ptr<const Policy>> policy = nullptr;
  // A second on an idle machine; a test among others gets more.
  EXPECT_LT(SecondsOf([&] { policy = Policy::Parse(text, "policy.toml"); }),
            10);
  ASSERT_TRUE(policy.has_value()) << policy.error().detail;
  SessionFacts session;
  session.uid = {"1000", Strength::kKernel};
  const ActionFacts last{.name = "mcp:tools/call:read",
                         .resource = "file:///srv/project-9999/x",
                         .purpose = "",
                         .audience = ""};
  EXPECT_EQ((*policy)->Decide(session, last).rule, "project-9999");
  constexpr int kTimes = 20'000;
  // Against one that tries all, far apart on any machine.
  const double indexed = SecondsOf([&] {
    for (int i = 0; i < kTimes; ++i) {
      EXPECT_EQ((*policy)->Decide(session, last).outcome, Outcome::kPermit);
    }
  });
  const double scanned = SecondsOf([&] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ((*policy)->Explain(session, last).decision.outcome,
                Outcome::kPermit);
    }
  });
  EXPECT_LT(indexed / kTimes, scanned / 20 / 50);
}

}  // namespace
}  // namespace countersign::authz
