#include "agent/native_host/words.h"

#include "agent/ipc/messages.h"
#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

const std::string kNonce = "0123456789abcdef";

Bytes Greeting(const std::string& nonce) {
  v1::Response response;
  response.mutable_hello()->set_nonce(nonce);
  response.mutable_hello()->set_version(COUNTERSIGN_VERSION);
  return *EncodeResponse(response, Encoding::kProtobuf);
}

TEST(WordsTest, FindsTheNonceInAGreeting) {
  EXPECT_EQ(NonceOfGreeting(Greeting(kNonce)), ToBase64Url(AsBytes(kNonce)));
}

TEST(WordsTest, FindsNoNonceInARefusal) {
  v1::Response response;
  *response.mutable_error() = ToErrorInfo({ErrorCode::kBusy, "no"});
  EXPECT_FALSE(NonceOfGreeting(*EncodeResponse(response, Encoding::kProtobuf)));
}

TEST(WordsTest, FindsNoNonceInAnyPartOfAGreeting) {
  const Bytes greeting = Greeting(kNonce);
  for (size_t size = 0; size < greeting.size(); ++size) {
    EXPECT_FALSE(NonceOfGreeting(ByteSpan(greeting).first(size))) << size;
  }
}

TEST(WordsTest, FindsNoNonceOfAnotherLength) {
  EXPECT_FALSE(NonceOfGreeting(Greeting(kNonce + "x")));
}

TEST(WordsTest, AddsTheNonceThatTheDaemonReads) {
  const auto whole = WithNonce(AsBytes(R"({"request_id":"7","status":{}})"),
                               ToBase64Url(AsBytes(kNonce)));
  ASSERT_TRUE(Succeeds(whole));
  const auto decoded = DecodeRequest(*whole);
  ASSERT_TRUE(Succeeds(decoded));
  EXPECT_EQ(decoded->request.nonce(), kNonce);
  EXPECT_EQ(decoded->request.request_id(), 7u);
  EXPECT_TRUE(decoded->request.has_status());
}

TEST(WordsTest, ARequestWithANonceOfItsOwnIsRefusedByTheDaemon) {
  const auto whole =
      WithNonce(AsBytes(R"({"nonce":"QUFBQUFBQUFBQUFBQUFBQQ","status":{}})"),
                ToBase64Url(AsBytes(kNonce)));
  ASSERT_TRUE(Succeeds(whole));
  EXPECT_TRUE(FailsWith(DecodeRequest(*whole), ErrorCode::kBadRequest));
}

TEST(WordsTest, RejectsWhatIsNotAnObject) {
  for (const char* text : {"", "[]", "\"{\"", " {}", "1", "\x0a\x10"}) {
    EXPECT_TRUE(
        FailsWith(WithNonce(AsBytes(text), "n"), ErrorCode::kBadRequest))
        << text;
  }
}

TEST(WordsTest, TheNonceFitsTheRoomThatIsKeptForIt) {
  const auto whole = WithNonce(AsBytes("{"), ToBase64Url(AsBytes(kNonce)));
  ASSERT_TRUE(Succeeds(whole));
  EXPECT_LE(whole->size() - 1, kNonceRoom);
}

TEST(WordsTest, ARefusalIsAnErrorThatEveryClientReads) {
  for (const ErrorCode code :
       {ErrorCode::kDaemonNotRunning, ErrorCode::kTooLarge, ErrorCode::kBusy}) {
    const auto response = DecodeResponse(Refusal({code, "a \"path\"\n"}));
    ASSERT_TRUE(Succeeds(response));
    EXPECT_EQ(response->request_id(), 0u);
    EXPECT_EQ(FromErrorInfo(response->error()).code, code);
    EXPECT_EQ(response->error().message(), Message(code));
    EXPECT_EQ(response->error().remedy(), Remedy(code));
  }
}

}  // namespace
}  // namespace countersign::agent
