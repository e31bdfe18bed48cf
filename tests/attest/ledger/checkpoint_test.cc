#include "attest/ledger/checkpoint.h"

#include <gtest/gtest.h>

#include <string>

namespace countersign::ledger {
namespace {

constexpr const char* kRoot = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";

std::string Text(const std::string& size = "20852163",
                 const std::string& root = kRoot) {
  return "example.com/behind-the-sofa\n" + size + "\n" + root + "\n";
}

// The example of C2SP tlog-checkpoint.
TEST(ParseCheckpointTest, ReadsTheExampleOfTheSpecification) {
  const auto checkpoint = ParseCheckpoint(Text());
  ASSERT_TRUE(checkpoint) << checkpoint.error().detail;
  EXPECT_EQ(checkpoint->origin, "example.com/behind-the-sofa");
  EXPECT_EQ(checkpoint->head.size, 20852163u);
  EXPECT_EQ(ToBase64(checkpoint->head.root), kRoot);
  EXPECT_EQ(FormatCheckpoint(*checkpoint), Text());
}

TEST(ParseCheckpointTest, IgnoresExtensionLines) {
  EXPECT_EQ(ParseCheckpoint(Text() + "extension\nanother\n").value(),
            ParseCheckpoint(Text()).value());
}

TEST(ParseCheckpointTest, RejectsSizesThatAreNotCanonical) {
  for (const char* size : {"", "-1", "+1", "01", "1 ", " 1", "0x10", "1e3",
                           "9223372036854775808", "99999999999999999999"}) {
    const auto checkpoint = ParseCheckpoint(Text(size));
    ASSERT_FALSE(checkpoint) << size;
    EXPECT_EQ(checkpoint.error().code, ErrorCode::kCheckpointInvalid);
  }
  EXPECT_TRUE(ParseCheckpoint(Text("0")));
  EXPECT_TRUE(ParseCheckpoint(Text("9223372036854775807")));
}

TEST(ParseCheckpointTest, RejectsRootsThatAreNot32BytesOfCanonicalBase64) {
  const std::string root = kRoot;
  for (const std::string& bad :
       {std::string(), root.substr(0, 43), root + "=", "A" + root,
        root.substr(0, 42) + "J=", std::string("AAAA")}) {
    EXPECT_FALSE(ParseCheckpoint(Text("1", bad))) << bad;
  }
}

TEST(ParseCheckpointTest, RejectsMissingAndEmptyLines) {
  const std::string good = Text();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(ParseCheckpoint(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(ParseCheckpoint("\n" + good));
  EXPECT_FALSE(ParseCheckpoint(good + "\n"));
  EXPECT_FALSE(ParseCheckpoint(good + "extension"));
}

class OpenCheckpointTest : public testing::Test {
 protected:
  LedgerKey key_ = LedgerKey::Generate("log.example").value();
  Checkpoint checkpoint_{"log.example", {7, Sha256Digest{1, 2, 3}}};
};

TEST_F(OpenCheckpointTest, OpensWhatWasSigned) {
  const auto note = SignCheckpoint(checkpoint_, key_);
  ASSERT_TRUE(note);
  EXPECT_EQ(OpenCheckpoint(*note, key_.verifier()).value(), checkpoint_);
}

TEST_F(OpenCheckpointTest, RejectsAnotherKeyOriginOrText) {
  const auto other = LedgerKey::Generate("log.example").value();
  const auto code_of = [this](const std::string& note) {
    const auto opened = OpenCheckpoint(note, key_.verifier());
    return opened ? ErrorCode{} : opened.error().code;
  };
  EXPECT_EQ(code_of(SignCheckpoint(checkpoint_, other).value()),
            ErrorCode::kCheckpointInvalid);
  EXPECT_EQ(code_of(SignCheckpoint({"other.example", {}}, key_).value()),
            ErrorCode::kCheckpointInvalid);
  EXPECT_EQ(code_of(SignNote("not a checkpoint\n", key_).value()),
            ErrorCode::kCheckpointInvalid);
  std::string changed = SignCheckpoint(checkpoint_, key_).value();
  changed.replace(changed.find("\n7\n"), 3, "\n8\n");
  EXPECT_EQ(code_of(changed), ErrorCode::kCheckpointInvalid);
}

TEST_F(OpenCheckpointTest, IsNeverSignedWithAnOriginThatBreaksItsLines) {
  EXPECT_FALSE(SignCheckpoint({"", {}}, key_));
  EXPECT_FALSE(SignCheckpoint({"a\n5", {}}, key_));
}

}  // namespace
}  // namespace countersign::ledger
