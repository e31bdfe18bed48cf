// Where a command says things: data on stdout, everything meant for people to
// read beside it on stderr, in colour only where a terminal shows it and
// NO_COLOR (no-color.org) is not set. Foreign text is made printable first.
#ifndef COUNTERSIGN_AGENT_CLI_OUTPUT_H_
#define COUNTERSIGN_AGENT_CLI_OUTPUT_H_

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "attest/base/result.h"

namespace countersign::agent {

using Json = nlohmann::ordered_json;

// Of one line of a list of checks.
enum class Mark : uint8_t { kOk, kFailed, kAbsent };

class Output {
 public:
  // One line of data on stdout.
  void Print(std::string_view line) const;
  // "✓ name  detail" on stdout, a hint below it.
  void Check(Mark mark, std::string_view name, std::string_view detail,
             std::string_view hint = {}) const;
  // "Label     value" on stdout, aligned; nothing when `value` is empty.
  void Field(std::string_view label, std::string_view value) const;
  // The whole answer under --json: one object, indented, stable key order.
  void PrintJson(const Json& value) const;

  // One line for the person at the terminal, on stderr.
  void Note(std::string_view line) const;

  // Reports `error` (as {"error": …} on stdout under --json, else as error,
  // remedy and detail on stderr) and gives the command's exit code.
  int Fail(const Error& error) const;
  // The same for a mistake in how the command was called: exit code 2.
  int FailUsage(std::string_view message, std::string_view remedy) const;

  void set_json(bool json) { json_ = json; }
  [[nodiscard]] bool json() const { return json_; }

 private:
  int Report(std::string_view code, std::string_view reason,
             std::string_view message, std::string_view remedy,
             std::string_view detail, int exit_code) const;

  bool json_ = false;
};

// {code, reason, message, remedy, detail}, as on the socket and over HTTP.
[[nodiscard]] Json ErrorJson(const Error& error);

// "2026-01-02 03:04:05 UTC"; empty for 0.
[[nodiscard]] std::string TimeText(int64_t unix_ms);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_CLI_OUTPUT_H_
