#include "tests/fakes/fake_tpm.h"
#include "tests/platform/tpm_contract.h"

namespace countersign::platform {
namespace {

using tpm::KeyType;

class FakeUnderTest final : public TpmUnderTest {
 public:
  explicit FakeUnderTest(bool with_rsa) : tpm_(with_rsa) {}
  Tpm& tpm() override { return tpm_; }
  void Reboot() override { tpm_.Reset(); }
  void ExtendPcr(int pcr) override { tpm_.ExtendPcr(pcr, AsBytes("more")); }

 private:
  fakes::FakeTpm tpm_;
};

TpmContractParam Fake(const char* name, KeyType ek, KeyType ak) {
  const auto make = [ek] {
    return std::make_unique<FakeUnderTest>(ek == KeyType::kRsa2048);
  };
  return {name, make, make, ek, ak};
}

INSTANTIATE_TEST_SUITE_P(
    Fake, TpmContractTest,
    testing::Values(Fake("EccBelowEcc", KeyType::kEccP256, KeyType::kEccP256),
                    Fake("RsaBelowRsa", KeyType::kRsa2048, KeyType::kRsa2048)),
    ContractName);

}  // namespace
}  // namespace countersign::platform
