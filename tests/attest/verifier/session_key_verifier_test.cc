#include "attest/verifier/session_key_verifier.h"

#include "tests/attest/verifier/evidence.h"
#include "tests/fails_with.h"

namespace countersign::verifier {
namespace {

class VerifySessionKeyTest : public testing::Test {
 protected:
  // Verifies the key of evidence whose quote already holds.
  Status Verify(const SessionParts& parts,
                const v1::SessionEvidence& evidence) const {
    const Sha256Digest digest =
        statement::StatementDigest(statement::StatementType::kSessionBinding,
                                   AsBytes(evidence.statement().body()));
    return VerifySessionKey(evidence,
                            {known_, parts.binding, digest, device_.clock});
  }
  Status Verify(const SessionParts& parts) const {
    return Verify(parts, parts.Build());
  }
  // A session key in the TPM with other attributes, honestly certified.
  Status VerifyWithAttributes(uint32_t attributes) const {
    SessionParts parts(device_, /*tpm_key=*/true);
    parts.session_key.area =
        tpm::PublicArea::FromKey(parts.session_key.key.get(),
                                 {.attributes = attributes,
                                  .symmetric = {},
                                  .scheme = {tpm::kAlgEcdsa, tpm::kAlgSha256},
                                  .auth_policy = {}})
            .value();
    parts.binding.set_pop_key_name(AsString(parts.session_key.area.name()));
    return Verify(parts);
  }

  const Device& device_ = SharedDevice();
  const KnownDevice known_ = device_.Known();
  SessionParts memory_{device_};
  SessionParts tpm_{device_, /*tpm_key=*/true};
};

TEST_F(VerifySessionKeyTest, AcceptsAKeyInMemory) {
  EXPECT_TRUE(Succeeds(Verify(memory_)));
}

TEST_F(VerifySessionKeyTest, AcceptsAKeyInTheTpm) {
  EXPECT_TRUE(Succeeds(Verify(tpm_)));
}

TEST_F(VerifySessionKeyTest, RejectsAKeyThatWasNotQuoted) {
  for (SessionParts* parts : {&memory_, &tpm_}) {
    parts->session_key = fakes::NewSessionKey();
    EXPECT_TRUE(FailsWith(Verify(*parts), ErrorCode::kSessionKeyMismatch));
  }
}

TEST_F(VerifySessionKeyTest, RejectsWhatIsNoPoint) {
  v1::SessionEvidence off_curve = memory_.Build();
  off_curve.mutable_pop_y()->back() ^= 1;
  v1::SessionEvidence absent = memory_.Build();
  absent.clear_pop_x();
  v1::SessionEvidence longer = memory_.Build();
  longer.mutable_pop_x()->insert(0, 1, '\0');
  for (const auto& evidence : {off_curve, absent, longer}) {
    EXPECT_TRUE(
        FailsWith(Verify(memory_, evidence), ErrorCode::kSessionKeyMismatch));
  }
}

TEST_F(VerifySessionKeyTest, RejectsAnUnknownKindOfKey) {
  for (const char* kind : {"", "TPM", "file"}) {
    memory_.binding.set_key_kind(kind);
    EXPECT_TRUE(FailsWith(Verify(memory_), ErrorCode::kSessionKeyMismatch));
  }
}

TEST_F(VerifySessionKeyTest, RejectsAMemoryKeyWithPartsOfATpmKey) {
  v1::SessionEvidence evidence = memory_.Build();
  evidence.set_session_key_public("x");
  EXPECT_TRUE(
      FailsWith(Verify(memory_, evidence), ErrorCode::kSessionKeyMismatch));
  memory_.binding.set_pop_key_name("x");
  EXPECT_TRUE(FailsWith(Verify(memory_), ErrorCode::kSessionKeyMismatch));
}

TEST_F(VerifySessionKeyTest, RejectsATpmKeyWithoutItsParts) {
  v1::SessionEvidence evidence = tpm_.Build();
  evidence.clear_session_key_public();
  EXPECT_TRUE(FailsWith(Verify(tpm_, evidence), ErrorCode::kMalformedEvidence));
  evidence = tpm_.Build();
  evidence.clear_certify_attest();
  EXPECT_TRUE(FailsWith(Verify(tpm_, evidence), ErrorCode::kMalformedEvidence));
}

TEST_F(VerifySessionKeyTest, RejectsAPublicAreaOfAnotherPoint) {
  v1::SessionEvidence evidence = tpm_.Build();
  evidence.set_session_key_public(
      AsString(fakes::NewSessionKey().area.bytes()));
  EXPECT_TRUE(
      FailsWith(Verify(tpm_, evidence), ErrorCode::kSessionKeyMismatch));
}

TEST_F(VerifySessionKeyTest, RejectsANameThatWasNotQuoted) {
  tpm_.binding.set_pop_key_name(AsString(fakes::NewSessionKey().area.name()));
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kSessionKeyMismatch));
}

