// JSON objects as JOSE has them: a few members that are text or whole numbers.
// The one place of this folder that knows the JSON library; used inside it.
#ifndef COUNTERSIGN_ATTEST_JOSE_JSON_OBJECT_H_
#define COUNTERSIGN_ATTEST_JOSE_JSON_OBJECT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "attest/base/result.h"

namespace countersign::jose {

class JsonObject {
 public:
  // Parses hostile text; kJwsMalformed unless it is one JSON object that
  // CheckJson accepts, of at most `max_size` bytes.
  [[nodiscard]] static Result<JsonObject> Parse(std::string_view text,
                                                size_t max_size);

  [[nodiscard]] bool Has(std::string_view name) const;
  // The member, if it is there and of that type. An integer is a JSON number
  // without fraction or exponent that an int64_t holds.
  [[nodiscard]] std::optional<std::string> Text(std::string_view name) const;
  [[nodiscard]] std::optional<int64_t> Integer(std::string_view name) const;
  // A member that is an object, as JSON text again.
  [[nodiscard]] std::optional<std::string> Object(std::string_view name) const;
  // A member that is an array of objects, each as JSON text again.
  [[nodiscard]] std::optional<std::vector<std::string>> Objects(
      std::string_view name) const;
  // A member that is an array of text.
  [[nodiscard]] std::optional<std::vector<std::string>> Texts(
      std::string_view name) const;

 private:
  struct Nested {
    std::string json;
  };
  using Array = std::vector<std::string>;
  struct TextArray {
    std::vector<std::string> texts;
  };
  using Value = std::variant<std::monostate, std::string, int64_t, Nested,
                             Array, TextArray>;

  template <typename T>
  const T* Get(std::string_view name) const {
    const auto found = members_.find(name);
    return found == members_.end() ? nullptr : std::get_if<T>(&found->second);
  }

  std::map<std::string, Value, std::less<>> members_;
};

// `members` as the text of one JSON object, in that order. kBadRequest: a
// value is not UTF-8.
using JsonMember =
    std::pair<std::string_view, std::variant<std::string_view, int64_t>>;
[[nodiscard]] Result<std::string> WriteJsonObject(
    const std::vector<JsonMember>& members);

}  // namespace countersign::jose

#endif  // COUNTERSIGN_ATTEST_JOSE_JSON_OBJECT_H_
