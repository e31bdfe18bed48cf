// Bodies on the wire: protobuf or its JSON mapping, by Content-Type, and
// answers in the form that was asked in.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_WIRE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_WIRE_H_

#include <google/protobuf/message.h>

#include <string>

#include "attest/authz/http_server.h"
#include "attest/base/result.h"

namespace countersign::authz {

enum class Format : uint8_t { kProtobuf, kJson };

// kNotSupported: neither of the two (HTTP 415).
[[nodiscard]] Result<Format> FormatOf(const Request& request);

// Fills `message` from hostile `body`.
//   kBadRequest  malformed; in JSON also what CheckJson refuses, and unknown
//                fields
[[nodiscard]] Status ParseBody(const std::string& body, Format format,
                               google::protobuf::Message& message);

[[nodiscard]] Response MessageResponse(const google::protobuf::Message& message,
                                       Format format, int status);
// RFC 9457, with the status of its code or another one.
[[nodiscard]] Response ProblemResponse(const Error& error);
[[nodiscard]] Response ProblemResponse(const Error& error, int status);
[[nodiscard]] Response JsonResponse(std::string json);

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_WIRE_H_
