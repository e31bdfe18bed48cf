// Writes one line of JSON front to back: for tokens and decision requests,
// thousands a second, where a document tree would cost more than the
// signature. Keys are literals of ours; values are escaped.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_JSON_WRITER_H_
#define COUNTERSIGN_ATTEST_AUTHZ_JSON_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace countersign::authz {

class JsonWriter {
 public:
  JsonWriter() { text_.reserve(1024); }

  // Containers; `key` is empty in arrays and at the top.
  JsonWriter& BeginObject(std::string_view key = {});
  JsonWriter& EndObject() { return End('}'); }
  JsonWriter& BeginArray(std::string_view key = {});
  JsonWriter& EndArray() { return End(']'); }

  // `value` is UTF-8, as CheckText and protobuf make sure of.
  JsonWriter& String(std::string_view key, std::string_view value);
  // Left out if empty.
  JsonWriter& Optional(std::string_view key, std::string_view value) {
    return value.empty() ? *this : String(key, value);
  }
  JsonWriter& Int(std::string_view key, int64_t value);
  JsonWriter& Bool(std::string_view key, bool value);
  // `json` is a JSON value already.
  JsonWriter& Raw(std::string_view key, std::string_view json);

  [[nodiscard]] const std::string& text() const& { return text_; }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  void Start(std::string_view key);
  JsonWriter& End(char bracket);
  void Quoted(std::string_view value);

  std::string text_;
  bool first_ = true;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_JSON_WRITER_H_
