#include "attest/authz/commands/console.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "attest/authz/json_writer.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxLine = 4096;
constexpr size_t kLabelWidth = 12;
constexpr char kRed[] = "31";
constexpr char kGreen[] = "32";
constexpr char kBold[] = "1";
constexpr char kDim[] = "2";

bool InColour(int stream) {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  return ::isatty(stream) == 1;
}

std::string Coloured(int stream, std::string_view colour,
                     std::string_view text) {
  if (!InColour(stream)) return std::string(text);
  return "\x1b[" + std::string(colour) + "m" + std::string(text) + "\x1b[0m";
}

void Write(FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

std::string MarkText(Mark mark) {
  switch (mark) {
    case Mark::kOk:
      return Coloured(STDOUT_FILENO, kGreen, "✓");
    case Mark::kFailed:
      return Coloured(STDOUT_FILENO, kRed, "✗");
    case Mark::kErased:
      return Coloured(STDOUT_FILENO, kRed, "?");
    case Mark::kAbsent:
      break;
  }
  return Coloured(STDOUT_FILENO, kDim, "–");
}

}  // namespace

void Console::Print(std::string_view line) const {
  Write(stdout, Printable(line, kMaxLine) + "\n");
}

void Console::Heading(std::string_view text) const {
  Write(stdout, Coloured(STDOUT_FILENO, kBold, Printable(text)) + "\n");
}

void Console::Check(Mark mark, std::string_view fact,
                    std::string_view proof) const {
  std::string line = "  " + MarkText(mark) + " " + Printable(fact, kMaxLine);
  if (!proof.empty()) {
    line +=
        "\n      " + Coloured(STDOUT_FILENO, kDim, Printable(proof, kMaxLine));
  }
  Write(stdout, line + "\n");
}

void Console::Field(std::string_view label, std::string_view value) const {
  if (value.empty()) return;
  std::string line(label);
  if (line.size() < kLabelWidth) line.resize(kLabelWidth, ' ');
  Write(stdout, "  " + line + Printable(value, kMaxLine) + "\n");
}

void Console::PrintRaw(std::string_view text) const {
  Write(stdout, std::string(text) + "\n");
}

void Console::Note(std::string_view line) const {
  Write(stderr, Printable(line, kMaxLine) + "\n");
}

int Console::Fail(const Error& error) const {
  return Report(Name(Public(error.code)), Name(error.code), Message(error.code),
                Remedy(error.code), error.detail, ExitCode(error.code));
}

int Console::FailUsage(std::string_view message,
                       std::string_view remedy) const {
  return Report("bad_request", "usage", message, remedy, "", 2);
}

int Console::Report(std::string_view code, std::string_view reason,
                    std::string_view message, std::string_view remedy,
                    std::string_view detail, int exit_code) const {
  if (json_) {
    JsonWriter json;
    json.BeginObject()
        .BeginObject("error")
        .String("code", code)
        .String("reason", reason)
        .String("message", message)
        .String("remedy", remedy)
        .String("detail", Printable(detail, kMaxLine))
        .EndObject()
        .EndObject();
    PrintRaw(json.text());
    return exit_code;
  }
  std::string text = Coloured(STDERR_FILENO, kRed, "error:") + " " +
                     Printable(message, kMaxLine) + "\n";
  if (!remedy.empty()) text += "remedy: " + Printable(remedy, kMaxLine) + "\n";
  if (!detail.empty()) text += "detail: " + Printable(detail, kMaxLine) + "\n";
  Write(stderr, text);
  return exit_code;
}

std::string TimeText(int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return {};
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(),
                                     "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

}  // namespace countersign::authz
