#include "agent/cli/approval_wait.h"

#include <set>

namespace countersign::agent {
namespace {

using SteadyClock = std::chrono::steady_clock;

Client::Timeout Left(SteadyClock::time_point deadline) {
  return std::max(Client::Timeout(0),
                  std::chrono::duration_cast<Client::Timeout>(
                      deadline - SteadyClock::now()));
}

// One connection that asks and, from before it asks, watches: no word is
// missed in between.
class Waiter {
 public:
  Waiter(Client client, const Context& context, std::string session)
      : client_(std::move(client)),
        context_(context),
        session_(std::move(session)) {}

  Status Watch() {
    v1::Request watch;
    watch.mutable_watch();
    CS_ASSIGN_OR_RETURN(watch_id_,
                        client_.Send(std::move(watch), kQuickTimeout));
    return {};
  }

  Result<v1::AuthorizeResponse> Ask(const v1::Request& request) {
    given_.clear();
    CS_ASSIGN_OR_RETURN(const uint64_t id,
                        client_.Send(request, kActionTimeout));
    const auto deadline = SteadyClock::now() + kActionTimeout;
    while (true) {
      CS_ASSIGN_OR_RETURN(const v1::Response response,
                          client_.Receive(Left(deadline)));
      if (response.request_id() == id) {
        if (response.has_error()) {
          return tl::unexpected(FromErrorInfo(response.error()));
        }
        return response.authorize();
      }
      Note(response);
    }
  }

  // True once `digest` was approved; false if no word came in time.
  Result<bool> WaitFor(const std::string& digest,
                       SteadyClock::time_point deadline) {
    context_.output.Note("Waiting for approval from another terminal: " +
                         ("countersign approve " + ToHex(AsBytes(digest))));
    while (true) {
      if (given_.contains(digest)) return true;
      if (refused_.contains(digest)) return Fail(ErrorCode::kApprovalRefused);
      if (!end_reason_.empty()) {
        return Fail(ErrorCode::kSessionEnded, "it ended with: " + end_reason_);
      }
      const auto response = client_.Receive(Left(deadline));
      if (response.has_value()) {
        Note(*response);
      } else if (response.error().code == ErrorCode::kTimeout) {
        return false;
      } else {
        return tl::unexpected(response.error());
      }
    }
  }

 private:
  void Note(const v1::Response& response) {
    if (response.request_id() != watch_id_ || !response.has_event()) return;
    const v1::WatchEvent& event = response.event();
    const v1::PendingApproval& approval = event.approval();
    if (event.kind() == "session_end" &&
        event.session().session_id() == session_) {
      end_reason_ = event.session().end_reason();
    }
    if (approval.session_id() != session_) return;
    if (event.kind() == "approval_given") {
      given_.insert(approval.request_digest());
    } else if (event.kind() == "approval_refused") {
      refused_.insert(approval.request_digest());
    }
  }

  Client client_;
  const Context& context_;
  const std::string session_;
  uint64_t watch_id_ = 0;
  std::set<std::string> given_;  // Since it was asked last.
  std::set<std::string> refused_;
  std::string end_reason_;
};

bool CanBeGivenHere(const v1::AuthorizeResponse& answer) {
  return answer.decision() == "approval_required" &&
         answer.approval_grade() == "prompt";
}

}  // namespace

Result<v1::AuthorizeResponse> AuthorizeOnceApproved(const Context& context,
                                                    const v1::Request& request,
                                                    std::chrono::seconds wait) {
  CS_ASSIGN_OR_RETURN(Client client, context.Connect());
  Waiter waiter(std::move(client), context, request.authorize().session_id());
  if (wait.count() > 0) CS_RETURN_IF_ERROR(waiter.Watch());
  CS_ASSIGN_OR_RETURN(v1::AuthorizeResponse answer, waiter.Ask(request));
  const auto deadline = SteadyClock::now() + wait;
  while (wait.count() > 0 && CanBeGivenHere(answer)) {
    CS_ASSIGN_OR_RETURN(const bool approved,
                        waiter.WaitFor(answer.request_digest(), deadline));
    if (!approved) break;
    CS_ASSIGN_OR_RETURN(answer, waiter.Ask(request));
  }
  return answer;
}

}  // namespace countersign::agent
