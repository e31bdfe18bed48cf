// countersign-authz policy: what the rule file says, before and after it is in
// force.
#include <CLI/CLI.hpp>
#include <memory>

#include "attest/authz/audit/decision_again.h"
#include "attest/authz/commands/commands.h"
#include "attest/authz/files.h"
#include "attest/authz/json_writer.h"
#include "attest/authz/policy/request_reader.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

struct Options {
  std::string file;     // check: the rule file; test: the examples.
  std::string policy;   // test, explain: another rule file than the config's.
  std::string action;   // explain
  std::string request;  // explain
};

Result<std::shared_ptr<const Policy>> LoadPolicy(const std::string& path) {
  CS_ASSIGN_OR_RETURN(const std::string text,
                      ReadTrustedFile(path, kMaxPolicySize));
  return Policy::Parse(text, path);
}

// The rule file named on the command line, else the one in the configuration.
Result<std::shared_ptr<const Policy>> ChosenPolicy(const Context& context,
                                                   const Options& options) {
  if (!options.policy.empty()) return LoadPolicy(options.policy);
  CS_ASSIGN_OR_RETURN(const Config config, LoadConfig(context.config_path));
  return LoadPolicy(config.policy);
}

std::string ReasonOf(const PolicyDecision& decision) {
  return decision.outcome == Outcome::kPermit
             ? std::string()
             : std::string(Name(decision.reason));
}

std::string RuleText(const std::string& rule) {
  return rule.empty() ? "no rule matches" : "rule '" + Printable(rule) + "'";
}

Result<int> Check(const Console& console, const Options& options) {
  CS_ASSIGN_OR_RETURN(const auto policy, LoadPolicy(options.file));
  if (console.json()) {
    JsonWriter json;
    json.BeginObject()
        .Bool("ok", true)
        .Int("rules", static_cast<int64_t>(policy->rules()))
        .String("policy_version", policy->version())
        .EndObject();
    console.PrintRaw(json.text());
  } else {
    console.Check(Mark::kOk,
                  std::to_string(policy->rules()) + " rules, no mistake",
                  "policy " + policy->version());
  }
  return 0;
}

// What is not as the example expects, in words; empty: all is.
std::string Difference(const PolicyExample& expected,
                       const PolicyDecision& got) {
  std::string text;
  const auto compare = [&text](std::string_view what, const std::string& wanted,
                               const std::string& is) {
    if (wanted.empty() || wanted == is) return;
    text += (text.empty() ? "" : "; ") + std::string(what) + ": expected " +
            Printable(wanted) + ", got " +
            (is.empty() ? "none" : Printable(is));
  };
  compare("outcome", expected.outcome, std::string(Name(got.outcome)));
  compare("rule", expected.rule, got.rule);
  compare("reason", expected.reason, ReasonOf(got));
  if (expected.grant_ttl_s != 0) {
    compare("grant_ttl_s", std::to_string(expected.grant_ttl_s),
            std::to_string(got.grant_ttl_s));
  }
  return text;
}

Result<int> Test(const Context& context, const Options& options) {
  CS_ASSIGN_OR_RETURN(const auto policy, ChosenPolicy(context, options));
  CS_ASSIGN_OR_RETURN(const std::string text,
                      ReadTrustedFile(options.file, kMaxExamples));
  CS_ASSIGN_OR_RETURN(const auto examples, ReadExamples(text, options.file));
  const Console& console = context.console;
  JsonWriter json;
  json.BeginObject().BeginArray("examples");
  int failed = 0;
  for (const PolicyExample& example : examples) {
    const PolicyDecision got =
        policy->Decide(example.facts.session, example.facts.action());
    const std::string difference = Difference(example, got);
    if (!difference.empty()) ++failed;
    if (console.json()) {
      json.BeginObject()
          .String("name", example.name)
          .Bool("ok", difference.empty())
          .String("expected", example.outcome)
          .String("outcome", Name(got.outcome))
          .String("rule", got.rule)
          .Optional("reason", ReasonOf(got))
          .Optional("difference", difference)
          .EndObject();
      continue;
    }
    console.Check(difference.empty() ? Mark::kOk : Mark::kFailed,
                  example.name + ": " + std::string(Name(got.outcome)) + ", " +
                      RuleText(got.rule),
                  difference);
  }
  json.EndArray().Int("failed", failed).EndObject();
  if (console.json()) {
    console.PrintRaw(json.text());
  } else {
    console.Note(std::to_string(examples.size() - static_cast<size_t>(failed)) +
                 " of " + std::to_string(examples.size()) +
                 " examples are decided as expected");
  }
  return failed == 0 ? 0 : 1;
}

void WriteExplanation(const Console& console, const Explanation& explained,
                      const PolicyDecision& decided) {
  JsonWriter json;
  json.BeginObject()
      .String("outcome", Name(decided.outcome))
      .String("rule", decided.rule)
      .Optional("reason", ReasonOf(decided))
      .Optional("detail", decided.detail)
      .String("rules_say", Name(explained.decision.outcome))
      .BeginArray("passed_over");
  for (const RuleTrace& rule : explained.passed_over) {
    json.BeginObject()
        .String("rule", rule.rule)
        .String("condition", rule.why.key)
        .String("wanted", rule.why.wanted)
        .String("got", rule.why.got)
        .EndObject();
  }
  json.EndArray().EndObject();
  console.PrintRaw(json.text());
}

