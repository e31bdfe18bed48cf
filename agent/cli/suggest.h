// "Did you mean …?" for a word that is none of those that were possible.
#ifndef COUNTERSIGN_AGENT_CLI_SUGGEST_H_
#define COUNTERSIGN_AGENT_CLI_SUGGEST_H_

#include <string>
#include <string_view>
#include <vector>

namespace countersign::agent {

// The candidate that takes the fewest changes (a letter inserted, left out or
// replaced, or two neighbours swapped); empty if even that one is no likely
// slip.
[[nodiscard]] std::string NearestName(
    std::string_view word, const std::vector<std::string>& candidates);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_SUGGEST_H_
