// What every platform::Tpm does, whatever is behind it. Programs include
// tpm_contract.cc and instantiate the suite with a way to make one.
#ifndef COUNTERSIGN_TESTS_PLATFORM_TPM_CONTRACT_H_
#define COUNTERSIGN_TESTS_PLATFORM_TPM_CONTRACT_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "platform/tpm.h"

namespace countersign::platform {

// A TPM and the things that happen to one.
class TpmUnderTest {
 public:
  virtual ~TpmUnderTest() = default;
  virtual Tpm& tpm() = 0;
  virtual void Reboot() = 0;
  virtual void ExtendPcr(int pcr) = 0;
};

struct TpmContractParam {
  std::string name;
  std::function<std::unique_ptr<TpmUnderTest>()> make;
  // One with another endorsement seed.
  std::function<std::unique_ptr<TpmUnderTest>()> make_other;
  tpm::KeyType ek_type;
  tpm::KeyType ak_type;
};

inline std::string ContractName(
    const testing::TestParamInfo<TpmContractParam>& info) {
  return info.param.name;
}

class TpmContractTest : public testing::TestWithParam<TpmContractParam> {
 protected:
  void SetUp() override;

  Tpm& tpm() { return under_test_->tpm(); }
  // An AK of the type under test, created and loaded.
  AkBlob EnrolledAk();
  EndorsementKey EkUnderTest();

  std::unique_ptr<TpmUnderTest> under_test_;
  Secret auth_;
};

}  // namespace countersign::platform

#endif  // COUNTERSIGN_TESTS_PLATFORM_TPM_CONTRACT_H_
