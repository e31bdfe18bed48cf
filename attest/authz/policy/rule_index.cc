#include "attest/authz/policy/rule_index.h"

#include <algorithm>

#include "attest/authz/policy/policy_rule.h"

namespace countersign::authz {
namespace {

// FNV-1a, which goes on where it stopped: one pass gives the hash of every
// beginning.
constexpr uint64_t kHashStart = 0xcbf29ce484222325;
uint64_t HashOn(uint64_t hash, char c) {
  return (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
}
uint64_t HashOf(std::string_view text) {
  uint64_t hash = kHashStart;
  for (const char c : text) hash = HashOn(hash, c);
  return hash;
}

// The conditions that a rule may stand under; `exact`: a '*' is a '*'.
struct Condition {
  const Patterns& patterns;
  bool exact = false;
};
using Conditions = std::array<Condition, 9>;
Conditions ConditionsOf(const Policy::Rule& rule) {
  return {{{rule.action},
           {rule.resource},
           {rule.purpose},
           {rule.user.subject},
           {rule.workload.spiffe_id},
           {rule.workload.executable},
           {rule.user.uid, true},
           {rule.workload.executable_sha256, true},
           {rule.user.groups, true}}};
}
constexpr size_t kGroups = 8;

std::string_view BeginningOf(const Condition& condition,
                             std::string_view pattern) {
  return condition.exact ? pattern : pattern.substr(0, pattern.find('*'));
}

}  // namespace

RuleIndex::RuleIndex(std::span<const Policy::Rule> rules) {
  std::array<std::unordered_map<uint64_t, uint32_t>, kDimensions> sharing;
  for (const Policy::Rule& rule : rules) {
    const Conditions conditions = ConditionsOf(rule);
    for (size_t d = 0; d < kDimensions; ++d) {
      for (const std::string& pattern : conditions[d].patterns) {
        ++sharing[d][HashOf(BeginningOf(conditions[d], pattern))];
      }
    }
  }
  for (uint32_t i = 0; i < rules.size(); ++i) {
    const Conditions conditions = ConditionsOf(rules[i]);
    std::optional<size_t> best;
    uint64_t best_cost = 0;
    for (size_t d = 0; d < kDimensions; ++d) {
      uint64_t cost = 0;
      bool open = conditions[d].patterns.empty();
      for (const std::string& pattern : conditions[d].patterns) {
        const std::string_view beginning = BeginningOf(conditions[d], pattern);
        open = open || beginning.empty();
        cost += sharing[d][HashOf(beginning)];
      }
      if (open || (best && cost >= best_cost)) continue;
      best = d;
      best_cost = cost;
    }
    if (!best) {
      always_.push_back(i);
      continue;
    }
    Dimension& dimension = dimensions_[*best];
    for (const std::string& pattern : conditions[*best].patterns) {
      const std::string_view text = BeginningOf(conditions[*best], pattern);
      dimension.lengths.push_back(text.size());
      std::vector<uint32_t>& list = dimension.rules[HashOf(text)];
      if (list.empty() || list.back() != i) list.push_back(i);
    }
  }
  for (Dimension& dimension : dimensions_) {
    std::vector<size_t>& lengths = dimension.lengths;
    std::ranges::sort(lengths);
    lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  }
}

RuleIndex::Walk::Walk(const RuleIndex& index, const SessionFacts& session,
                      const ActionFacts& action) {
  lists_.reserve(16);
  Add(index.always_);
  const auto look = [&](size_t d, std::string_view text) {
    const Dimension& dimension = index.dimensions_[d];
    uint64_t hash = kHashStart;
    size_t at = 0;
    for (const size_t length : dimension.lengths) {
      if (length > text.size()) break;
      while (at < length) hash = HashOn(hash, text[at++]);
      const auto found = dimension.rules.find(hash);
      if (found != dimension.rules.end()) Add(found->second);
    }
  };
  const std::array<std::string_view, kDimensions - 1> texts = {
      action.name,
      action.resource,
      action.purpose,
      session.subject,
      session.spiffe_id.value,
      session.executable.value,
      session.uid.value,
      session.executable_sha256.value};
  for (size_t d = 0; d < texts.size(); ++d) look(d, texts[d]);
  for (const std::string& group : session.groups) look(kGroups, group);
}

void RuleIndex::Walk::Add(std::span<const uint32_t> rules) {
  if (!rules.empty()) lists_.push_back(rules);
}

std::optional<uint32_t> RuleIndex::Walk::Next() {
  std::optional<uint32_t> next;
  for (const auto& list : lists_) {
    if (!list.empty() && (!next || list.front() < *next)) next = list.front();
  }
  if (!next) return next;
  for (auto& list : lists_) {
    if (!list.empty() && list.front() == *next) list = list.subspan(1);
  }
  return next;
}

}  // namespace countersign::authz
