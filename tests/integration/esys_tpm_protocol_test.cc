// A24: a TPM, or something on the way to it, that answers nonsense. Every
// answer that the agent waits for is spoilt at every length field, tag, handle
// and beyond; each time the call ends with a typed error or, after one more
// try, with the right result, and the next call works.

#include <functional>

#include "attest/base/digest.h"
#include "attest/tpm/make_credential.h"
#include "attest/tpm/signature.h"
#include "platform/esys_tpm.h"
#include "tests/fails_with.h"
#include "tests/fakes/swtpm_rig.h"

namespace countersign::platform {
namespace {

using std::chrono::milliseconds;

const tpm::PcrSelection kBoot = tpm::PcrSelection::Default();
const EsysTpmOptions kOptions = {.command_timeout = milliseconds(2000),
                                 .create_timeout = milliseconds(5000)};

Sha256Digest DigestOf(std::string_view text) { return Sha256(AsBytes(text)); }

bool IsTpmError(ErrorCode code) {
  const auto number = static_cast<int>(code);
  return (number >= 100 && number < 200) ||
         code == ErrorCode::kCredentialActivationFailed ||
         code == ErrorCode::kPcrBankUnmeasured;
}

// What is done to one answer, as an option of tcti_delay.
std::vector<std::string> Faults() {
  std::vector<std::string> faults;
  // Lengths and tags lie at even offsets of the answers that we get.
  for (size_t at = 0; at < 160; at += at < 32 ? 2 : 16) {
    faults.push_back("poke=" + std::to_string(at) + ".ffff");
    faults.push_back("poke=" + std::to_string(at) + ".0000");
    if (at % 4 == 0) faults.push_back("flip=" + std::to_string(at + 1));
  }
  for (const size_t size : {0, 1, 6, 9, 10, 11, 13, 14, 20, 40}) {
    faults.push_back("short=" + std::to_string(size));
  }
  for (const char* rc : {"0x1", "0x101", "0x100", "0x1df", "0x98e", "0x9a2",
                         "0x902", "0x903", "0x910", "0x918", "0x921", "0xa000a",
                         "0x70001", "0xb0902", "0xc0921", "0xffffffff"}) {
    faults.push_back("rc=" + std::string(rc));
  }
  return faults;
}

struct Enrollment {
  AkBlob blob;
  Secret auth;
  EndorsementKey ek;
};

struct Exchange {
  const char* name;
  const char* command_code;
  // Makes the agent send the command; an error, or proof that it worked.
  std::function<Status(Tpm&, const Enrollment&)> work;
  // False: the work may succeed even if this command never does.
  bool needed = true;
};

Status LoadAndQuote(Tpm& tpm, const Enrollment& enrollment) {
  CS_RETURN_IF_ERROR(tpm.LoadAk(enrollment.blob, enrollment.auth));
  const Sha256Digest digest = DigestOf("x");
  CS_ASSIGN_OR_RETURN(const auto quoted, tpm.QuoteAk(digest, kBoot));
  CS_ASSIGN_OR_RETURN(const auto ak,
                      tpm::PublicArea::Parse(enrollment.blob.public_area));
  EXPECT_TRUE(Succeeds(
      tpm::VerifySignature(ak, quoted.quote.attest, quoted.quote.signature)));
  return {};
}

Status Activate(Tpm& tpm, const Enrollment& enrollment) {
  CS_RETURN_IF_ERROR(tpm.LoadAk(enrollment.blob, enrollment.auth));
  CS_ASSIGN_OR_RETURN(const auto ak,
                      tpm::PublicArea::Parse(enrollment.blob.public_area));
  const Secret secret(RandomBytes(32));
  CS_ASSIGN_OR_RETURN(
      const auto credential,
      tpm::MakeCredential(enrollment.ek.public_area, ak.name(), secret));
  CS_ASSIGN_OR_RETURN(const Secret opened,
                      tpm.ActivateCredential(credential.id_object,
                                             credential.encrypted_secret));
  EXPECT_TRUE(Equal(opened.Expose(), secret.Expose()));
  return {};
}

Status UseSessionKey(Tpm& tpm, const Enrollment& enrollment) {
  CS_RETURN_IF_ERROR(tpm.LoadAk(enrollment.blob, enrollment.auth));
  CS_ASSIGN_OR_RETURN(const auto key, tpm.CreateSessionKey());
  CS_RETURN_IF_ERROR(tpm.CertifySessionKey(key.id, DigestOf("x")));
  CS_RETURN_IF_ERROR(tpm.SignWithSessionKey(key.id, DigestOf("x")));
  tpm.DestroySessionKey(key.id);
  return {};
}

Status Enroll(Tpm& tpm, const Enrollment& enrollment) {
  CS_ASSIGN_OR_RETURN(const auto keys, tpm.EndorsementKeys());
  CS_RETURN_IF_ERROR(
      tpm.CreateAk(enrollment.ek, tpm::KeyType::kEccP256, enrollment.auth));
  return {};
}

Status Info(Tpm& tpm, const Enrollment&) {
  CS_RETURN_IF_ERROR(tpm.Info());
  return {};
}

const Exchange kExchanges[] = {
    {"Quote", "0x158", LoadAndQuote},
    {"PcrRead", "0x17e", LoadAndQuote},
    {"StartAuthSession", "0x176", LoadAndQuote},
    {"ReadPublic", "0x173", LoadAndQuote},
    {"GetCapability", "0x17a", LoadAndQuote},
    {"ActivateCredential", "0x147", Activate},
    {"PolicySecret", "0x151", Activate},
    {"CreatePrimary", "0x131", UseSessionKey},
    {"ContextSave", "0x162", UseSessionKey},
    {"ContextLoad", "0x161", UseSessionKey},
    {"Certify", "0x148", UseSessionKey},
    {"Sign", "0x15d", UseSessionKey},
    {"FlushContext", "0x165", UseSessionKey, false},
    {"Create", "0x153", Enroll},
    {"NvReadPublic", "0x169", Enroll},
    {"NvRead", "0x14e", Enroll},
    {"ReadClock", "0x181", Info},
};

class EsysTpmProtocolTest : public testing::Test {
 protected:
  // One TPM for all: what is left behind in it must not matter.
  static void SetUpTestSuite() {
    rig = std::make_unique<fakes::SwtpmRig>();
    const auto tpm = EsysTpm::Create(rig->tcti());
    const auto keys = tpm->EndorsementKeys();
    Secret auth(RandomBytes(32));
    auto blob = tpm->CreateAk(keys->front(), tpm::KeyType::kEccP256, auth);
    ASSERT_TRUE(Succeeds(blob));
    enrollment = std::make_unique<Enrollment>(
        Enrollment{*blob, std::move(auth), keys->front()});
  }
  static void TearDownTestSuite() {
    enrollment = nullptr;
    rig = nullptr;
  }

