#include "attest/authz/toml_reader.h"

#include "attest/base/text.h"

namespace countersign::authz {
namespace {

std::string At(std::string_view source, uint32_t line, std::string_view what) {
  return std::string(source) + ":" + std::to_string(line) + ": " +
         Printable(what);
}

}  // namespace

void ThrowTomlAssertion(const char* condition) {
  throw TomlAssertion(condition);
}

Result<toml::table> ParseToml(std::string_view text, std::string_view source) {
  // toml++ looks ahead of a NUL and of bad UTF-8 with less care than of the
  // rest; such text is not TOML anyway.
  if (!IsUtf8(text) || text.find('\0') != std::string_view::npos) {
    return Fail(ErrorCode::kConfigInvalid, At(source, 1, "not UTF-8 text"));
  }
  try {
    return toml::parse(text, source);
  } catch (const toml::parse_error& error) {
    return Fail(ErrorCode::kConfigInvalid,
                At(source, error.source().begin.line, error.description()));
  } catch (const TomlAssertion& assertion) {
    return Fail(
        ErrorCode::kConfigInvalid,
        std::string(source) + ": not TOML: expected " + assertion.what());
  }
}

const toml::node* TomlReader::Get(std::string_view key) {
  known_.emplace(key);
  return table_.get(key);
}

void TomlReader::Complain(const toml::node& node, std::string_view what) {
  if (complaint_.empty()) {
    complaint_ = At(source_, node.source().begin.line, what);
  }
}

void TomlReader::Complain(std::string_view key, std::string_view what) {
  const toml::node* node = table_.get(key);
  Complain(node != nullptr ? *node : static_cast<const toml::node&>(table_),
           std::string(key) + " " + std::string(what));
}

void TomlReader::String(std::string_view key, std::string* value) {
  const toml::node* node = Get(key);
  if (node == nullptr) return;
  if (const auto* text = node->as_string()) {
    *value = text->get();
  } else {
    Complain(key, "must be a string");
  }
}

void TomlReader::Bool(std::string_view key, bool* value) {
  const toml::node* node = Get(key);
  if (node == nullptr) return;
  if (const auto* flag = node->as_boolean()) {
    *value = flag->get();
  } else {
    Complain(key, "must be true or false");
  }
}

void TomlReader::Int(std::string_view key, int64_t min, int64_t max,
                     int64_t* value) {
  const toml::node* node = Get(key);
  if (node == nullptr) return;
  const auto* number = node->as_integer();
  if (number == nullptr || number->get() < min || number->get() > max) {
    Complain(key, "must be a whole number from " + std::to_string(min) +
                      " to " + std::to_string(max));
    return;
  }
  *value = number->get();
}

void TomlReader::Int(std::string_view key, int64_t min, int64_t max,
                     int* value) {
  int64_t wide = *value;
  Int(key, min, max, &wide);
  *value = static_cast<int>(wide);
}

void TomlReader::Strings(std::string_view key,
                         std::vector<std::string>* values) {
  const toml::node* node = Get(key);
  if (node == nullptr) return;
  values->clear();
  if (const auto* text = node->as_string()) values->push_back(text->get());
  if (const auto* array = node->as_array()) {
    for (const toml::node& element : *array) {
      if (const auto* text = element.as_string()) {
        values->push_back(text->get());
      } else {
        Complain(element, std::string(key) + " must hold strings only");
        return;
      }
    }
  }
  // An empty list would read as "any": far from what its author meant.
  if (values->empty()) Complain(key, "must be a string or a list of strings");
  for (const std::string& value : *values) {
    if (value.empty()) Complain(key, "must not hold an empty string");
  }
}

const toml::table* TomlReader::Table(std::string_view key) {
  const toml::node* node = Get(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) Complain(key, "must be a table");
  return node->as_table();
}

std::vector<const toml::table*> TomlReader::Tables(std::string_view key) {
  std::vector<const toml::table*> tables;
  const toml::node* node = Get(key);
  if (node == nullptr) return tables;
  if (!node->is_array()) {
    Complain(key, "must be an array of tables");
    return tables;
  }
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_table()) {
      Complain(element, std::string(key) + " must hold tables only");
      return tables;
    }
    tables.push_back(element.as_table());
  }
  return tables;
}

Status TomlReader::Finish() {
  for (const auto& [key, node] : table_) {
    if (known_.contains(key.str())) continue;
    Complain(node, "unknown key " + std::string(key.str()));
  }
  if (!complaint_.empty()) return Fail(ErrorCode::kConfigInvalid, complaint_);
  return {};
}

}  // namespace countersign::authz