void PrintExplanation(const Console& console, const Explanation& explained,
                      const PolicyDecision& decided) {
  const PolicyDecision& rules = explained.decision;
  console.Heading(std::string(Name(decided.outcome)) + ": " +
                  RuleText(rules.rule));
  console.Field("reason", ReasonOf(decided));
  console.Field("detail", Printable(decided.detail));
  if (decided.outcome != rules.outcome || decided.reason != rules.reason) {
    console.Field("rules say", Name(rules.outcome));
    console.Field("", "the decision point said otherwise");
  }
  for (const RuleTrace& rule : explained.passed_over) {
    console.Check(
        Mark::kFailed, "rule '" + Printable(rule.rule) + "' does not match",
        rule.why.key + ": the rule names " + Printable(rule.why.wanted) +
            ", there is " +
            (rule.why.got.empty() ? "none" : Printable(rule.why.got)));
  }
}

void Say(const Console& console, const Explanation& explained,
         const PolicyDecision& decided) {
  if (console.json()) {
    WriteExplanation(console, explained, decided);
  } else {
    PrintExplanation(console, explained, decided);
  }
}

Result<int> ExplainRequest(const Context& context, const Options& options) {
  CS_ASSIGN_OR_RETURN(const auto policy, ChosenPolicy(context, options));
  CS_ASSIGN_OR_RETURN(const std::string text,
                      ReadTrustedFile(options.request, kMaxExamples));
  CS_ASSIGN_OR_RETURN(const AskedFacts facts, ReadDecisionRequest(text));
  const Explanation explained = policy->Explain(facts.session, facts.action());
  Say(context.console, explained, explained.decision);
  return 0;
}

Result<int> ExplainAction(Installation& service, const Context& context,
                          const Options& options) {
  DecisionAgain again;
  const auto read = [&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const ActionRow row, FindAction(view, options.action));
    CS_ASSIGN_OR_RETURN(const TrailReader trail,
                        TrailReader::Open(view, service.config(),
                                          service.keys().ledger.verifier()));
    CS_ASSIGN_OR_RETURN(again, DecideAgain(trail, row));
    return {};
  };
  CS_RETURN_IF_ERROR(service.store().Read(read));
  if (!again.holds) {
    return Fail(ErrorCode::kLedgerEntryMismatch,
                "what is kept leads to another decision than was logged");
  }
  CS_ASSIGN_OR_RETURN(const AskedFacts facts,
                      ReadDecisionRequest(again.request));
  Say(context.console, again.policy->Explain(facts.session, facts.action()),
      again.decided);
  return 0;
}

void Finish(Context& context, const Result<int>& ran) {
  context.exit_code = ran ? *ran : context.console.Fail(ran.error());
}

}  // namespace

void AddPolicy(CLI::App& app, Context& context) {
  CLI::App* policy =
      app.add_subcommand("policy", "Check, test and explain rules");
  policy->footer("countersign-authz policy test policy-tests.toml");
  policy->require_subcommand(1);
  auto options = std::make_shared<Options>();

  CLI::App* check = policy->add_subcommand(
      "check", "Read a rule file; a mistake is named with its line");
  check->footer("countersign-authz policy check policy.toml");
  check->add_option("FILE", options->file, "Rule file")->required();
  check->callback([&context, options] {
    Finish(context, Check(context.console, *options));
  });

  CLI::App* test = policy->add_subcommand(
      "test", "Decide examples and compare; exit code 1 if one differs");
  test->footer("countersign-authz policy test policy-tests.toml");
  test->add_option("FILE", options->file, "Examples, TOML or JSON")->required();
  test->add_option("--policy", options->policy,
                   "Rule file, instead of the configuration's")
      ->type_name("FILE");
  test->callback(
      [&context, options] { Finish(context, Test(context, *options)); });

  CLI::App* explain = policy->add_subcommand(
      "explain", "Which rule decided, and why none before it did");
  explain->footer("countersign-authz policy explain 1042");
  CLI::Option* action = explain->add_option(
      "ACTION", options->action, "Action digest (hex) or ledger index");
  explain
      ->add_option("--request", options->request,
                   "A request (AuthZEN 1.0, JSON) instead of an action")
      ->type_name("FILE")
      ->excludes(action);
  explain
      ->add_option("--policy", options->policy,
                   "With --request: rule file, instead of the configuration's")
      ->type_name("FILE");
  explain->callback([&context, options] {
    if (!options->request.empty()) {
      return Finish(context, ExplainRequest(context, *options));
    }
    if (options->action.empty()) {
      context.exit_code = context.console.FailUsage(
          "Name an action, or a file with --request.",
          "See countersign-authz policy explain --help.");
      return;
    }
    context.Run([&](Installation& service) {
      return ExplainAction(service, context, *options);
    });
  });
}

}  // namespace countersign::authz
