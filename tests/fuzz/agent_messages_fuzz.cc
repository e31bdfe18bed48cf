// Requests from a client and responses from a daemon, in either encoding.
// What was read is written and read again to the same.
#include "agent/ipc/messages.h"
#include "attest/proto/silence.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  using namespace countersign::agent;
  SilenceProtobufLog();
  const ByteSpan payload(data, size);
  if (const auto decoded = DecodeRequest(payload)) {
    const auto again = EncodeRequest(decoded->request, Encoding::kProtobuf);
    if (again) {
      const auto reread = DecodeRequest(*again);
      FuzzCheck(reread.has_value());
      FuzzCheck(reread->request.verb_case() == decoded->request.verb_case());
    }
    (void)EncodeRequest(decoded->request, decoded->encoding);
  }
  if (const auto response = DecodeResponse(payload)) {
    const Error error = FromErrorInfo(response->error());
    FuzzCheck(EncodeResponse(*response, Encoding::kProtobuf).has_value());
    v1::Response refusal;
    *refusal.mutable_error() = ToErrorInfo(error);
    FuzzCheck(EncodeResponse(refusal, Encoding::kJson).has_value());
  }
  return 0;
}
