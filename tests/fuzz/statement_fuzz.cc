// Typed statements: what is accepted is the one encoding of what was read.
#include "attest/proto/silence.h"
#include "attest/statement/action_rules.h"
#include "attest/statement/statement.h"
#include "countersign/v1/statements.pb.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign {
namespace {

using statement::ParseStatement;
using statement::SerializeStatement;

template <typename M>
void Check(ByteSpan body) {
  const auto parsed = ParseStatement<M>(body, 1 << 20);
  if (parsed) FuzzCheck(Equal(SerializeStatement(*parsed), body));
}

}  // namespace
}  // namespace countersign

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  SilenceProtobufLog();
  if (size == 0) return 0;
  const ByteSpan body(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      Check<v1::SessionBinding>(body);
      break;
    case 1:
      Check<v1::Action>(body);
      break;
    case 2:
      Check<v1::ActionBatch>(body);
      break;
    case 3:
      Check<v1::LedgerEntry>(body);
      break;
    default:
      Check<v1::ActionRequest>(body);
      v1::ActionRequest request;
      if (request.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
        const Status status = statement::CheckActionRequest(request);
        FuzzCheck(status || status.error().code == ErrorCode::kActionInvalid);
      }
  }
  return 0;
}
