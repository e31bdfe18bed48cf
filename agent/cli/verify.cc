// countersign verify: judges an evidence bundle, offline.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/verify_bundle.h"

namespace countersign::agent {
namespace {

struct Options {
  std::string bundle;
  std::string trust;
  bool allow_partial = false;
};

bool Accepts(const Options& options, const BundleReport& report) {
  return options.allow_partial ? report.sound() : report.ok();
}

Json IndexJson(const std::optional<uint64_t>& index) {
  return index.has_value() ? Json(*index) : Json(nullptr);
}

Json ObservationsJson(const BundleFacts& facts) {
  Json list = Json::array();
  for (const Observed& seen : facts.observations) {
    list.push_back(
        {{"fact", seen.fact}, {"how", seen.how}, {"grade", seen.grade}});
  }
  return list;
}

Json FactsJson(const BundleFacts& facts) {
  return {{"issuer", facts.issuer},
          {"device_id", facts.device_id},
          {"ek_class", facts.ek_class},
          {"ek_trust", facts.ek_trust},
          {"session_id", facts.session_id},
          {"user", facts.user},
          {"user_verification", facts.user_verification},
          {"workload", facts.workload},
          {"executable", facts.executable},
          {"package", facts.package},
          {"origin", facts.origin},
          {"observations", ObservationsJson(facts)},
          {"purpose", facts.purpose},
          {"action_digest", facts.action_digest},
          {"action_name", facts.action_name},
          {"resource", facts.resource},
          {"decision", facts.decision},
          {"approval", facts.approval},
          {"session_index", IndexJson(facts.session_index)},
          {"decision_index", IndexJson(facts.decision_index)},
          {"decided_at_ms", facts.decided_at_ms}};
}

void PrintAsJson(const BundleReport& report, bool accepted,
                 const Output& output) {
  Json parts = Json::array();
  Json absent = Json::array();
  for (size_t i = 0; i < kParts; ++i) {
    const auto part = static_cast<Part>(i);
    const PartReport& found = report.part(part);
    if (found.state == PartState::kAbsent) absent.push_back(PartId(part));
    parts.push_back(
        {{"name", PartId(part)},
         {"state", Name(found.state)},
         {"reason", found.state == PartState::kFailed ? Json(Name(found.reason))
                                                      : Json(nullptr)},
         {"detail", found.detail}});
  }
  output.PrintJson(
      {{"ok", accepted},
       {"complete", report.complete()},
       {"parts", parts},
       {"absent", absent},
       {"facts", FactsJson(report.facts)},
       {"warnings", report.warnings},
       {"error", accepted ? Json(nullptr) : ErrorJson(report.FirstError())}});
}

void PrintPart(Part part, const PartReport& found, const Output& output) {
  switch (found.state) {
    case PartState::kHolds:
      return output.Check(Mark::kOk, PartTitle(part), found.detail);
    case PartState::kFailed:
      return output.Check(Mark::kFailed, PartTitle(part),
                          std::string(Message(found.reason)) + " (" +
                              std::string(Name(found.reason)) + ") " +
                              found.detail);
    case PartState::kNotJudged:
      return output.Check(Mark::kFailed, PartTitle(part),
                          "not judged: " + found.detail);
    case PartState::kAbsent:
      return output.Check(Mark::kAbsent, PartTitle(part), "absent");
  }
}

void PrintForPeople(const BundleReport& report, const Output& output) {
  for (size_t i = 0; i < kParts; ++i) {
    const auto part = static_cast<Part>(i);
    PrintPart(part, report.part(part), output);
  }
  const BundleFacts& facts = report.facts;
  output.Field("Who", facts.user);
  output.Field("Program", facts.executable);
  output.Field("Package", facts.package);
  output.Field("Origin", facts.origin);
  output.Field("Device", facts.device_id);
  output.Field("What", facts.action_name.empty()
                           ? ""
                           : facts.action_name + " " + facts.resource);
  output.Field("Purpose", facts.purpose);
  output.Field("Decision", facts.decision);
  output.Field("Approval", facts.approval);
  output.Field("When", TimeText(facts.decided_at_ms));
  for (const std::string& warning : report.warnings) {
    output.Note("note: " + warning);
  }
}

int Run(const Options& options, const Context& context) {
  const Output& output = context.output;
  const auto trust = LoadTrustFolder(options.trust);
  if (!trust.has_value()) return output.Fail(trust.error());
  const auto bytes = ReadInput(options.bundle, kMaxBundleSize);
  if (!bytes.has_value()) return output.Fail(bytes.error());
  const auto bundle = ParseBundle(*bytes);
  if (!bundle.has_value()) return output.Fail(bundle.error());
  const BundleReport report = VerifyBundle(*bundle, *trust);
  const bool accepted = Accepts(options, report);
  if (output.json()) {
    PrintAsJson(report, accepted, output);
    return accepted ? 0 : ExitCode(report.FirstError().code);
  }
  PrintForPeople(report, output);
  if (!accepted) return output.Fail(report.FirstError());
  if (!report.ok()) output.Note("note: incomplete, and accepted as partial");
  return 0;
}

}  // namespace

void AddVerify(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "verify", "Verify an evidence bundle offline, part by part");
  command->footer("countersign verify bundle.cse --trust trust/");
  const auto options = std::make_shared<Options>();
  command->add_option("bundle", options->bundle, "The bundle; - reads stdin")
      ->required()
      ->type_name("BUNDLE");
  command
      ->add_option("--trust", options->trust,
                   "Folder with service.jwks.json, ledger.vkey and ek-roots/")
      ->required()
      ->type_name("DIR");
  command->add_flag("--allow-partial", options->allow_partial,
                    "Accept a bundle that lacks session, action, decision or "
                    "ledger proofs, if what it holds is true");
  command->callback(
      [options, &context] { context.exit_code = Run(*options, context); });
}

}  // namespace countersign::agent
