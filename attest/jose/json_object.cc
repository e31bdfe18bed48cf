#include "attest/jose/json_object.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "attest/base/json_guard.h"

namespace countersign::jose {
namespace {

using Json = nlohmann::json;

bool FitsInt64(const Json& value) {
  if (value.is_number_unsigned()) {
    return value.get<uint64_t>() <=
           static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  }
  return value.is_number_integer();
}

bool IsArrayOf(const Json& value, Json::value_t type) {
  if (!value.is_array()) return false;
  for (const Json& item : value) {
    if (item.type() != type) return false;
  }
  return true;
}

}  // namespace

Result<JsonObject> JsonObject::Parse(std::string_view text, size_t max_size) {
  if (const Status safe = CheckJson(text, max_size); !safe) {
    return Fail(ErrorCode::kJwsMalformed, safe.error().detail);
  }
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return Fail(ErrorCode::kJwsMalformed, "not a JSON object");
  }
  JsonObject object;
  for (const auto& item : json.items()) {
    const Json& value = item.value();
    Value& member = object.members_[item.key()];
    if (value.is_string()) {
      member = value.get<std::string>();
    } else if (FitsInt64(value)) {
      member = value.get<int64_t>();
    } else if (value.is_object()) {
      member = Nested{value.dump()};
    } else if (IsArrayOf(value, Json::value_t::object)) {
      Array array;
      for (const Json& element : value) array.push_back(element.dump());
      member = std::move(array);
    } else if (IsArrayOf(value, Json::value_t::string)) {
      member = TextArray{value.get<std::vector<std::string>>()};
    }
  }
  return object;
}

bool JsonObject::Has(std::string_view name) const {
  return members_.find(name) != members_.end();
}

std::optional<std::string> JsonObject::Text(std::string_view name) const {
  const auto* text = Get<std::string>(name);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

std::optional<int64_t> JsonObject::Integer(std::string_view name) const {
  const auto* integer = Get<int64_t>(name);
  return integer == nullptr ? std::nullopt : std::optional(*integer);
}

std::optional<std::string> JsonObject::Object(std::string_view name) const {
  const auto* nested = Get<Nested>(name);
  return nested == nullptr ? std::nullopt : std::optional(nested->json);
}

std::optional<std::vector<std::string>> JsonObject::Objects(
    std::string_view name) const {
  const auto* array = Get<Array>(name);
  return array == nullptr ? std::nullopt : std::optional(*array);
}

std::optional<std::vector<std::string>> JsonObject::Texts(
    std::string_view name) const {
  const auto* array = Get<TextArray>(name);
  if (array != nullptr) return array->texts;
  const auto objects = Objects(name);  // What an empty array is taken for.
  return objects && objects->empty() ? objects : std::nullopt;
}

Result<std::string> WriteJsonObject(const std::vector<JsonMember>& members) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& member : members) {
    const std::string name(member.first);
    if (const auto* text = std::get_if<std::string_view>(&member.second)) {
      json[name] = *text;
    } else {
      json[name] = std::get<int64_t>(member.second);
    }
  }
  try {
    return json.dump();
  } catch (const nlohmann::json::exception&) {
    return Fail(ErrorCode::kBadRequest, "text for JSON is not UTF-8");
  }
}

}  // namespace countersign::jose
