#include "attest/base/form.h"

#include "attest/base/bytes.h"

namespace countersign {
namespace {

constexpr size_t kMaxFields = 64;
constexpr std::string_view kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

Result<std::string> Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const auto byte = FromHex(text.substr(i + 1, 2));
      if (!byte || byte->size() != 1) {
        return Fail(ErrorCode::kBadRequest, "form: a bad escape");
      }
      out += static_cast<char>(byte->front());
      i += 2;
    }
  }
  return out;
}

}  // namespace

std::string FormEncode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += '%' + ToHex(AsBytes({&c, 1}));
    }
  }
  return out;
}

std::string FormBody(
    const std::vector<std::pair<std::string_view, std::string_view>>& fields) {
  std::string body;
  for (const auto& field : fields) {
    if (!body.empty()) body += '&';
    body += FormEncode(field.first) + '=' + FormEncode(field.second);
  }
  return body;
}

Result<std::map<std::string, std::string>> ParseForm(std::string_view body) {
  std::map<std::string, std::string> fields;
  while (!body.empty()) {
    const std::string_view pair = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(body.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    CS_ASSIGN_OR_RETURN(std::string name, Decode(pair.substr(0, equals)));
    CS_ASSIGN_OR_RETURN(
        std::string value,
        Decode(equals == std::string_view::npos ? std::string_view()
                                                : pair.substr(equals + 1)));
    if (fields.size() >= kMaxFields ||
        !fields.emplace(std::move(name), std::move(value)).second) {
      return Fail(ErrorCode::kBadRequest, "form: a field twice, or too many");
    }
  }
  return fields;
}

}  // namespace countersign
