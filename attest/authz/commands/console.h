// How the commands speak: data on stdout, everything else on stderr, colour
// only on a terminal and without NO_COLOR (no-color.org). Foreign text is
// made printable first.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_COMMANDS_CONSOLE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_COMMANDS_CONSOLE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "attest/authz/audit/checked_line.h"
#include "attest/base/result.h"

namespace countersign::authz {

class Console {
 public:
  // One line on stdout.
  void Print(std::string_view line) const;
  void Heading(std::string_view text) const;
  // "  ✓ fact" and, dimmed below it, what shows it.
  void Check(Mark mark, std::string_view fact, std::string_view proof) const;
  // "  label     value"; nothing when `value` is empty.
  void Field(std::string_view label, std::string_view value) const;
  // Text that is shown once and is a secret, or JSON: as it is.
  void PrintRaw(std::string_view text) const;
  // One line for people, on stderr.
  void Note(std::string_view line) const;

  // Reports `error`: {"error": …} on stdout under --json, else error, remedy
  // and detail on stderr. Returns the exit code.
  int Fail(const Error& error) const;
  // A mistake in how the command was called: exit code 2.
  int FailUsage(std::string_view message, std::string_view remedy) const;

  void set_json(bool json) { json_ = json; }
  [[nodiscard]] bool json() const { return json_; }

 private:
  int Report(std::string_view code, std::string_view reason,
             std::string_view message, std::string_view remedy,
             std::string_view detail, int exit_code) const;

  bool json_ = false;
};

// "2026-01-02 03:04:05 UTC".
[[nodiscard]] std::string TimeText(int64_t unix_ms);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_COMMANDS_CONSOLE_H_