TEST_F(VerifySessionKeyTest, RejectsEachMissingAttribute) {
  EXPECT_TRUE(Succeeds(VerifyWithAttributes(tpm::kSessionKeyAttributes)));
  for (const uint32_t missing :
       {tpm::kFixedTpm, tpm::kFixedParent, tpm::kSensitiveDataOrigin,
        tpm::kUserWithAuth, tpm::kSign}) {
    EXPECT_TRUE(
        FailsWith(VerifyWithAttributes(tpm::kSessionKeyAttributes & ~missing),
                  ErrorCode::kSessionKeyAttributes))
        << missing;
  }
}

TEST_F(VerifySessionKeyTest, RejectsEachForbiddenAttribute) {
  for (const uint32_t extra : {tpm::kRestricted, tpm::kDecrypt}) {
    EXPECT_TRUE(
        FailsWith(VerifyWithAttributes(tpm::kSessionKeyAttributes | extra),
                  ErrorCode::kSessionKeyAttributes))
        << extra;
  }
}

// An AK certifies any loaded key, also one imported from software: all that
// tells is that its attributes lack sensitiveDataOrigin and fixedTPM.
TEST_F(VerifySessionKeyTest, RejectsAnImportedSoftwareKeyThatTheAkCertified) {
  EXPECT_TRUE(FailsWith(
      VerifyWithAttributes(tpm::kUserWithAuth | tpm::kNoDa | tpm::kSign),
      ErrorCode::kSessionKeyAttributes));
}

TEST_F(VerifySessionKeyTest, RejectsACertificationWithAnotherMagic) {
  tpm_.change_certify = [](auto& fields) { fields.magic = 1; };
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kQuoteNotTpmGenerated));
}

TEST_F(VerifySessionKeyTest, RejectsAQuotePassedOffAsACertification) {
  v1::SessionEvidence evidence = tpm_.Build();
  evidence.set_certify_attest(evidence.quote().attest());
  evidence.set_certify_signature(evidence.quote().signature());
  EXPECT_TRUE(
      FailsWith(Verify(tpm_, evidence), ErrorCode::kSessionKeyNotCertified));
}

TEST_F(VerifySessionKeyTest, RejectsACertificationForAnotherSession) {
  tpm_.change_certify = [](auto& fields) { fields.extra_data.front() ^= 1; };
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kSessionKeyNotCertified));
}

TEST_F(VerifySessionKeyTest, RejectsACertificationOfAnotherKey) {
  tpm_.change_certify = [](auto& fields) { fields.name.back() ^= 1; };
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kSessionKeyNotCertified));
}

TEST_F(VerifySessionKeyTest, RejectsAKeyOutsideTheNullHierarchy) {
  tpm_.change_certify = [this](auto& fields) {
    fields.qualified_name =
        tpm::QualifiedNameOfPrimary(tpm::kRhOwner, tpm_.session_key.area.name())
            .value();
  };
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kSessionKeyNotCertified));
}

TEST_F(VerifySessionKeyTest, RejectsACertificationThatNamesAnotherSigner) {
  tpm_.change_certify = [](auto& fields) {
    fields.qualified_signer.back() ^= 1;
  };
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kAkNotBound));
}

TEST_F(VerifySessionKeyTest, RejectsACertificationByAnotherKey) {
  v1::SessionEvidence evidence = tpm_.Build();
  evidence.set_certify_signature(
      AsString(fakes::Sign(fakes::NewAk(tpm::KeyType::kEccP256),
                           AsBytes(evidence.certify_attest()))));
  EXPECT_TRUE(FailsWith(Verify(tpm_, evidence), ErrorCode::kBadSignature));
}

TEST_F(VerifySessionKeyTest, RejectsACertificationOfAnotherBoot) {
  tpm_.change_certify = [](auto& fields) { ++fields.clock.reset_count; };
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kStaleBoot));
  tpm_.change_certify = [](auto& fields) { ++fields.clock.restart_count; };
  EXPECT_TRUE(FailsWith(Verify(tpm_), ErrorCode::kStaleBoot));
}

}  // namespace
}  // namespace countersign::verifier
