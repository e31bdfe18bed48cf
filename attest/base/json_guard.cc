#include "attest/base/json_guard.h"

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace countersign {
namespace {

// nlohmann's SAX events; returning false stops the parse.
class Guard final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_array() override { return Leave(); }

  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    why_ = "JSON has a key twice in one object";
    return false;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    why_ = "JSON is malformed at byte " + std::to_string(position);
    return false;
  }

  const std::string& why() const { return why_; }

 private:
  bool Enter() {
    if (keys_.size() == kMaxJsonDepth) {
      why_ = "JSON is nested deeper than " + std::to_string(kMaxJsonDepth);
      return false;
    }
    keys_.emplace_back();
    return true;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;
  std::string why_ = "JSON is malformed";
};

}  // namespace

Status CheckJson(std::string_view text, size_t max_size) {
  if (text.size() > max_size) {
    return Fail(ErrorCode::kTooLarge,
                "JSON is longer than " + std::to_string(max_size) + " bytes");
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    return Fail(ErrorCode::kBadRequest, "JSON starts with a byte-order mark");
  }
  // nlohmann takes a NUL for the end; other readers take what follows as well.
  if (text.find('\0') != std::string_view::npos) {
    return Fail(ErrorCode::kBadRequest, "JSON has a NUL byte");
  }
  Guard guard;
  if (!nlohmann::json::sax_parse(text, &guard)) {
    return Fail(ErrorCode::kBadRequest, guard.why());
  }
  return {};
}

}  // namespace countersign
