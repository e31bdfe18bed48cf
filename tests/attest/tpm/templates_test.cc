#include "attest/tpm/templates.h"

#include <gtest/gtest.h>

#include "attest/base/digest.h"

namespace countersign::tpm {
namespace {

// TCG EK Credential Profile 2.5, B.3.3 and B.3.4, byte by byte.
TEST(TemplatesTest, EksAreTheTcgTemplates) {
  const std::string policy =
      "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
  EXPECT_EQ(ToHex(EkTemplate(KeyType::kRsa2048)),
            "0001000b000300b20020" + policy +
                "00060080004300100800000000000100" + std::string(512, '0'));
  EXPECT_EQ(ToHex(EkTemplate(KeyType::kEccP256)),
            "0023000b000300b20020" + policy + "0006008000430010000300100020" +
                std::string(64, '0') + "0020" + std::string(64, '0'));
}

// PolicySecret(TPM_RH_ENDORSEMENT): Part 3 §23.4, H(H(0 ‖ CC ‖ Name) ‖ "").
TEST(TemplatesTest, TheEkPolicyIsPolicySecretOfEndorsement) {
  const Bytes zero(32);
  const Bytes code_and_name = {0, 0, 1, 0x51, 0x40, 0, 0, 0x0b};
  EXPECT_EQ(Sha256(Sha256({zero, code_and_name})), EkAuthPolicy());
}

TEST(TemplatesTest, AksAreRestrictedSigningKeys) {
  EXPECT_EQ(ToHex(AkTemplate(KeyType::kEccP256)),
            "0023000b00050472000000100018000b0003001000000000");
  EXPECT_EQ(ToHex(AkTemplate(KeyType::kRsa2048)),
            "0001000b00050472000000100014000b0800000000000000");
}

TEST(TemplatesTest, SessionKeysAreUnrestrictedAndUnique) {
  Sha256Digest unique;
  unique.fill(0xab);
  std::string hex;
  for (int i = 0; i < 32; ++i) hex += "ab";
  EXPECT_EQ(ToHex(SessionKeyTemplate(unique)),
            "0023000b00040472000000100018000b000300100020" + hex + "0020" +
                std::string(64, '0'));
}

}  // namespace
}  // namespace countersign::tpm
