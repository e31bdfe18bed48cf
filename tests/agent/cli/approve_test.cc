// The user's word at the command line, and who waits for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/agent/cli/command_line.h"

namespace countersign::agent {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kOtherSession(16, '\x02');
const std::string kDigest(32, '\x03');

std::string Hex(const std::string& bytes) { return ToHex(AsBytes(bytes)); }

v1::PendingApproval Pending(const std::string& session = SessionBytes()) {
  v1::PendingApproval pending;
  pending.set_session_id(session);
  pending.set_request_digest(kDigest);
  pending.mutable_request()->set_name("http:DELETE");
  pending.mutable_request()->set_resource("https://a.example/1");
  pending.mutable_request()->set_purpose("tidy \x1b[2J up");
  pending.set_left_s(90);
  return pending;
}

class ApproveTest : public CommandLineTest {
 protected:
  // Actions of these sessions wait; any word on them is taken.
  void Wait(const std::vector<std::string>& sessions) {
    daemon_.reset();
    Answer([sessions](const v1::Request& request) -> Result<v1::Response> {
      v1::Response response;
      if (request.has_list_sessions()) {
        for (const std::string& id : sessions) {
          auto& list = *response.mutable_list_sessions();
          list.add_sessions()->set_session_id(id);
          list.mutable_sessions()->rbegin()->set_executable("/bin/agent");
          *list.add_pending() = Pending(id);
        }
      } else if (request.has_approve()) {
        *response.mutable_approve()->mutable_decided() =
            Pending(request.approve().session_id());
        if (request.approve().approve()) {
          response.mutable_approve()->set_reference("ref");
        }
      }
      return response;
    });
  }
  // Answers the first request to act with approval_required, and to the Watch
  // before it that `kind` happened.
  void Word(const std::string& kind) {
    daemon_.reset();
    Answer([kind, asked = 0](
               const v1::Request& request) mutable -> Result<v1::Response> {
      v1::Response response;
      if (request.has_watch()) {
        v1::WatchEvent& event = *response.mutable_event();
        event.set_kind(kind);
        *event.mutable_approval() = Pending();
        if (kind == "session_end") {
          event.clear_approval();
          event.mutable_session()->set_session_id(SessionBytes());
          event.mutable_session()->set_end_reason("client_closed");
        }
        return response;
      }
      v1::AuthorizeResponse& answer = *response.mutable_authorize();
      answer.set_decision(++asked == 1 ? "approval_required" : "permit");
      answer.set_approval_grade("prompt");
      answer.set_request_digest(kDigest);
      return response;
    });
  }
  Ran Authorize(const std::string& wait_s) {
    return Cli({"authorize", "--session", kSession, "--name", "a:b",
                "--resource", "x:y", "--purpose", "test", "--wait-approval",
                wait_s});
  }
  size_t Asked(v1::Request::VerbCase verb) {
    size_t count = 0;
    for (const auto& asked : daemon_->asked()) {
      count += asked.request.verb_case() == verb ? 1 : 0;
    }
    return count;
  }
};

TEST_F(ApproveTest, ListsWhatWaits) {
  Wait({});
  EXPECT_THAT(Cli({"approve"}).err, HasSubstr("No action of yours waits"));
  Wait({SessionBytes()});
  const Ran plain = Cli({"approve"});
  EXPECT_EQ(plain.exit_code, 0);
  EXPECT_THAT(plain.out, HasSubstr("/bin/agent"));
  EXPECT_THAT(plain.out, HasSubstr("http:DELETE"));
  EXPECT_THAT(plain.out, HasSubstr("https://a.example/1"));
  EXPECT_THAT(plain.out, HasSubstr(Hex(kDigest)));
  EXPECT_THAT(plain.out, Not(HasSubstr("\x1b[2J")));
  const json machine = json::parse(Cli({"approve", "--json"}).out);
  EXPECT_EQ(machine.at("pending").at(0).at("request_digest"), Hex(kDigest));
  EXPECT_EQ(Asked(v1::Request::kApprove), 0u);
}

TEST_F(ApproveTest, SaysYesOrNoToExactlyThatRequest) {
  for (const bool yes : {true, false}) {
    Wait({SessionBytes()});
    const Ran ran =
        Cli({"approve", Hex(kDigest), yes ? "--yes" : "--deny", "--json"});
    EXPECT_EQ(ran.exit_code, 0) << ran.out;
    EXPECT_EQ(json::parse(ran.out).at("approved"), yes);
    EXPECT_EQ(json::parse(ran.out).at("reference"), yes ? "ref" : "");
    const v1::ApproveRequest sent = daemon_->asked().back().request.approve();
    EXPECT_EQ(sent.session_id(), SessionBytes());
    EXPECT_EQ(sent.request_digest(), kDigest);
    EXPECT_EQ(sent.approve(), yes);
  }
}

TEST_F(ApproveTest, AsksOnlyAtATerminal) {
  Wait({SessionBytes()});
  EXPECT_EQ(Cli({"approve", Hex(kDigest)}).exit_code, 2);
  EXPECT_EQ(Asked(v1::Request::kApprove), 0u);
}

TEST_F(ApproveTest, RefusesWhatItCannotName) {
  Wait({SessionBytes(), kOtherSession});
  const Ran two = Cli({"approve", Hex(kDigest), "--yes"});
  EXPECT_EQ(two.exit_code, 2);
  EXPECT_THAT(two.err, HasSubstr("--session"));
  for (const std::string& digest : {kSession, Hex(std::string(32, 'x'))}) {
    EXPECT_EQ(Cli({"approve", digest, "--yes"}).exit_code, 2) << digest;
  }
  EXPECT_EQ(Asked(v1::Request::kApprove), 0u);
  EXPECT_EQ(
      Cli({"approve", Hex(kDigest), "--yes", "--session", Hex(kOtherSession)})
          .exit_code,
      0);
  EXPECT_EQ(daemon_->asked().back().request.approve().session_id(),
            kOtherSession);
}

TEST_F(ApproveTest, AuthorizeAsksAgainOnceApproved) {
  Word("approval_given");
  const Ran ran = Authorize("20");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("countersign approve " + Hex(kDigest)));
  EXPECT_THAT(ran.err, HasSubstr("'prompt' was given"));
  EXPECT_EQ(Asked(v1::Request::kAuthorize), 2u);
}

TEST_F(ApproveTest, AuthorizeEndsWithTheUsersNo) {
  Word("approval_refused");
  const Ran ran = Authorize("20");
  EXPECT_EQ(ran.exit_code, 10);
  EXPECT_THAT(ran.err, HasSubstr("The user refused"));
  EXPECT_EQ(Asked(v1::Request::kAuthorize), 1u);
}

TEST_F(ApproveTest, AuthorizeEndsWithItsSession) {
  Word("session_end");
  EXPECT_EQ(Authorize("20").exit_code, 12);
}

TEST_F(ApproveTest, AuthorizeWaitsNoLongerThanItIsTold) {
  Word("approval_asked");
  EXPECT_EQ(Authorize("1").exit_code, 11);
  EXPECT_EQ(Asked(v1::Request::kAuthorize), 1u);
  EXPECT_EQ(Authorize("121").exit_code, 2);
}

TEST_F(ApproveTest, AuthorizeSaysHowToApprove) {
  Word("");
  const Ran ran = Authorize("0");
  EXPECT_EQ(ran.exit_code, 11);
  EXPECT_THAT(ran.err, HasSubstr("countersign approve " + Hex(kDigest)));
  EXPECT_EQ(Asked(v1::Request::kWatch), 0u);
}

}  // namespace
}  // namespace countersign::agent
