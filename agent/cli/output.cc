#include "agent/cli/output.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <nlohmann/json.hpp>

#include "attest/base/text.h"

namespace countersign::agent {
namespace {

constexpr size_t kMaxLine = 4096;
constexpr int kLabelWidth = 12;

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

std::string MarkText(Mark mark) {
  switch (mark) {
    case Mark::kOk:
      return Coloured(STDOUT_FILENO, "32", "✓");
    case Mark::kFailed:
      return Coloured(STDOUT_FILENO, "31", "✗");
    case Mark::kAbsent:
      break;
  }
  return Coloured(STDOUT_FILENO, "2", "–");
}

void Write(FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
}

std::string Dump(const Json& value) {
  return value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

void Output::Print(std::string_view line) const {
  Write(stdout, Printable(line, kMaxLine) + "\n");
}

void Output::Check(Mark mark, std::string_view name, std::string_view detail,
                   std::string_view hint) const {
  std::string line = MarkText(mark) + " " + Printable(name, 80);
  if (!detail.empty()) line += ": " + Printable(detail, kMaxLine);
  line += "\n";
  if (!hint.empty()) line += "    → " + Printable(hint, kMaxLine) + "\n";
  Write(stdout, line);
}

void Output::Field(std::string_view label, std::string_view value) const {
  if (value.empty()) return;
  std::string line(label);
  line.resize(kLabelWidth, ' ');
  Write(stdout, line + Printable(value, kMaxLine) + "\n");
}

void Output::PrintJson(const Json& value) const { Write(stdout, Dump(value)); }

void Output::Note(std::string_view line) const {
  Write(stderr, Printable(line, kMaxLine) + "\n");
}

int Output::Fail(const Error& error) const {
  return Report(Name(Public(error.code)), Name(error.code), Message(error.code),
                Remedy(error.code), error.detail, ExitCode(error.code));
}

int Output::FailUsage(std::string_view message, std::string_view remedy) const {
  return Report("bad_request", "usage", message, remedy, "", 2);
}

int Output::Report(std::string_view code, std::string_view reason,
                   std::string_view message, std::string_view remedy,
                   std::string_view detail, int exit_code) const {
  if (json_) {
    PrintJson({{"error",
                {{"code", code},
                 {"reason", reason},
                 {"message", message},
                 {"remedy", remedy},
                 {"detail", detail}}}});
    return exit_code;
  }
  std::string text = Coloured(STDERR_FILENO, "31", "error:") + " " +
                     Printable(message, kMaxLine) + "\n";
  if (!remedy.empty()) text += "remedy: " + Printable(remedy, kMaxLine) + "\n";
  if (!detail.empty()) text += "detail: " + Printable(detail, kMaxLine) + "\n";
  Write(stderr, text);
  return exit_code;
}

Json ErrorJson(const Error& error) {
  return {{"code", Name(Public(error.code))},
          {"reason", Name(error.code)},
          {"message", Message(error.code)},
          {"remedy", Remedy(error.code)},
          {"detail", error.detail}};
}

std::string TimeText(int64_t unix_ms) {
  if (unix_ms == 0) return {};
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  if (gmtime_r(&seconds, &parts) == nullptr) return {};
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(),
                                     "%Y-%m-%d %H:%M:%S UTC", &parts)};
}

}  // namespace countersign::agent
