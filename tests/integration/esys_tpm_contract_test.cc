#include "platform/esys_tpm.h"
#include "tests/fakes/swtpm_rig.h"
#include "tests/platform/tpm_contract.h"

namespace countersign::platform {
namespace {

using tpm::KeyType;

class SwtpmUnderTest final : public TpmUnderTest {
 public:
  SwtpmUnderTest() : tpm_(EsysTpm::Create(rig_.tcti())) {}
  Tpm& tpm() override { return *tpm_; }
  void ChangeSeed() { EXPECT_TRUE(rig_.Shell("tpm2_changeeps")); }
  void Reboot() override { rig_.Reboot(); }
  void ExtendPcr(int pcr) override {
    const std::string digest(64, 'a');
    EXPECT_TRUE(rig_.Shell("tpm2_pcrextend " + std::to_string(pcr) +
                           ":sha256=" + digest));
  }

 private:
  fakes::SwtpmRig rig_;
  std::unique_ptr<Tpm> tpm_;
};

TpmContractParam Swtpm(const char* name, KeyType ek, KeyType ak) {
  const auto make = [] { return std::make_unique<SwtpmUnderTest>(); };
  const auto make_other = [] {
    auto other = std::make_unique<SwtpmUnderTest>();
    other->ChangeSeed();
    return other;
  };
  return {name, make, make_other, ek, ak};
}

INSTANTIATE_TEST_SUITE_P(
    Swtpm, TpmContractTest,
    testing::Values(Swtpm("EccBelowEcc", KeyType::kEccP256, KeyType::kEccP256),
                    Swtpm("RsaBelowRsa", KeyType::kRsa2048, KeyType::kRsa2048),
                    Swtpm("EccBelowRsa", KeyType::kRsa2048, KeyType::kEccP256)),
    ContractName);

}  // namespace
}  // namespace countersign::platform
