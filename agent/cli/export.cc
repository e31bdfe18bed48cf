// countersign export: a bundle's quote as files for other tools.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "agent/cli/commands.h"
#include "agent/cli/tpm2_tools_export.h"
#include "agent/cli/verify_bundle.h"

namespace countersign::agent {
namespace {

struct Options {
  std::string bundle;
  std::string format = "tpm2-tools";
  std::string quote = "action";
  std::string out;
};

Result<Tpm2ToolsFiles> Read(const Options& options) {
  CS_ASSIGN_OR_RETURN(const Bytes bytes,
                      ReadInput(options.bundle, kMaxBundleSize));
  CS_ASSIGN_OR_RETURN(const v1::EvidenceBundle bundle, ParseBundle(bytes));
  return ExportForTpm2Tools(bundle, options.quote == "action"
                                        ? ExportedQuote::kAction
                                        : ExportedQuote::kSession);
}

Status Write(const std::filesystem::path& folder, const Tpm2ToolsFiles& files) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    return Fail(ErrorCode::kIoError, folder.string() + ": " + error.message());
  }
  const auto write = [&](const char* name, std::string_view bytes) {
    return WriteOutput((folder / name).string(), bytes);
  };
  CS_RETURN_IF_ERROR(write("quote.msg", AsString(files.message)));
  CS_RETURN_IF_ERROR(write("quote.sig", AsString(files.signature)));
  CS_RETURN_IF_ERROR(write("ak.pem", files.ak_pem));
  CS_RETURN_IF_ERROR(write("pcrs.bin", AsString(files.pcrs)));
  return write("qualification.hex", files.qualification);
}

int Run(const Options& options, const Context& context) {
  const Output& output = context.output;
  const auto files = Read(options);
  if (!files.has_value()) return output.Fail(files.error());
  const Status written = Write(options.out, *files);
  if (!written.has_value()) return output.Fail(written.error());
  const std::string line =
      "tpm2_checkquote -u ak.pem -m quote.msg -s quote.sig -f pcrs.bin -g "
      "sha256 -q $(cat qualification.hex)";
  if (output.json()) {
    output.PrintJson({{"folder", options.out},
                      {"quote", options.quote},
                      {"qualification", files->qualification},
                      {"command", line}});
    return 0;
  }
  output.Print("cd " + options.out + " && " + line);
  output.Note(
      "tpm2_checkquote before 5.7 accepts quotes that no TPM made "
      "(CVE-2024-29038, CVE-2024-29039): it may confirm, and 'countersign "
      "verify' judges.");
  return 0;
}

}  // namespace

void AddExport(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("export", "Export a bundle's quote for other tools");
  command->footer(
      "countersign export --bundle bundle.cse --format tpm2-tools --out "
      "quote/");
  const auto options = std::make_shared<Options>();
  command->add_option("--bundle", options->bundle, "The bundle; - reads stdin")
      ->required()
      ->type_name("FILE");
  command->add_option("--format", options->format, "Whose files")
      ->check(CLI::IsMember({"tpm2-tools"}).description(""))
      ->type_name("tpm2-tools");
  command
      ->add_option("--quote", options->quote,
                   "Over the action's batch (default) or the session")
      ->check(CLI::IsMember({"action", "session"}).description(""))
      ->type_name("action|session");
  command->add_option("--out", options->out, "Folder to write to")
      ->required()
      ->type_name("DIR");
  command->callback(
      [options, &context] { context.exit_code = Run(*options, context); });
}

}  // namespace countersign::agent
