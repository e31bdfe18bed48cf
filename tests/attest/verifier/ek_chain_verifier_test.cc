#include "attest/verifier/ek_chain_verifier.h"

#include "tests/fails_with.h"
#include "tests/fakes/ek_ca.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::verifier {
namespace {

using fakes::CertificateOptions;
using fakes::EkCa;
using fakes::kCaNowMs;

class VerifyEkChainTest : public testing::Test {
 protected:
  Result<EkIdentity> Verify(const std::vector<Bytes>& chain) const {
    return VerifyEkChain(ek_.area, chain, trust_, kCaNowMs);
  }
  void ExpectRefused(const std::vector<Bytes>& chain, ErrorCode code) const {
    EXPECT_TRUE(FailsWith(Verify(chain), code));
  }
  // A certificate for the EK, broken as `options` say.
  Bytes Issue(const CertificateOptions& options) const {
    return root_.Issue(ek_.key.get(), options);
  }
  static EkTrust Trusting(const std::vector<Bytes>& roots,
                          const std::vector<Bytes>& crls = {}) {
    return EkTrust::FromDer(roots, crls).value();
  }

  const fakes::SoftKey ek_ = fakes::NewEk(tpm::KeyType::kEccP256);
  const EkCa root_;
  EkTrust trust_ = Trusting({root_.certificate()});
};

TEST_F(VerifyEkChainTest, AcceptsACertificateByATrustedManufacturer) {
  const auto identity = Verify({Issue({})});
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->root_subject, "CN=Root");
  EXPECT_EQ(identity->manufacturer, "id:00001014");
  EXPECT_EQ(identity->model, "fake TPM");
  EXPECT_EQ(identity->version, "id:00010002");
}

TEST_F(VerifyEkChainTest, AcceptsAChainInAnyOrder) {
  const EkCa middle = root_.Intermediate("Middle");
  const EkCa low = middle.Intermediate("Low");
  const Bytes leaf = low.Issue(ek_.key.get());
  EXPECT_TRUE(
      Succeeds(Verify({leaf, low.certificate(), middle.certificate()})));
  EXPECT_TRUE(
      Succeeds(Verify({leaf, middle.certificate(), low.certificate()})));
}

TEST_F(VerifyEkChainTest, AcceptsAnIntermediateAsRoot) {
  const EkCa middle = root_.Intermediate("Middle");
  trust_ = Trusting({middle.certificate()});
  const auto identity = Verify({middle.Issue(ek_.key.get())});
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->root_subject, "CN=Middle");
}

TEST_F(VerifyEkChainTest, AcceptsAnRsaEk) {
  const fakes::SoftKey ek = fakes::NewEk(tpm::KeyType::kRsa2048);
  const std::vector<Bytes> chain = {root_.Issue(ek.key.get())};
  EXPECT_TRUE(Succeeds(VerifyEkChain(ek.area, chain, trust_, kCaNowMs)));
}

TEST_F(VerifyEkChainTest, RejectsAKeyOfAnUnknownAlgorithm) {
  const fakes::SoftKey ek = fakes::NewEk(tpm::KeyType::kRsa2048);
  CertificateOptions options;
  options.rsaes_oaep = true;
  const std::vector<Bytes> chain = {root_.Issue(ek.key.get(), options)};
  EXPECT_TRUE(FailsWith(VerifyEkChain(ek.area, chain, trust_, kCaNowMs),
                        ErrorCode::kWeakKey));
}

TEST_F(VerifyEkChainTest, AcceptsACertificateWithoutTcgNames) {
  CertificateOptions options;
  options.tcg_name = false;
  const auto identity = Verify({Issue(options)});
  ASSERT_TRUE(Succeeds(identity));
  EXPECT_EQ(identity->manufacturer, "");
}

TEST_F(VerifyEkChainTest, RejectsNoCertificate) {
  ExpectRefused({}, ErrorCode::kEkCertMissing);
}

// A15
TEST_F(VerifyEkChainTest, RejectsTooManyCertificates) {
  ExpectRefused(std::vector<Bytes>(9, Issue({})), ErrorCode::kCertLimits);
  ExpectRefused(std::vector<Bytes>(1000, Issue({})), ErrorCode::kCertLimits);
}

