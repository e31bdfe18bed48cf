#include <algorithm>
#include <array>

#include "attest/authz/policy/policy_rule.h"

namespace countersign::authz {
namespace {

constexpr int kMinutesOfDay = 24 * 60;

bool AnyGlob(const Patterns& patterns, std::string_view text) {
  return patterns.empty() ||
         std::ranges::any_of(patterns, [text](const std::string& pattern) {
           return GlobMatches(pattern, text);
         });
}

bool AnyEqual(const Patterns& values, std::string_view text) {
  return values.empty() || std::ranges::find(values, text) != values.end();
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : " or ") + text;
  }
  return all;
}

// Notes the first condition that fails; words are made only if asked for.
bool Note(Mismatch* why, std::string_view key, const Patterns& wanted,
          std::string_view got) {
  if (why != nullptr && why->key.empty()) {
    *why = {std::string(key), Joined(wanted), std::string(got)};
  }
  return false;
}

bool Glob(Mismatch* why, std::string_view key, const Patterns& patterns,
          std::string_view text) {
  return AnyGlob(patterns, text) || Note(why, key, patterns, text);
}

bool Exact(Mismatch* why, std::string_view key, const Patterns& values,
           std::string_view text) {
  return AnyEqual(values, text) || Note(why, key, values, text);
}

// Collects the graded facts that a rule names, and whether all of them match.
class Grounds {
 public:
  Grounds(Strength weakest, Mismatch* why) : weakest_(weakest), why_(why) {}

  void Match(std::string_view key, const Patterns& patterns, const Fact& fact,
             bool exact = false) {
    if (patterns.empty()) return;
    Name(fact.strength);
    const bool value =
        !fact.value.empty() && (exact ? AnyEqual(patterns, fact.value)
                                      : AnyGlob(patterns, fact.value));
    if (!value) {
      matched_ = Note(why_, key, patterns, fact.value);
    } else if (fact.strength > weakest_) {
      matched_ = why_ != nullptr && Note(why_, std::string(key) + " (grade)",
                                         {std::string(authz::Name(weakest_))},
                                         authz::Name(fact.strength));
    }
  }
  // What the service itself has verified, of which one must be named.
  void MatchVerified(std::string_view key, const Patterns& wanted,
                     const std::vector<std::string>& values) {
    if (wanted.empty()) return;
    Name(Strength::kVerifiedByService);
    const bool hit = std::ranges::any_of(values, [&](const std::string& value) {
      return !value.empty() && AnyEqual(wanted, value);
    });
    if (!hit) {
      matched_ = Note(why_, key, wanted,
                      why_ == nullptr ? std::string() : Joined(values));
    }
  }
  // A rule that is about the user judges its facts at any grade.
  void set_weakest(Strength weakest) { weakest_ = weakest; }

  [[nodiscard]] bool matched() const { return matched_; }
  // All that the rule stands on could have been made up by any process of the
  // same user.
  [[nodiscard]] bool only_spoofable() const {
    return named_ && strongest_ >= Strength::kSameUserSpoofable;
  }

 private:
  void Name(Strength strength) {
    named_ = true;
    strongest_ = std::min(strongest_, strength);
  }

  Strength weakest_;
  Mismatch* why_;
  bool named_ = false;
  bool matched_ = true;
  Strength strongest_ = Strength::kClaimed;
};

std::string ClockText(int minute) {
  const auto two = [](int value) {
    return (value < 10 ? "0" : "") + std::to_string(value);
  };
  return two(minute / 60) + ":" + two(minute % 60);
}

bool WhenMatches(const Policy::Rule& rule, const ActionFacts& action,
                 Mismatch* why) {
  const auto& when = rule.when;
  if (!when.weekday.empty() &&
      !Exact(why, "when.weekday", when.weekday, WeekdayOf(action.time_ms))) {
    return false;
  }
  if (when.from_minute != 0 || when.until_minute != kMinutesOfDay) {
    const auto minute =
        static_cast<int>(action.time_ms / 60'000 % kMinutesOfDay);
    const bool inside =
        when.from_minute <= when.until_minute
            ? minute >= when.from_minute && minute < when.until_minute
            : minute >= when.from_minute || minute < when.until_minute;
    if (!inside) {
      return why != nullptr && Note(why, "when",
                                    {ClockText(when.from_minute) + " to " +
                                     ClockText(when.until_minute) + " UTC"},
                                    ClockText(minute));
    }
  }
  if (when.max_session_age_s != 0 &&
      action.session_age_s > when.max_session_age_s) {
    return why != nullptr && Note(why, "when.max_session_age_s",
                                  {std::to_string(when.max_session_age_s)},
                                  std::to_string(action.session_age_s));
  }
  return true;
}

}  // namespace

std::string_view WeekdayOf(int64_t time_ms) {
  constexpr std::array<std::string_view, 7> kNames = {
      "thu", "fri", "sat", "sun", "mon", "tue", "wed"};  // 1970-01-01
  return kNames[static_cast<size_t>(time_ms / 86'400'000 % 7)];
}

bool ActionMatches(const Policy::Rule& rule, const ActionFacts& action,
                   Mismatch* why) {
  return Glob(why, "action", rule.action, action.name) &&
         Glob(why, "resource", rule.resource, action.resource) &&
         Glob(why, "purpose", rule.purpose, action.purpose) &&
         WhenMatches(rule, action, why);
}

bool SessionMatches(const Policy::Rule& rule, const SessionFacts& session,
                    Effect effect, Mismatch* why) {
  if (!Exact(why, "user.verification", rule.user.verification,
             session.verification) ||
      !Exact(why, "device.ek_class", rule.device.ek_class, session.ek_class) ||
      !Exact(why, "device.ek_trust", rule.device.ek_trust, session.ek_trust) ||
      !Exact(why, "device.boot", rule.device.boot, session.boot) ||
      !Exact(why, "device.pcr_digest", rule.device.pcr_digest,
             session.pcr_digest)) {
    return false;
  }
  const bool allows = effect == Effect::kAllows;
  Grounds grounds(allows ? rule.workload.grade.value_or(Strength::kKernel)
                         : Strength::kClaimed,
                  why);
  grounds.Match("workload.spiffe_id", rule.workload.spiffe_id,
                session.spiffe_id);
  grounds.Match("workload.executable", rule.workload.executable,
                session.executable);
  grounds.Match("workload.executable_sha256", rule.workload.executable_sha256,
                session.executable_sha256, /*exact=*/true);
  grounds.Match("workload.unit", rule.workload.unit, session.unit);
  grounds.set_weakest(Strength::kClaimed);
  // The uid is what makes a subject on its device.
  if (!rule.user.subject.empty()) {
    grounds.Match("user.subject", rule.user.subject,
                  {session.subject, session.uid.strength});
  }
  grounds.Match("user.os_name", rule.user.os_name, session.os_name);
  grounds.Match("user.uid", rule.user.uid, session.uid, /*exact=*/true);
  grounds.MatchVerified("user.groups", rule.user.groups, session.groups);
  if (!rule.user.acr.empty()) {
    grounds.MatchVerified("user.acr", rule.user.acr, {session.acr});
  }
  if (!grounds.matched()) return false;
  if (allows && grounds.only_spoofable()) {
    return why != nullptr &&
           Note(why, "grounds",
                {"a fact that no process of the same user could have made up"},
                "only such that one could");
  }
  return true;
}

}  // namespace countersign::authz
