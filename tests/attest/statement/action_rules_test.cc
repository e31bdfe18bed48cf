#include "attest/statement/action_rules.h"

#include <gtest/gtest.h>

#include <string>

#include "attest/statement/limits.h"
#include "attest/statement/statement.h"

namespace countersign::statement {
namespace {

v1::ActionRequest Good() {
  v1::ActionRequest request;
  request.set_task_id("task-7");
  request.set_name("mcp:tools/call:read_file");
  request.set_resource("file:///home/alice/notes.txt");
  request.set_purpose("summarise my notes");
  request.set_request_sha256(std::string(32, 'h'));
  request.set_grant_audience("https://files.example");
  return request;
}

// Refused, with the field named first.
void ExpectRefused(const v1::ActionRequest& request, const std::string& field) {
  const Status status = CheckActionRequest(request);
  ASSERT_FALSE(status) << field;
  EXPECT_EQ(status.error().code, ErrorCode::kActionInvalid);
  EXPECT_TRUE(status.error().detail.starts_with(field + " "))
      << status.error().detail;
}

TEST(CheckActionRequestTest, AcceptsAWellFormedAction) {
  EXPECT_TRUE(CheckActionRequest(Good()));
}

TEST(CheckActionRequestTest, AcceptsWithoutTheOptionalFields) {
  v1::ActionRequest request = Good();
  request.clear_task_id();
  request.clear_request_sha256();
  request.clear_grant_audience();
  EXPECT_TRUE(CheckActionRequest(request));
}

TEST(CheckActionRequestTest, AcceptsTheNamesAndResourcesOfTheProtocol) {
  for (const char* name : {"http:POST", "mcp:tools/call:x", "a:b", "x@1:y+z"}) {
    v1::ActionRequest request = Good();
    request.set_name(name);
    EXPECT_TRUE(CheckActionRequest(request)) << name;
  }
  for (const char* resource :
       {"https://a.example/x?q=1#part", "urn:example:thing", "mcp://fs/read",
        "https://[2001:db8::1]:8443/", "mailto:a@b.example"}) {
    v1::ActionRequest request = Good();
    request.set_resource(resource);
    EXPECT_TRUE(CheckActionRequest(request)) << resource;
  }
}

TEST(CheckActionRequestTest, RejectsNamesOfAnotherForm) {
  for (const std::string& name :
       {std::string(), std::string("read"), std::string(":read"),
        std::string("mcp:"), std::string("mcp:a b"), std::string("mcp:a\n"),
        std::string("mcp:\0", 5), std::string("mcp:\xd0\xb0"),
        std::string("mcp:\xff"), "m:" + std::string(kMaxNameSize - 1, 'x')}) {
    v1::ActionRequest request = Good();
    request.set_name(name);
    ExpectRefused(request, "name");
  }
}

TEST(CheckActionRequestTest, RejectsResourcesThatAreNotAbsoluteUris) {
  const std::string base = "https://a.example/";
  for (const std::string& resource :
       {std::string(), std::string("/etc/passwd"), std::string("notes.txt"),
        std::string("https:"), std::string("https://"),
        std::string("https://a.example/a b"), std::string("https://a/%zz"),
        std::string("https://u:p@a.example/"), std::string("ftp://u@a/"),
        std::string("https://a.example/\r\nX: y"),
        std::string("https://a.example:99999/"), std::string("1x:y"),
        base + std::string(kMaxResourceSize - base.size() + 1, 'x')}) {
    v1::ActionRequest request = Good();
    request.set_resource(resource);
    ExpectRefused(request, "resource");
  }
}

// A28: policy and server would read two resources in one text.
TEST(CheckActionRequestTest, RejectsResourcesThatAreNotInNormalForm) {
  for (const char* resource :
       {"https://bank.example/public/../admin", "https://bank.example:443/a",
        "https://BANK.example/a", "https://bank.example/%61dmin",
        "https://bank.example", "file:///srv/./a", "HTTPS://bank.example/a"}) {
    v1::ActionRequest request = Good();
    request.set_resource(resource);
    ExpectRefused(request, "resource");
  }
  v1::ActionRequest request = Good();
  request.set_resource("https://bank.example/a?b=../c");
  EXPECT_TRUE(CheckActionRequest(request));
}

TEST(CheckActionRequestTest, AcceptsTheLongestResource) {
  const std::string base = "https://a.example/";
  v1::ActionRequest request = Good();
  request.set_resource(base + std::string(kMaxResourceSize - base.size(), 'x'));
  EXPECT_TRUE(CheckActionRequest(request));
}

TEST(CheckActionRequestTest, RejectsPurposesThatAreNotPlainText) {
  for (const std::string& purpose :
       {std::string(), std::string("a\nb"), std::string("\x1b[31mred"),
        std::string("\xe2\x80\xaeltr"), std::string("\xc0\xaf"),
        std::string(kMaxPurposeSize + 1, 'x')}) {
    v1::ActionRequest request = Good();
    request.set_purpose(purpose);
    ExpectRefused(request, "purpose");
  }
}

TEST(CheckActionRequestTest, RejectsTaskIdsThatAreNotPlainText) {
  for (const std::string& task :
       {std::string("a\tb"), std::string(kMaxTaskIdSize + 1, 'x')}) {
    v1::ActionRequest request = Good();
    request.set_task_id(task);
    ExpectRefused(request, "task_id");
  }
}

TEST(CheckActionRequestTest, RejectsARequestDigestOfAnotherLength) {
  for (size_t size : {1, 20, 31, 33, 64}) {
    v1::ActionRequest request = Good();
    request.set_request_sha256(std::string(size, 'h'));
    ExpectRefused(request, "request_sha256");
  }
}

TEST(CheckActionRequestTest, RejectsAudiencesThatAreNotUrisWithoutFragment) {
  for (const std::string& audience :
       {std::string("files.example"), std::string("https://files.example#x"),
        std::string("https://u@files.example"),
        "https://a/" + std::string(kMaxAudienceSize, 'x')}) {
    v1::ActionRequest request = Good();
    request.set_grant_audience(audience);
    ExpectRefused(request, "grant_audience");
  }
}

TEST(CheckApprovalTest, TakesOnlyWhatIsWellFormedAndOfThisRequest) {
  const Sha256Digest digest{7};
  v1::Approval good;
  good.set_request_digest(AsString(digest));
  good.set_grade("prompt");
  good.set_approver("os:1000");
  good.set_reference("000102");
  EXPECT_TRUE(CheckApproval(good, digest));
  const auto refuses = [&](auto change, const std::string& field) {
    v1::Approval approval = good;
    change(approval);
    const Status status = CheckApproval(approval, digest);
    ASSERT_FALSE(status) << field;
    EXPECT_EQ(status.error().code, ErrorCode::kActionInvalid);
    EXPECT_TRUE(status.error().detail.starts_with(field))
        << status.error().detail;
  };
  refuses([](auto& a) { a.set_request_digest(std::string(32, 'x')); },
          "approval");
  refuses([](auto& a) { a.clear_request_digest(); }, "approval");
  refuses([](auto& a) { a.set_grade("a-wink"); }, "approval.grade");
  refuses([](auto& a) { a.clear_approver(); }, "approval.approver");
  refuses([](auto& a) { a.set_approver(std::string(129, 'x')); },
          "approval.approver");
  refuses([](auto& a) { a.set_reference("a\nb"); }, "approval.reference");
  refuses([](auto& a) { a.set_reference(std::string(65, 'x')); },
          "approval.reference");
}

// An action of the longest fields that an ordinary caller uses fits its leaf.
TEST(CheckActionRequestTest, LeavesRoomInAnActionForItsLongestResource) {
  v1::ActionRequest request = Good();
  request.set_resource("https://a.example/" + std::string(1000, 'x'));
  v1::Action action;
  const Bytes bytes = SerializeStatement(request);
  action.set_action_request(AsString(bytes));
  action.set_session_binding_digest(std::string(32, 'd'));
  action.set_salt(std::string(16, 's'));
  action.set_sequence(~uint64_t{0});
  action.set_requested_at_ms(1'900'000'000'000);
  EXPECT_LE(SerializeStatement(action).size(), kMaxActionSize);
}

}  // namespace
}  // namespace countersign::statement