  static std::unique_ptr<fakes::SwtpmRig> rig;
  static std::unique_ptr<Enrollment> enrollment;
};
std::unique_ptr<fakes::SwtpmRig> EsysTpmProtocolTest::rig;
std::unique_ptr<Enrollment> EsysTpmProtocolTest::enrollment;

class EsysTpmSpoiltAnswerTest : public EsysTpmProtocolTest,
                                public testing::WithParamInterface<Exchange> {};

TEST_P(EsysTpmSpoiltAnswerTest, SurvivesEverySpoiltAnswer) {  // A24
  const Exchange& exchange = GetParam();
  const auto broken = EsysTpm::Create(
      rig->tcti_with(std::string("cut=1:cc=") + exchange.command_code),
      kOptions);
  const bool worked = exchange.work(*broken, *enrollment).has_value();
  EXPECT_TRUE(!exchange.needed || !worked) << "the command is never sent";
  for (const std::string& fault : Faults()) {
    SCOPED_TRACE(std::string(exchange.name) + " " + fault);
    const auto tpm = EsysTpm::Create(
        rig->tcti_with(fault + ":count=1:cc=" + exchange.command_code),
        kOptions);
    const Status spoilt = exchange.work(*tpm, *enrollment);
    if (!spoilt.has_value()) {
      EXPECT_TRUE(IsTpmError(spoilt.error().code)) << spoilt.error().detail;
    }
    EXPECT_TRUE(Succeeds(exchange.work(*tpm, *enrollment)));
  }
}

std::string ExchangeName(const testing::TestParamInfo<Exchange>& exchange) {
  return exchange.param.name;
}
INSTANTIATE_TEST_SUITE_P(Every, EsysTpmSpoiltAnswerTest,
                         testing::ValuesIn(kExchanges), ExchangeName);

// A24: an answer that stays wrong is reported as what it is.
TEST_F(EsysTpmProtocolTest, ReportsAnswersThatAreNotTpm20) {
  for (const char* fault :
       {"poke=0.00c4", "poke=2.00000000", "poke=2.ffffffff", "poke=10.ffffffff",
        "poke=14.ffff", "flip=40", "flip=120", "short=9", "short=60"}) {
    SCOPED_TRACE(fault);
    const auto tpm = EsysTpm::Create(rig->tcti_with(fault), kOptions);
    EXPECT_TRUE(FailsWith(LoadAndQuote(*tpm, *enrollment),
                          ErrorCode::kTpmProtocolError));
  }
}

}  // namespace
}  // namespace countersign::platform

int main(int argc, char** argv) {
  countersign::platform::SilenceTssLog();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
