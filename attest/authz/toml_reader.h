// Reads a TOML table strictly: every key must be known and of its type, and
// every complaint names source and line. Include it in sources only.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_TOML_READER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_TOML_READER_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "attest/authz/checked_toml.h"
#include "attest/base/result.h"

namespace countersign::authz {

// Parses `text`. kConfigInvalid with "source:line: what", or "source: what"
// where toml++ loses the line.
[[nodiscard]] Result<toml::table> ParseToml(std::string_view text,
                                            std::string_view source);

// One table. The first complaint is kept; ask Finish() at the end, which also
// complains about keys that nobody asked for.
class TomlReader {
 public:
  TomlReader(const toml::table& table, std::string_view source)
      : table_(table), source_(source) {}

  void String(std::string_view key, std::string* value);
  void Bool(std::string_view key, bool* value);
  void Int(std::string_view key, int64_t min, int64_t max, int64_t* value);
  void Int(std::string_view key, int64_t min, int64_t max, int* value);
  // A string or an array of strings, each not empty.
  void Strings(std::string_view key, std::vector<std::string>* values);
  // The table under `key`, or nullptr if there is none.
  const toml::table* Table(std::string_view key);
  // The array of tables under `key`.
  std::vector<const toml::table*> Tables(std::string_view key);

  // Notes "source:line: what", with the line of `key`.
  void Complain(std::string_view key, std::string_view what);
  [[nodiscard]] Status Finish();

 private:
  const toml::node* Get(std::string_view key);
  void Complain(const toml::node& node, std::string_view what);

  const toml::table& table_;
  std::string source_;
  std::set<std::string, std::less<>> known_;
  std::string complaint_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_TOML_READER_H_
