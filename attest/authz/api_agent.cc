// The endpoints that agents and relying parties call.
#include "attest/authz/api.h"
#include "attest/authz/bind_session.h"
#include "attest/authz/challenge_store.h"
#include "attest/authz/error_info.h"
#include "attest/authz/events.h"
#include "attest/authz/receipts.h"
#include "attest/base/digest.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/statement.h"

namespace countersign::authz {
namespace {

constexpr size_t kDeviceIdSize = 16;
constexpr size_t kEnrollmentIdSize = 16;

// Whom an answer is addressed to: the device that the request speaks for. It
// may be made up; the answer is then bound to a request of nobody's.
std::string AudienceOf(const std::string& device_id) {
  if (device_id.size() != kDeviceIdSize) return {};
  return ToHex(AsBytes(device_id));
}

template <typename S>
std::string AudienceIn(const v1::Statement& statement, size_t max_size) {
  const auto parsed =
      statement::ParseStatement<S>(AsBytes(statement.body()), max_size);
  return parsed ? AudienceOf(parsed->device_id()) : std::string();
}

template <typename M>
Result<std::string> Serialized(const Result<M>& message) {
  if (!message) return tl::unexpected<Error>(message.error());
  return message->SerializeAsString();
}

}  // namespace

Response Api::PostEnrollment(const Request& request) {
  v1::EnrollmentRequest body;
  return Agent(request, jose::kKindEnrollment, body, [&](Answer& answer) {
    answer.retry_after_s =
        enrollments_.Take(request.remote_address, service_.clock.MonotonicMs());
    if (answer.retry_after_s > 0) {
      answer.payload = Fail(ErrorCode::kRateLimited);
      return;
    }
    answer.payload = Serialized(enroller_.Begin(body, *admission()));
  });
}

Response Api::PostActivation(const Request& request, std::string_view id) {
  v1::ActivationRequest body;
  return Agent(request, jose::kKindDeviceRecord, body, [&](Answer& answer) {
    answer.retry_after_s =
        enrollments_.Take(request.remote_address, service_.clock.MonotonicMs());
    if (answer.retry_after_s > 0) {
      answer.payload = Fail(ErrorCode::kRateLimited);
      return;
    }
    const Result<Bytes> enrollment_id = FromHex(id);
    if (!enrollment_id || enrollment_id->size() != kEnrollmentIdSize) {
      answer.payload = Fail(ErrorCode::kEnrollmentUnknown);
      return;
    }
    // A device has no id to be addressed by before it has this record.
    answer.payload = enroller_.Activate(*enrollment_id, body, *admission());
  });
}

Response Api::PostChallenge(const Request& request) {
  v1::ChallengeRequest body;
  return Agent(request, jose::kKindChallenge, body, [&](Answer& answer) {
    answer.audience = AudienceOf(body.device_id());
    answer.payload = Serialized(IssueChallenge(
        service_, body, {request.remote_address, request.tls_exporter}));
  });
}

Response Api::PostSession(const Request& request) {
  v1::SessionEvidence body;
  return Agent(request, jose::kKindSession, body, [&](Answer& answer) {
    answer.audience = AudienceIn<v1::SessionBinding>(
        body.statement(), statement::kMaxSessionBindingSize);
    answer.payload =
        Serialized(BindSession(service_, findings_, body,
                               {request.remote_address, request.tls_exporter}));
  });
}

Response Api::PostActions(const Request& request) {
  v1::BatchEvidence body;
  return Agent(request, jose::kKindDecisions, body, [&](Answer& answer) {
    answer.audience = AudienceIn<v1::ActionBatch>(
        body.statement(), statement::kMaxActionBatchSize);
    Result<BatchOutcome> outcome = authorizer_.Authorize(body);
    if (!outcome) {
      answer.payload = tl::unexpected<Error>(outcome.error());
      return;
    }
    if (outcome->refused) {
      const uint32_t retry_after_s = outcome->answer.error().retry_after_s();
      v1::ErrorInfo& error = *outcome->answer.mutable_error();
      error = ErrorInfoOf(*outcome->refused);
      error.set_retry_after_s(retry_after_s);
      answer.retry_after_s = static_cast<int>(retry_after_s);
      answer.status = HttpStatus(outcome->refused->code);
      if (retry_after_s > 0) {
        answer.payload = tl::unexpected<Error>(*outcome->refused);
        return;
      }
    }
    answer.payload = outcome->answer.SerializeAsString();
  });
}

Response Api::PostEvents(const Request& request) {
  v1::EventsRequest body;
  return Agent(request, jose::kKindEvents, body, [&](Answer& answer) {
    answer.audience = AudienceOf(body.device_id());
    const Result<v1::EventsAnswer> events = EventsOf(service_, body);
    if (events && events->ended().empty() && !request.waited) {
      answer.wait = Wait{EventTopic(AsBytes(body.device_id())), kEventWait};
      return;
    }
    answer.payload = Serialized(events);
  });
}

Response Api::PostReceipt(const Request& request) {
  const Result<Format> format = FormatOf(request);
  v1::ReceiptVerifyRequest body;
  if (!format) return ProblemResponse(format.error(), 415);
  const Status parsed = ParseBody(request.body, *format, body);
  if (!parsed) return ProblemResponse(parsed.error());
  const auto answer = VerifyReceipt(service_, body);
  if (!answer) return ProblemResponse(answer.error());
  return MessageResponse(*answer, *format, 200);
}

}  // namespace countersign::authz
