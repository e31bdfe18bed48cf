// The service's HTTP API: parses bodies, hands them to the coordinators and
// signs what they answer. It decides nothing itself.
//
// What goes to an agent, refusals too, is a ServiceSigned bound to the bytes
// of its request, so that nothing on the way can make or swap an answer.
// Callers that speak JSON get problem details instead of signed refusals.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_API_H_
#define COUNTERSIGN_ATTEST_AUTHZ_API_H_

#include <google/protobuf/message.h>

#include <memory>
#include <mutex>

#include "attest/authz/authorize.h"
#include "attest/authz/ek_admission.h"
#include "attest/authz/enroll.h"
#include "attest/authz/oauth/status_list.h"
#include "attest/authz/router.h"
#include "attest/authz/wire.h"

namespace countersign::authz {

class Api final : public RequestHandler {
 public:
  Api(const Service& service, EkAdmission admission);

  [[nodiscard]] size_t MaxBody(std::string_view method,
                               std::string_view path) const override;
  [[nodiscard]] Response Handle(const Request& request) override;
  [[nodiscard]] Response Refusal(int status) const override;

  [[nodiscard]] std::span<const Route> routes() const {
    return router_.routes();
  }
  // For SIGHUP. Requests under way finish with the one they began with.
  void ReplaceAdmission(EkAdmission admission);

 private:
  // What a coordinator came to, before it is signed. A refusal may carry a
  // signed message of the answer's own kind (`payload`) instead of the error.
  struct Answer {
    std::string_view kind;
    std::string audience;  // Of whoever asks: device_id in hex, or "".
    Result<std::string> payload;
    int status = 200;
    int retry_after_s = 0;
    std::optional<Wait> wait = std::nullopt;  // Nothing to answer yet.
  };

  [[nodiscard]] std::vector<Route> Routes();
  [[nodiscard]] Response Dispatch(const Request& request);
  [[nodiscard]] Status Authenticate(const Route& route, const Request& request);
  [[nodiscard]] Response SignedResponse(const Request& request, Format format,
                                        Answer answer);
  // Parses the body into `message`, then signs what `work` answers.
  [[nodiscard]] Response Agent(const Request& request, std::string_view kind,
                               google::protobuf::Message& message,
                               const std::function<void(Answer&)>& work);

  [[nodiscard]] Response PostEnrollment(const Request& request);
  [[nodiscard]] Response PostActivation(const Request& request,
                                        std::string_view id);
  [[nodiscard]] Response PostChallenge(const Request& request);
  [[nodiscard]] Response PostSession(const Request& request);
  [[nodiscard]] Response PostLoginEvidence(const Request& request);
  [[nodiscard]] Response PostLoginPoll(const Request& request);
  [[nodiscard]] Response PostBackchannelLogout(const Request& request);
  [[nodiscard]] Response PostActions(const Request& request);
  [[nodiscard]] Response PostEvents(const Request& request);
  [[nodiscard]] Response PostReceipt(const Request& request);
  [[nodiscard]] Response GetDevices(const Request& request);
  [[nodiscard]] Response GetDevice(std::string_view id);
  [[nodiscard]] Response PostRevoke(const Request& request,
                                    std::string_view id);
  [[nodiscard]] Response GetKeys() const;
  [[nodiscard]] Response GetCheckpoint();
  [[nodiscard]] Response GetTile(std::string_view path);
  [[nodiscard]] Response GetHealth();

  [[nodiscard]] std::shared_ptr<const EkAdmission> admission() const;

  const Service service_;
  Findings findings_;
  Enroller enroller_;
  Authorizer authorizer_;
  RateLimiter requests_;
  RateLimiter enrollments_;
  StatusLists status_lists_;
  const Router router_;
  mutable std::mutex admission_mutex_;
  std::shared_ptr<const EkAdmission> admission_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_API_H_