// A15
TEST_F(VerifyEkChainTest, RejectsACertificateThatIsTooLarge) {
  Bytes large = Issue({});
  large.resize(kMaxCertificateSize + 1);
  ExpectRefused({large}, ErrorCode::kCertLimits);
}

// A15
TEST_F(VerifyEkChainTest, RejectsHugeRsaKeysAnywhereInTheChain) {
  const EvpPkeyPtr huge = fakes::RsaPublicKey(Bytes(2048, 0xff), 65537);
  const Bytes certificate = root_.Issue(huge.get());
  ExpectRefused({certificate}, ErrorCode::kCertLimits);
  ExpectRefused({Issue({}), certificate}, ErrorCode::kCertLimits);
}

TEST_F(VerifyEkChainTest, RejectsWhatIsNotExactlyOneCertificate) {
  Bytes longer = Issue({});
  longer.push_back(0);
  Bytes shorter = Issue({});
  shorter.pop_back();
  for (const Bytes& bytes : {longer, shorter, Bytes{}, Bytes{0x30, 0x00}}) {
    ExpectRefused({bytes}, ErrorCode::kMalformedEvidence);
    ExpectRefused({Issue({}), bytes}, ErrorCode::kMalformedEvidence);
  }
}

// A16
TEST_F(VerifyEkChainTest, RejectsWeakKeysAnywhereInTheChain) {
  for (const char* curve : {"prime192v1", "secp256k1"}) {
    const EvpPkeyPtr key = fakes::NewEccKey(curve);
    ExpectRefused({root_.Issue(key.get())}, ErrorCode::kWeakKey);
    ExpectRefused({Issue({}), root_.Issue(key.get())}, ErrorCode::kWeakKey);
  }
  const EvpPkeyPtr small = fakes::NewRsaKey(1024);
  ExpectRefused({root_.Issue(small.get())}, ErrorCode::kWeakKey);
}

// A09
TEST_F(VerifyEkChainTest, RejectsTheCertificateOfAnotherEk) {
  const fakes::SoftKey other = fakes::NewEk(tpm::KeyType::kEccP256);
  ExpectRefused({root_.Issue(other.key.get())}, ErrorCode::kEkCertMismatch);
  // Nor does it help to send the right one second.
  ExpectRefused({root_.Issue(other.key.get()), Issue({})},
                ErrorCode::kEkCertMismatch);
}

// A26
TEST_F(VerifyEkChainTest, RejectsAnExpiredCertificate) {
  CertificateOptions options;
  options.not_after_ms = kCaNowMs - 1000;
  ExpectRefused({Issue(options)}, ErrorCode::kEkCertExpired);
}

// A26
TEST_F(VerifyEkChainTest, RejectsAnExpiredIntermediate) {
  CertificateOptions options;
  options.not_after_ms = kCaNowMs - 1000;
  const EkCa middle = root_.Intermediate("Middle", options);
  ExpectRefused({middle.Issue(ek_.key.get()), middle.certificate()},
                ErrorCode::kEkCertExpired);
}

// A26
TEST_F(VerifyEkChainTest, RejectsACertificateThatIsNotYetValid) {
  CertificateOptions options;
  options.not_before_ms = kCaNowMs + 1000;
  ExpectRefused({Issue(options)}, ErrorCode::kEkCertNotYetValid);
}

// A26
TEST_F(VerifyEkChainTest, RejectsARevokedCertificate) {
  CertificateOptions revoked;
  revoked.serial = 7;
  trust_ = Trusting({root_.certificate()}, {root_.Crl(7)});
  ExpectRefused({Issue(revoked)}, ErrorCode::kEkCertRevoked);
  EXPECT_TRUE(Succeeds(Verify({Issue({})})));
}

// A26: an old list still tells what was revoked.
TEST_F(VerifyEkChainTest, RejectsWhatAnExpiredListRevoked) {
  CertificateOptions revoked;
  revoked.serial = 7;
  trust_ =
      Trusting({root_.certificate()}, {root_.Crl(7, kCaNowMs - 86'400'000)});
  ExpectRefused({Issue(revoked)}, ErrorCode::kEkCertRevoked);
  EXPECT_TRUE(Succeeds(Verify({Issue({})})));
}

// A26: nobody else can take names off a list.
TEST_F(VerifyEkChainTest, RejectsWhatsListIsNotSignedByTheIssuer) {
  const EkCa forger("Root");
  trust_ = Trusting({root_.certificate()}, {forger.Crl(8)});
  ExpectRefused({Issue({})}, ErrorCode::kEkCertUntrusted);
}

