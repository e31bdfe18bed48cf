#include "agent/ipc/messages.h"

#include <gtest/gtest.h>

#include "tests/fails_with.h"

namespace countersign::agent {
namespace {

Result<DecodedRequest> Decode(std::string_view payload) {
  return DecodeRequest(AsBytes(payload));
}

v1::Request AuthorizeExample() {
  v1::Request request;
  request.set_request_id(7);
  request.set_nonce("0123456789abcdef");
  v1::AuthorizeRequest& authorize = *request.mutable_authorize();
  authorize.set_session_id(std::string("\0\xff", 2));
  authorize.set_name("mcp:tools/call:read_file");
  return request;
}

TEST(MessagesTest, RequestSurvivesBothEncodings) {
  const v1::Request request = AuthorizeExample();
  for (const Encoding encoding : {Encoding::kProtobuf, Encoding::kJson}) {
    const auto payload = EncodeRequest(request, encoding);
    ASSERT_TRUE(payload.has_value());
    const auto decoded = DecodeRequest(*payload);
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(decoded->encoding, encoding);
    EXPECT_EQ(decoded->request.SerializeAsString(),
              request.SerializeAsString());
  }
}

TEST(MessagesTest, ResponseInJsonBeginsWithABrace) {
  v1::Response response;
  response.set_request_id(1);
  response.mutable_status()->set_version("1");
  const auto payload = EncodeResponse(response, Encoding::kJson);
  ASSERT_TRUE(payload.has_value());
  EXPECT_EQ(payload->front(), '{');
  const auto decoded = DecodeResponse(*payload);
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->status().version(), "1");
}

// A14
TEST(MessagesTest, RejectsJsonWithAKeyTwice) {
  EXPECT_TRUE(FailsWith(Decode(R"({"requestId":1,"status":{},"requestId":2})"),
                        ErrorCode::kBadRequest));
}

// A32
TEST(MessagesTest, RejectsDeepJson) {
  EXPECT_TRUE(FailsWith(Decode("{\"status\":" + std::string(10'000, '[')),
                        ErrorCode::kBadRequest));
}

TEST(MessagesTest, RejectsAMisspeltJsonField) {
  EXPECT_TRUE(FailsWith(Decode(R"({"authorize":{"resorce":"a:b"}})"),
                        ErrorCode::kFrameMalformed));
}

TEST(MessagesTest, RejectsTwoVerbsInJson) {
  EXPECT_TRUE(FailsWith(Decode(R"({"status":{},"doctor":{}})"),
                        ErrorCode::kFrameMalformed));
}

TEST(MessagesTest, RejectsBytesThatAreNoMessage) {
  EXPECT_TRUE(
      FailsWith(Decode("\xff\xff\xff\xff"), ErrorCode::kFrameMalformed));
}

TEST(MessagesTest, RejectsTextThatIsNotUtf8) {
  v1::Request request;
  request.mutable_authorize()->set_name("mcp:\xc3\x28");
  EXPECT_TRUE(FailsWith(Decode(request.SerializeAsString()),
                        ErrorCode::kFrameMalformed));
}

TEST(MessagesTest, RejectsWhatDoesNotFitAFrame) {
  v1::Response response;
  response.mutable_authorize()->set_bundle(std::string(kMaxClientFrame, 'x'));
  EXPECT_TRUE(FailsWith(EncodeResponse(response, Encoding::kProtobuf),
                        ErrorCode::kTooLarge));
  EXPECT_TRUE(FailsWith(Decode(std::string(kMaxClientFrame + 1, ' ')),
                        ErrorCode::kTooLarge));
}

TEST(ErrorInfoTest, CarriesCodeMessageAndRemedy) {
  const v1::ErrorInfo info = ToErrorInfo({ErrorCode::kLeaseStale, "detail"});
  EXPECT_EQ(info.code(), "service_unreachable");
  EXPECT_EQ(info.reason(), "lease_stale");
  EXPECT_FALSE(info.message().empty());
  EXPECT_FALSE(info.remedy().empty());
  const Error back = FromErrorInfo(info);
  EXPECT_EQ(back.code, ErrorCode::kLeaseStale);
  EXPECT_EQ(back.detail, "detail");
}

// A33
TEST(ErrorInfoTest, EscapesHostileDetail) {
  const v1::ErrorInfo info =
      ToErrorInfo({ErrorCode::kBadRequest, "a\nb\x1b[31m\xff"});
  EXPECT_EQ(info.detail().find('\n'), std::string::npos);
  EXPECT_EQ(info.detail().find('\x1b'), std::string::npos);
  v1::Response response;
  *response.mutable_error() = info;
  EXPECT_TRUE(EncodeResponse(response, Encoding::kJson).has_value());
}

TEST(ErrorInfoTest, KeepsTheTextsOfAnUnknownNumber) {
  v1::ErrorInfo info;
  info.set_number(64'999);
  info.set_message("From the future.");
  const Error error = FromErrorInfo(info);
  EXPECT_EQ(error.code, ErrorCode::kInternal);
  EXPECT_NE(error.detail.find("From the future."), std::string::npos);
}

}  // namespace
}  // namespace countersign::agent
