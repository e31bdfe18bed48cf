#include "attest/authz/error_info.h"

#include "attest/authz/json_writer.h"
#include "attest/base/text.h"

namespace countersign::authz {

v1::ErrorInfo ErrorInfoOf(const Error& error) {
  v1::ErrorInfo info;
  info.set_number(static_cast<uint32_t>(error.code));
  info.set_code(std::string(Name(Public(error.code))));
  info.set_reason(std::string(Name(error.code)));
  info.set_message(std::string(Message(error.code)));
  info.set_remedy(std::string(Remedy(error.code)));
  info.set_detail(Printable(error.detail));
  return info;
}

std::string ProblemJson(const Error& error, int status) {
  JsonWriter json;
  json.BeginObject()
      .String("type", "about:blank")
      .String("title", Message(error.code))
      .Int("status", status)
      .Optional("detail", Printable(error.detail))
      .String("code", Name(Public(error.code)))
      .String("reason", Name(error.code))
      .Int("number", static_cast<int64_t>(error.code))
      .String("remedy", Remedy(error.code))
      .EndObject();
  return std::move(json).text();
}

}  // namespace countersign::authz
