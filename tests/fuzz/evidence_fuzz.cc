// Whole evidence through the coordinators: nothing that the device's TPM did
// not sign is trusted, and the service's state is never asked about it.
#include "attest/proto/silence.h"
#include "attest/verifier/action_proof_verifier.h"
#include "attest/verifier/appraise.h"
#include "tests/fakes/tpm_bytes.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign::verifier {
namespace {

KnownDevice MakeDevice() {
  const fakes::SoftKey ek = fakes::NewEk(tpm::KeyType::kEccP256);
  const fakes::SoftKey ak = fakes::NewAk(tpm::KeyType::kEccP256);
  return {.issuer = "https://authz.example",
          .tenant = "acme",
          .device_id = Bytes(16),
          .ak = ak.area,
          .qualified_signer = fakes::QualifiedSigner(ek, ak),
          .selection = tpm::PcrSelection::Default(),
          .out_of_service = std::nullopt};
}

template <typename T>
Status NeverAsked(const T&) {
  std::abort();
}

// Parses what can be parsed as a message; nullopt else.
template <typename M>
std::optional<M> Parse(ByteSpan bytes) {
  M message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::nullopt;
  }
  return message;
}

template <typename T>
void CheckRefused(const Result<AttestationResult<T>>& result) {
  FuzzCheck(!result.has_value() || !result->trusted());
}

void Run(uint8_t kind, ByteSpan bytes) {
  static const auto* device = new KnownDevice(MakeDevice());
  if (kind % 3 == 0) {
    const auto evidence = Parse<v1::SessionEvidence>(bytes);
    ExpectedSession expected;
    expected.consume_nonce = NeverAsked<v1::SessionBinding>;
    if (evidence) CheckRefused(AppraiseSession(*evidence, *device, expected));
  } else if (kind % 3 == 1) {
    const auto evidence = Parse<v1::BatchEvidence>(bytes);
    ExpectedBatch expected;
    expected.check_chain = [](const v1::ActionBatch& batch,
                              const Sha256Digest&) {
      return NeverAsked(batch);
    };
    if (evidence) CheckRefused(AppraiseBatch(*evidence, *device, expected));
  } else {
    const auto proof = Parse<v1::ActionProof>(bytes);
    if (proof) FuzzCheck(!VerifyActionProof(*proof, *device).has_value());
  }
}

}  // namespace
}  // namespace countersign::verifier

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  countersign::SilenceProtobufLog();
  if (size > 0) countersign::verifier::Run(data[0], {data + 1, size - 1});
  return 0;
}
