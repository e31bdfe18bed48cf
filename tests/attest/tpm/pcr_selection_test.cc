#include "attest/tpm/pcr_selection.h"

#include "attest/tpm/constants.h"
#include "tests/fails_with.h"

namespace countersign::tpm {
namespace {

Result<std::vector<PcrBank>> Read(std::string_view hex) {
  const Bytes bytes = FromHex(hex).value();
  BigEndianReader reader(bytes);
  return ReadPcrSelection(reader);
}

TEST(PcrSelectionTest, ReadsAndWritesItsText) {
  for (const std::string_view text : {"sha256:0-7", "sha256:0", "sha256:23",
                                      "sha256:0,2,4-6,23", "sha256:0-23"}) {
    const auto selection = PcrSelection::FromText(text);
    ASSERT_TRUE(Succeeds(selection)) << text;
    EXPECT_EQ(selection->ToText(), text);
  }
  EXPECT_EQ(PcrSelection::FromText("sha256:0,1,2")->ToText(), "sha256:0-2");
  EXPECT_EQ(PcrSelection::FromText("sha256:0-7"), PcrSelection::Default());
}

TEST(PcrSelectionTest, RejectsAnyOtherText) {
  for (const std::string_view text :
       {"",           "sha256",     "sha256:",      "sha1:0-7",
        "0-7",        "sha256:24",  "sha256:0-24",  "sha256:7-0",
        "sha256:1,0", "sha256:0,0", "sha256:0-7,7", "sha256:0,",
        "sha256:,0",  "sha256:0-",  "sha256:-1",    "sha256: 0",
        "sha256:00",  "sha256:+1",  "sha256:0-7 ",  "SHA256:0"}) {
    EXPECT_TRUE(FailsWith(PcrSelection::FromText(text), ErrorCode::kBadRequest))
        << text;
  }
}

TEST(PcrSelectionTest, EncodesOneBankWithThreeBytes) {
  EXPECT_EQ(ToHex(PcrSelection::Default().Encode()), "00000001000b03ff0000");
  EXPECT_EQ(ToHex(PcrSelection::FromText("sha256:0,9,23")->Encode()),
            "00000001000b03010280");
}

TEST(PcrSelectionTest, ListsItsIndices) {
  const auto selection = PcrSelection::FromText("sha256:1,9-10").value();
  EXPECT_EQ(selection.indices(), (std::vector<uint8_t>{1, 9, 10}));
  EXPECT_EQ(selection.size(), 3u);
  EXPECT_TRUE(selection.Contains(9));
  EXPECT_FALSE(selection.Contains(8));
  EXPECT_FALSE(selection.Contains(24));
  EXPECT_FALSE(selection.Contains(-1));
}

// A04: the width of the bitmap is no difference.
TEST(PcrSelectionTest, MatchesByValueWhateverTheBitmapsWidth) {
  for (const std::string_view hex :
       {"00000001000b01ff", "00000001000b03ff0000", "00000001000b04ff000000"}) {
    EXPECT_TRUE(PcrSelection::Default().Matches(Read(hex).value())) << hex;
  }
}

// A02, A03, A04
TEST(PcrSelectionTest, DoesNotMatchAnotherBankOrOtherIndices) {
  for (const std::string_view hex :
       {"00000001000b037f0000",                 // One fewer.
        "00000001000b03ff0100",                 // One more.
        "00000001000b04ff000001",               // One past PCR 23.
        "00000001000b03000000",                 // None.
        "00000000",                             // No bank.
        "00000001000403ff0000",                 // sha1.
        "00000002000b03ff0000000403ff0000",     // sha256 and sha1.
        "00000002000b030f0000000b03f00000"}) {  // Two halves.
    const auto banks = Read(hex);
    ASSERT_TRUE(Succeeds(banks));
    EXPECT_FALSE(PcrSelection::Default().Matches(*banks)) << hex;
  }
}

TEST(PcrSelectionTest, RejectsAMalformedList) {
  for (const std::string_view hex :
       {"", "000000", "00000001", "00000001000b", "00000001000b00",
        "00000001000b05ff00000000", "00000001000b03ff00", "00000011",
        "ffffffff", "00000002000b03ff0000"}) {
    EXPECT_TRUE(FailsWith(Read(hex), ErrorCode::kMalformedEvidence)) << hex;
  }
}

}  // namespace
}  // namespace countersign::tpm
