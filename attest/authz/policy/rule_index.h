// Finds, among thousands of rules, the few that may match, in the order of
// the file. Never decides: what it names is checked in full, and what it
// leaves out could not have matched.
//
// Each rule stands under one of its conditions: the one whose literal
// beginnings (in "file:///srv/a/*", all before the star) the fewest other
// rules share. A rule without such a beginning is always named. So a file of
// rules that all begin with a star is as slow as it is long.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_RULE_INDEX_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_RULE_INDEX_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "attest/authz/policy/policy.h"

namespace countersign::authz {

class RuleIndex {
 public:
  explicit RuleIndex(std::span<const Policy::Rule> rules);

  // The candidates for one action, ascending.
  class Walk {
   public:
    Walk(const RuleIndex& index, const SessionFacts& session,
         const ActionFacts& action);
    [[nodiscard]] std::optional<uint32_t> Next();

   private:
    void Add(std::span<const uint32_t> rules);
    std::vector<std::span<const uint32_t>> lists_;
  };

 private:
  // Rules by the hash of a beginning. Equal hashes of different texts only
  // name a rule too many.
  struct Dimension {
    std::vector<size_t> lengths;  // Of the beginnings, ascending.
    std::unordered_map<uint64_t, std::vector<uint32_t>> rules;
  };
  static constexpr size_t kDimensions = 9;

  std::array<Dimension, kDimensions> dimensions_;
  std::vector<uint32_t> always_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_RULE_INDEX_H_
