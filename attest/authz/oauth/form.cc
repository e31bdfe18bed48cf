#include "attest/authz/oauth/form.h"

#include <algorithm>

#include "attest/base/bytes.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

bool IsForm(std::string_view content_type) {
  const std::string_view type =
      content_type.substr(0, content_type.find_first_of("; \t"));
  return std::ranges::equal(type, kFormType, [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
  });
}

bool IsControl(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace

Result<std::string> FormDecoded(std::string_view encoded) {
  std::string text;
  text.reserve(encoded.size());
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '+') {
      text += ' ';
    } else if (encoded[i] != '%') {
      text += encoded[i];
    } else {
      const auto byte = FromHex(encoded.substr(i + 1, 2));
      if (!byte || byte->size() != 1) {
        return Fail(ErrorCode::kBadRequest, "'%' without two hex digits");
      }
      text += static_cast<char>(byte->front());
      i += 2;
    }
  }
  if (!IsUtf8(text) || std::ranges::any_of(text, IsControl)) {
    return Fail(ErrorCode::kBadRequest, "a parameter is not plain text");
  }
  return text;
}

Result<Form> Form::Parse(std::string_view content_type, std::string_view body) {
  if (!IsForm(content_type)) {
    return Fail(ErrorCode::kBadRequest,
                "Content-Type must be " + std::string(kFormType));
  }
  if (body.size() > kMaxBody) return Fail(ErrorCode::kTooLarge, "body");
  Form form;
  while (!body.empty()) {
    const std::string_view pair = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(body.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    CS_ASSIGN_OR_RETURN(std::string name, FormDecoded(pair.substr(0, equals)));
    const std::string_view encoded = equals == std::string_view::npos
                                         ? std::string_view{}
                                         : pair.substr(equals + 1);
    CS_ASSIGN_OR_RETURN(std::string value, FormDecoded(encoded));
    if (name.size() > kMaxName || value.size() > kMaxValue ||
        form.parameters_.size() == kMaxParameters) {
      return Fail(ErrorCode::kTooLarge, "parameters");
    }
    const auto [at, added] =
        form.parameters_.emplace(std::move(name), std::move(value));
    if (!added) {
      return Fail(ErrorCode::kBadRequest,
                  Printable(at->first) + " is there twice");
    }
  }
  return form;
}

const std::string& Form::Get(std::string_view name) const {
  static const std::string kAbsent;
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? kAbsent : found->second;
}

Result<std::string> Form::Required(std::string_view name) const {
  const std::string& value = Get(name);
  if (value.empty()) {
    return Fail(ErrorCode::kBadRequest, std::string(name) + " is needed");
  }
  return value;
}

}  // namespace countersign::authz
