// What one decision of the rule file costs with 1, 100 and 10,000 rules, where
// the first, the last or no rule matches: a table, and lines
// `ratio policy_10000_WHICH VALUE` against one rule.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "attest/authz/policy/policy.h"

namespace countersign::authz {
namespace {

std::string Rules(size_t count) {
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

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// The median of several runs, in nanoseconds.
double Cost(const Policy& policy, const std::string& resource) {
  SessionFacts session;
  session.subject = "os:00ff:1000";
  session.uid = {"1000", Strength::kKernel};
  session.executable = {"/usr/bin/agent", Strength::kKernel};
  const ActionFacts action{.name = "mcp:tools/call:read_file",
                           .resource = resource,
                           .purpose = "review",
                           .audience = ""};
  constexpr int kTimes = 20'000;
  std::vector<double> runs;
  size_t named = 0;
  for (int run = 0; run < 9; ++run) {
    const auto begun = std::chrono::steady_clock::now();
    for (int i = 0; i < kTimes; ++i) {
      named += policy.Decide(session, action).rule.size();
    }
    runs.push_back(Seconds(std::chrono::steady_clock::now() - begun) / kTimes *
                   1e9);
  }
  if (named == 1) std::puts("");  // So that nothing is left out.
  std::ranges::sort(runs);
  return runs[runs.size() / 2];
}

int Main() {
  std::printf("| rules | parsed in ms | first ns | last ns | none ns |\n");
  std::vector<double> one;
  for (const size_t count : {1, 100, 10'000}) {
    const auto begun = std::chrono::steady_clock::now();
    const auto policy = Policy::Parse(Rules(count), "policy.toml");
    const double parsed = Seconds(std::chrono::steady_clock::now() - begun);
    if (!policy) return 1;
    const std::vector<double> costs = {
        Cost(**policy, "file:///srv/project-0/a"),
        Cost(**policy,
             "file:///srv/project-" + std::to_string(count - 1) + "/a"),
        Cost(**policy, "file:///srv/nothing/a")};
    std::printf("| %zu | %.1f | %.0f | %.0f | %.0f |\n", count, parsed * 1e3,
                costs[0], costs[1], costs[2]);
    if (one.empty()) one = costs;
    if (count != 10'000) continue;
    constexpr const char* kNames[] = {"first", "last", "none"};
    for (size_t i = 0; i < costs.size(); ++i) {
      std::printf("ratio policy_10000_%s %.2f\n", kNames[i], costs[i] / one[i]);
    }
  }
  return 0;
}

}  // namespace
}  // namespace countersign::authz

int main() { return countersign::authz::Main(); }
