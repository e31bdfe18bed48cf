// Our export through tpm2_checkquote of tpm2-tools: it confirms what we
// accept. It never judges, since versions before 5.7 accept quotes that no TPM
// made (CVE-2024-29038) and quotes over other PCRs than they are given
// (CVE-2024-29039); we reject both.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "agent/cli/tpm2_tools_export.h"
#include "agent/cli/verify_bundle.h"
#include "tests/agent/cli/bundle_maker.h"
#include "tests/agent/cli/program.h"

namespace countersign::agent {
namespace {

class CheckquoteTest : public ::testing::Test {
 protected:
  CheckquoteTest() {
    std::string pattern = "/tmp/countersign-checkquote-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~CheckquoteTest() override { std::filesystem::remove_all(folder_); }

  void SetUp() override {
    const Ran ran = RunProgram({"tpm2_checkquote", "--version"});
    ASSERT_EQ(ran.exit_code, 0) << "tpm2-tools is not installed";
    const size_t at = ran.out.find("version=\"");
    ASSERT_NE(at, std::string::npos) << ran.out;
    version_ = std::stod(ran.out.substr(at + 9));
  }

  bool Accepts(const Tpm2ToolsFiles& files) {
    Write("quote.msg", AsString(files.message));
    Write("quote.sig", AsString(files.signature));
    Write("ak.pem", files.ak_pem);
    Write("pcrs.bin", AsString(files.pcrs));
    const Ran ran = RunProgram(
        {"tpm2_checkquote", "-u", folder_ + "/ak.pem", "-m",
         folder_ + "/quote.msg", "-s", folder_ + "/quote.sig", "-f",
         folder_ + "/pcrs.bin", "-g", "sha256", "-q", files.qualification});
    said_ = ran.out + ran.err;
    return ran.exit_code == 0;
  }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << bytes;
  }
  bool has_the_holes() const { return version_ < 5.7; }

  std::string folder_;
  std::string said_;
  double version_ = 0;
};

Tpm2ToolsFiles Export(const v1::EvidenceBundle& bundle, ExportedQuote which) {
  auto files = ExportForTpm2Tools(bundle, which);
  EXPECT_TRUE(files.has_value()) << files.error().detail;
  return *std::move(files);
}

TEST_F(CheckquoteTest, AcceptsTheQuoteOverTheBatch) {
  for (const auto type : {tpm::KeyType::kEccP256, tpm::KeyType::kRsa2048}) {
    BundleMaker maker(false, type);
    EXPECT_TRUE(Accepts(Export(maker.Build(), ExportedQuote::kAction)))
        << said_;
  }
}

TEST_F(CheckquoteTest, AcceptsTheQuoteOverTheSession) {
  BundleMaker maker;
  EXPECT_TRUE(Accepts(Export(maker.Build(), ExportedQuote::kSession))) << said_;
}

TEST_F(CheckquoteTest, RejectsEveryFileOfAnotherQuote) {
  BundleMaker maker;
  const v1::EvidenceBundle bundle = maker.Build();
  const auto action = Export(bundle, ExportedQuote::kAction);
  const auto session = Export(bundle, ExportedQuote::kSession);
  BundleMaker other;
  const auto foreign = Export(other.Build(), ExportedQuote::kAction);
  Tpm2ToolsFiles files = action;
  files.message = session.message;
  EXPECT_FALSE(Accepts(files));
  files = action;
  files.signature = session.signature;
  EXPECT_FALSE(Accepts(files));
  files = action;
  files.qualification = session.qualification;
  EXPECT_FALSE(Accepts(files));
  files = action;
  files.ak_pem = foreign.ak_pem;
  EXPECT_FALSE(Accepts(files));
  files = action;
  files.pcrs[4 + 128 + 4 + 4 + 2] ^= 1;  // First byte of the first value.
  EXPECT_FALSE(Accepts(files));
}

// A session whose quote was changed before the AK signed it.
struct Forged {
  explicit Forged(std::function<void(fakes::AttestFields&)> change) {
    const v1::EvidenceBundle good = maker.Build();
    const auto exported = Export(good, ExportedQuote::kSession);
    maker.session.change_quote = std::move(change);
    bundle = maker.Build();
    const v1::TpmQuote& quote = bundle.session().quote();
    files = exported;
    files.message = ToBytes(AsBytes(quote.attest()));
    files.signature = ToBytes(AsBytes(quote.signature()));
  }
  std::string Reason() {
    const BundleReport report = VerifyBundle(bundle, maker.Trust());
    EXPECT_FALSE(report.ok());
    return std::string(Name(report.part(Part::kSessionQuote).reason));
  }

  BundleMaker maker;
  v1::EvidenceBundle bundle;
  Tpm2ToolsFiles files;
};

TEST_F(CheckquoteTest, WeRejectAQuoteThatNoTpmMadeWhichItAccepts) {  // A01
  Forged forged([](fakes::AttestFields& fields) { fields.magic = 0xdeadbeef; });
  EXPECT_EQ(forged.Reason(), "quote_not_tpm_generated");
  EXPECT_EQ(Accepts(forged.files), has_the_holes()) << said_;
}

TEST_F(CheckquoteTest, WeRejectAQuoteOverOtherPcrsWhichItAccepts) {  // A02
  // Eight PCRs that anybody may reset, with the boot PCRs' values in them.
  Forged forged([](fakes::AttestFields& fields) {
    fields.selection =
        tpm::PcrSelection::FromText("sha256:16-23").value().Encode();
  });
  EXPECT_EQ(forged.Reason(), "pcr_selection_mismatch");
  EXPECT_EQ(Accepts(forged.files), has_the_holes()) << said_;
}

TEST(EncodePcrFileTest, FillsListsOfEight) {
  const std::vector<Sha256Digest> nine(9);
  EXPECT_EQ(EncodePcrFile(0x1ff, nine).size(), 4u + 128 + 4 + 2 * 532);
}

TEST(ExportForTpm2ToolsTest, RejectsWhatItCannotExport) {
  BundleMaker maker;
  v1::EvidenceBundle bundle = maker.Build();
  bundle.mutable_action()->mutable_quote()->mutable_pcr_values()->RemoveLast();
  EXPECT_EQ(ExportForTpm2Tools(bundle, ExportedQuote::kAction).error().code,
            ErrorCode::kMalformedEvidence);
  bundle.clear_action();
  EXPECT_EQ(ExportForTpm2Tools(bundle, ExportedQuote::kAction).error().code,
            ErrorCode::kNotFound);
  bundle.clear_device_record();
  EXPECT_EQ(ExportForTpm2Tools(bundle, ExportedQuote::kSession).error().code,
            ErrorCode::kNotFound);
}

}  // namespace
}  // namespace countersign::agent