TEST_F(VerifyEkChainTest, RejectsARevokedIntermediate) {
  CertificateOptions revoked;
  revoked.serial = 7;
  const EkCa middle = root_.Intermediate("Middle", revoked);
  trust_ = Trusting({root_.certificate()}, {root_.Crl(7)});
  ExpectRefused({middle.Issue(ek_.key.get()), middle.certificate()},
                ErrorCode::kEkCertRevoked);
}

// A26
TEST_F(VerifyEkChainTest, RejectsACertificateForAnotherUse) {
  CertificateOptions none;
  none.extended_usage = "";
  CertificateOptions server;
  server.extended_usage = "serverAuth";
  CertificateOptions any;
  any.extended_usage = "anyExtendedKeyUsage";
  for (const CertificateOptions& options : {none, server, any}) {
    ExpectRefused({Issue(options)}, ErrorCode::kEkCertUsage);
  }
}

// A26
TEST_F(VerifyEkChainTest, RejectsTheCertificateOfAnAuthority) {
  CertificateOptions options;
  options.ca = true;
  ExpectRefused({Issue(options)}, ErrorCode::kEkCertUsage);
}

// A26
TEST_F(VerifyEkChainTest, RejectsAnUnknownCriticalExtension) {
  CertificateOptions options;
  options.unknown_critical = true;
  ExpectRefused({Issue(options)}, ErrorCode::kEkCertUnknownCritical);
  const EkCa middle = root_.Intermediate("Middle", options);
  ExpectRefused({middle.Issue(ek_.key.get()), middle.certificate()},
                ErrorCode::kEkCertUnknownCritical);
}

// A26
TEST_F(VerifyEkChainTest, RejectsASha1Signature) {
  CertificateOptions options;
  options.sha1 = true;
  ExpectRefused({Issue(options)}, ErrorCode::kEkCertWeakSignature);
}

TEST_F(VerifyEkChainTest, RejectsAnUnknownManufacturer) {
  const EkCa other("Root");  // The same name, another key.
  ExpectRefused({other.Issue(ek_.key.get()), other.certificate()},
                ErrorCode::kEkCertUntrusted);
  const EkCa stranger("Stranger");
  ExpectRefused({stranger.Issue(ek_.key.get()), stranger.certificate()},
                ErrorCode::kEkCertUntrusted);
}

TEST_F(VerifyEkChainTest, RejectsAChainWithAGap) {
  const EkCa middle = root_.Intermediate("Middle");
  ExpectRefused({middle.Issue(ek_.key.get())}, ErrorCode::kEkCertUntrusted);
}

// An EK's certificate signs nothing: its holder cannot issue another.
TEST_F(VerifyEkChainTest, RejectsACertificateSignedByALeaf) {
  CertificateOptions leaf;
  leaf.subject = "Leaf";
  const EkCa impostor = root_.ImpostorWith(leaf);
  ExpectRefused({impostor.Issue(ek_.key.get()), impostor.certificate()},
                ErrorCode::kEkCertUntrusted);
}

TEST_F(VerifyEkChainTest, RejectsAChangedCertificate) {
  Bytes changed = Issue({});
  changed.back() ^= 1;
  EXPECT_FALSE(Verify({changed}).has_value());
}

TEST_F(VerifyEkChainTest, TrustsNothingWithoutRoots) {
  for (const EkTrust& trust : {EkTrust(), Trusting({})}) {
    trust_ = trust;
    ExpectRefused({Issue({})}, ErrorCode::kEkCertUntrusted);
  }
}

TEST(EkTrustTest, RejectsRootsThatAreNoCertificates) {
  const EkCa root;
  Bytes longer = root.certificate();
  longer.push_back(0);
  for (const Bytes& bytes : {Bytes{}, Bytes{1, 2, 3}, longer}) {
    const std::vector<Bytes> roots = {root.certificate(), bytes};
    EXPECT_TRUE(
        FailsWith(EkTrust::FromDer(roots, {}), ErrorCode::kConfigInvalid));
    EXPECT_TRUE(FailsWith(EkTrust::FromDer({}, std::vector<Bytes>{bytes}),
                          ErrorCode::kConfigInvalid));
  }
}

}  // namespace
}  // namespace countersign::verifier
