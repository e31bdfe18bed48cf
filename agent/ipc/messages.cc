#include "agent/ipc/messages.h"

#include <google/protobuf/util/json_util.h>

#include "attest/base/json_guard.h"
#include "attest/base/text.h"

namespace countersign::agent {
namespace {

namespace pb = google::protobuf;

Status ParseMessage(ByteSpan payload, pb::Message& message) {
  if (payload.size() > kMaxClientFrame) {
    return Fail(ErrorCode::kTooLarge, "the frame is over its bound");
  }
  if (EncodingOf(payload) == Encoding::kJson) {
    const std::string_view text(reinterpret_cast<const char*>(payload.data()),
                                payload.size());
    CS_RETURN_IF_ERROR(CheckJson(text, kMaxClientFrame));
    const auto status = pb::util::JsonStringToMessage(
        pb::StringPiece(text.data(), text.size()), &message);
    if (!status.ok()) {
      return Fail(ErrorCode::kFrameMalformed,
                  Printable(std::string(status.message()), 200));
    }
    return {};
  }
  if (!message.ParseFromArray(payload.data(),
                              static_cast<int>(payload.size()))) {
    return Fail(ErrorCode::kFrameMalformed, "not a protobuf message");
  }
  return {};
}

Result<Bytes> Serialize(const pb::Message& message, Encoding encoding) {
  Bytes out;
  if (encoding == Encoding::kJson) {
    std::string text;
    if (!pb::util::MessageToJsonString(message, &text).ok()) {
      return Fail(ErrorCode::kInternal, "a message has no JSON form");
    }
    out = ToBytes(AsBytes(text));
  } else {
    out.resize(message.ByteSizeLong());
    if (!message.SerializeToArray(out.data(), static_cast<int>(out.size()))) {
      return Fail(ErrorCode::kInternal, "a message cannot be serialised");
    }
  }
  if (out.size() > kMaxClientFrame) {
    return Fail(ErrorCode::kTooLarge, "the message does not fit a frame");
  }
  return out;
}

}  // namespace

Encoding EncodingOf(ByteSpan payload) {
  return !payload.empty() && payload.front() == '{' ? Encoding::kJson
                                                    : Encoding::kProtobuf;
}

Result<DecodedRequest> DecodeRequest(ByteSpan payload) {
  DecodedRequest decoded;
  CS_RETURN_IF_ERROR(ParseMessage(payload, decoded.request));
  decoded.encoding = EncodingOf(payload);
  return decoded;
}

Result<v1::Response> DecodeResponse(ByteSpan payload) {
  v1::Response response;
  CS_RETURN_IF_ERROR(ParseMessage(payload, response));
  return response;
}

Result<Bytes> EncodeRequest(const v1::Request& request, Encoding encoding) {
  return Serialize(request, encoding);
}

Result<Bytes> EncodeResponse(const v1::Response& response, Encoding encoding) {
  return Serialize(response, encoding);
}

v1::ErrorInfo ToErrorInfo(const Error& error) {
  v1::ErrorInfo info;
  info.set_number(static_cast<uint32_t>(error.code));
  info.set_code(std::string(Name(Public(error.code))));
  info.set_reason(std::string(Name(error.code)));
  info.set_message(std::string(Message(error.code)));
  info.set_remedy(std::string(Remedy(error.code)));
  // The detail may quote hostile bytes; protobuf strings must be UTF-8.
  info.set_detail(Printable(error.detail, 1024));
  return info;
}

Error FromErrorInfo(const v1::ErrorInfo& info) {
  if (const auto code = ErrorCodeFromNumber(info.number())) {
    return Error{*code, Printable(info.detail(), 1024)};
  }
  return Error{ErrorCode::kInternal,
               Printable(info.reason() + ": " + info.message() + " " +
                             info.remedy() + " " + info.detail(),
                         1024)};
}

}  // namespace countersign::agent
