#include "attest/statement/statement.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "attest/base/digest.h"
#include "countersign/v1/statements.pb.h"
#include "tests/vectors/load_vectors.h"

namespace countersign::statement {
namespace {

constexpr StatementType kAllTypes[] = {
    StatementType::kEnrollment,     StatementType::kLogin,
    StatementType::kSessionBinding, StatementType::kActionRequest,
    StatementType::kAction,         StatementType::kActionBatch,
    StatementType::kLedgerEntry};

v1::SessionBinding Binding() {
  v1::SessionBinding binding;
  binding.set_issuer("https://authz.example");
  binding.set_device_id(std::string(16, 'd'));
  binding.mutable_user()->set_os_name("alice");
  binding.mutable_workload()->set_pid(7);
  binding.mutable_workload()->add_parents("/usr/bin/bash");
  binding.set_expires_at_ms(1);
  return binding;
}

ErrorCode CodeOf(ByteSpan body, size_t max = kMaxSessionBindingSize) {
  const auto parsed = ParseStatement<v1::SessionBinding>(body, max);
  return parsed ? ErrorCode{} : parsed.error().code;
}

TEST(StatementTypeTest, HasOneUriForEachType) {
  std::set<std::string_view> seen;
  for (StatementType type : kAllTypes) {
    EXPECT_TRUE(seen.insert(TypeUri(type)).second);
    EXPECT_EQ(StatementTypeFromUri(TypeUri(type)), type);
  }
}

TEST(StatementTypeTest, RejectsUrisThatAreNotExactlyOne) {
  for (const char* uri : {"", "application/vnd.countersign.action.v2+protobuf",
                          "application/vnd.countersign.Action.v1+protobuf",
                          "application/vnd.countersign.action.v1+protobuf ",
                          "application/vnd.countersign.action.v1+json"}) {
    EXPECT_FALSE(StatementTypeFromUri(uri)) << uri;
  }
}

TEST(PaeTest, ReproducesTheVectors) {
  const auto vectors = LoadVectors();
  ASSERT_EQ(vectors["pae"].size(), 28u);
  for (const auto& vector : vectors["pae"]) {
    const std::string uri = vector["type"];
    const Bytes body = Unhex(vector["body"]);
    EXPECT_EQ(ToHex(Pae(uri, body)), vector["pae"]);
    const auto type = StatementTypeFromUri(uri);
    ASSERT_TRUE(type) << uri;
    EXPECT_EQ(ToHex(StatementDigest(*type, body)), vector["digest"]);
  }
}

TEST(PaeTest, ReproducesTheExampleOfDsse) {
  const std::string body = "hello world";
  EXPECT_EQ(AsString(Pae("http://example.com/HelloWorld", AsBytes(body))),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

TEST(PaeTest, EncodesATypeLongerThanAnyOfOurs) {
  const std::string type(500, 't');
  EXPECT_EQ(AsString(Pae(type, AsBytes("b"))), "DSSEv1 500 " + type + " 1 b");
}

// A28
TEST(PaeTest, GivesDifferentBytesWhereverTheBoundaryBetweenPartsMoves) {
  const std::string whole = "a 1 b 2 c DSSEv1 3 d e";
  std::set<Bytes> seen;
  for (size_t cut = 0; cut <= whole.size(); ++cut) {
    EXPECT_TRUE(
        seen.insert(Pae(whole.substr(0, cut), AsBytes(whole.substr(cut))))
            .second)
        << cut;
  }
}

// A28: what looks like the start of another statement stays inside the body.
TEST(PaeTest, CannotBeContinuedIntoAnotherStatement) {
  const Bytes inner = Pae(TypeUri(StatementType::kAction), AsBytes("x"));
  for (StatementType type : kAllTypes) {
    EXPECT_NE(StatementDigest(type, inner), Sha256(inner));
    EXPECT_NE(StatementDigest(type, AsBytes("x")),
              StatementDigest(type, AsBytes("x ")));
  }
}

TEST(StatementDigestTest, DiffersBetweenTypesOverTheSameBody) {
  std::set<Sha256Digest> seen;
  for (StatementType type : kAllTypes) {
    EXPECT_TRUE(seen.insert(StatementDigest(type, AsBytes("same"))).second);
  }
}

// A28: user and workload are length-prefixed fields of one message.
TEST(StatementDigestTest, DiffersWhenTextMovesBetweenUserAndWorkload) {
  v1::SessionBinding one;
  one.mutable_user()->set_os_name("alice");
  one.mutable_workload()->set_spiffe_id("bob");
  v1::SessionBinding other;
  other.mutable_user()->set_os_name("alic");
  other.mutable_workload()->set_spiffe_id("ebob");
  EXPECT_NE(
      StatementDigest(StatementType::kSessionBinding, SerializeStatement(one)),
      StatementDigest(StatementType::kSessionBinding,
                      SerializeStatement(other)));
}

TEST(ParseStatementTest, ReturnsWhatWasSerialized) {
  const Bytes body = SerializeStatement(Binding());
  const auto parsed =
      ParseStatement<v1::SessionBinding>(body, kMaxSessionBindingSize);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(parsed->workload().parents(0), "/usr/bin/bash");
  EXPECT_EQ(SerializeStatement(*parsed), body);
}

TEST(ParseStatementTest, AcceptsTheEmptyStatement) {
  EXPECT_TRUE(ParseStatement<v1::SessionBinding>({}, 0));
}

TEST(ParseStatementTest, RejectsWhatIsLongerThanAllowed) {
  const Bytes body = SerializeStatement(Binding());
  EXPECT_EQ(CodeOf(body, body.size()), ErrorCode{});
  EXPECT_EQ(CodeOf(body, body.size() - 1), ErrorCode::kTooLarge);
}

TEST(ParseStatementTest, RejectsWhatIsNotProtobuf) {
  EXPECT_EQ(CodeOf(AsBytes("\xff\xff")), ErrorCode::kMalformedStatement);
  EXPECT_EQ(CodeOf(AsBytes(std::string("\x0a\x05"
                                       "ab"))),
            ErrorCode::kMalformedStatement);
}

TEST(ParseStatementTest, RejectsTextThatIsNotUtf8) {
  EXPECT_EQ(CodeOf(AsBytes("\x0a\x01\xff")), ErrorCode::kMalformedStatement);
}

TEST(ParseStatementTest, NeverAcceptsACutStatementAsTheWhole) {
  const Bytes body = SerializeStatement(Binding());
  for (size_t size = 0; size < body.size(); ++size) {
    const auto parsed = ParseStatement<v1::SessionBinding>(
        ByteSpan(body).first(size), kMaxSessionBindingSize);
    // A cut between two fields is a statement of its own, with its own digest.
    if (parsed) {
      EXPECT_EQ(SerializeStatement(*parsed),
                ToBytes(ByteSpan(body).first(size)));
    }
  }
}

TEST(ParseStatementTest, RejectsUnknownFields) {
  Bytes body = SerializeStatement(Binding());
  const Bytes unknown{0xf8, 0x3f, 0x01};  // Field 1023, varint 1.
  body.insert(body.end(), unknown.begin(), unknown.end());
  EXPECT_EQ(CodeOf(body), ErrorCode::kNonCanonical);
}

TEST(ParseStatementTest, RejectsUnknownFieldsInsideAMessage) {
  // user (7) holding field 1023.
  EXPECT_EQ(CodeOf(Bytes{0x3a, 0x03, 0xf8, 0x3f, 0x01}),
            ErrorCode::kNonCanonical);
}

// A14: a field twice; readers that take the first and the last would differ.
TEST(ParseStatementTest, RejectsAFieldTwice) {
  EXPECT_EQ(CodeOf(AsBytes("\x0a\x01"
                           "a"
                           "\x0a\x01"
                           "b")),
            ErrorCode::kNonCanonical);
  // The two halves of one message field, which protobuf merges.
  EXPECT_EQ(CodeOf(AsBytes("\x3a\x03\x0a\x01"
                           "a"
                           "\x3a\x03\x12\x01"
                           "b")),
            ErrorCode::kNonCanonical);
}

TEST(ParseStatementTest, RejectsFieldsOutOfOrder) {
  EXPECT_EQ(CodeOf(AsBytes("\x1a\x01"
                           "t"
                           "\x0a\x01"
                           "i")),
            ErrorCode::kNonCanonical);
}

TEST(ParseStatementTest, RejectsDefaultsThatAreWrittenOut) {
  EXPECT_EQ(CodeOf(Bytes{0x0a, 0x00}), ErrorCode::kNonCanonical);
  EXPECT_EQ(CodeOf(Bytes{0x78, 0x00}), ErrorCode::kNonCanonical);
}

TEST(ParseStatementTest, RejectsNumbersLongerThanNeeded) {
  EXPECT_EQ(CodeOf(Bytes{0x78, 0x81, 0x00}), ErrorCode::kNonCanonical);
}

TEST(ParseStatementTest, RejectsTrailingBytes) {
  Bytes body = SerializeStatement(Binding());
  body.push_back(0);
  EXPECT_EQ(CodeOf(body), ErrorCode::kMalformedStatement);
}

}  // namespace
}  // namespace countersign::statement
