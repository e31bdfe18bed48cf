#include "attest/authz/wire.h"

#include <google/protobuf/util/json_util.h>

#include "attest/authz/error_info.h"
#include "attest/base/json_guard.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr std::string_view kProtobufType = "application/x-protobuf";
constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kProblemType = "application/problem+json";

}  // namespace

Result<Format> FormatOf(const Request& request) {
  std::string type = request.content_type.substr(
      0, request.content_type.find_first_of("; \t"));
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (type == kProtobufType) return Format::kProtobuf;
  if (type == kJsonType) return Format::kJson;
  return Fail(ErrorCode::kNotSupported,
              "Content-Type must be application/x-protobuf or "
              "application/json");
}

Status ParseBody(const std::string& body, Format format,
                 google::protobuf::Message& message) {
  if (format == Format::kProtobuf) {
    if (message.ParseFromString(body)) return {};
    return Fail(ErrorCode::kBadRequest,
                "not a " + message.GetDescriptor()->name());
  }
  CS_RETURN_IF_ERROR(CheckJson(body, body.size()));
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto status =
      google::protobuf::util::JsonStringToMessage(body, &message, options);
  if (status.ok()) return {};
  return Fail(ErrorCode::kBadRequest, Printable(status.ToString()));
}

Response MessageResponse(const google::protobuf::Message& message,
                         Format format, int status) {
  Response response;
  response.status = status;
  if (format == Format::kProtobuf) {
    response.content_type = kProtobufType;
    response.body = message.SerializeAsString();
    return response;
  }
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  response.content_type = kJsonType;
  if (!google::protobuf::util::MessageToJsonString(message, &response.body,
                                                   options)
           .ok()) {
    return ProblemResponse({ErrorCode::kInternal, "answer"});
  }
  return response;
}

Response ProblemResponse(const Error& error) {
  return ProblemResponse(error, HttpStatus(error.code));
}

Response ProblemResponse(const Error& error, int status) {
  Response response;
  response.status = status;
  response.content_type = kProblemType;
  response.body = ProblemJson(error, status);
  return response;
}

Response JsonResponse(std::string json) {
  Response response;
  response.content_type = kJsonType;
  response.body = std::move(json);
  return response;
}

}  // namespace countersign::authz
