#include "attest/authz/policy/decision_point.h"

#include "attest/authz/files.h"
#include "attest/authz/policy/decision_answer.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

using Style = DecisionPointConfig::Style;

constexpr size_t kMaxToken = 16 * 1024;
constexpr std::string_view kEvaluation = "/access/v1/evaluation";
constexpr char kEvaluations[] = "/access/v1/evaluations";
constexpr std::string_view kMetadata = "/.well-known/authzen-configuration";

Error Unreachable(std::string why) {
  return {ErrorCode::kDecisionPointUnreachable, std::move(why)};
}

std::string Whole(const Question& question) {
  std::string request = "{\"subject\":";
  request.append(question.subject).append(",").append(question.rest);
  return request + "}";
}

// All of one subject, which stands once.
std::string Batch(std::span<const Question> questions) {
  std::string body = "{\"subject\":";
  body.append(questions.front().subject).append(",\"evaluations\":[");
  for (const Question& question : questions) {
    if (&question != &questions.front()) body += ",";
    body.append("{").append(question.rest).append("}");
  }
  return body + "]}";
}

// Decision points tell subjects apart by their id, so that two sessions of
// one user never share a request.
size_t LengthOfRun(std::span<const Question> questions, size_t most) {
  size_t length = 1;
  while (length < questions.size() && length < most &&
         questions[length].session == questions.front().session) {
    ++length;
  }
  return length;
}

Result<std::string> Authorization(const std::string& token_file) {
  if (token_file.empty()) return std::string();
  CS_ASSIGN_OR_RETURN(std::string token,
                      ReadTrustedFile(token_file, kMaxToken));
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) {
    token.pop_back();
  }
  return "Authorization: Bearer " + token;
}

}  // namespace

std::optional<Error> Circuit::Refusal(int64_t monotonic_ms) {
  const std::lock_guard lock(mutex_);
  if (!last_) return std::nullopt;
  if (monotonic_ms < retry_ms_) {
    return Unreachable("not asked again yet: " + last_->detail);
  }
  retry_ms_ = monotonic_ms + kPauseMs;  // This one tries, the others wait.
  return std::nullopt;
}

void Circuit::Succeeded() {
  const std::lock_guard lock(mutex_);
  last_.reset();
}

void Circuit::Failed(int64_t monotonic_ms, const Error& error) {
  const std::lock_guard lock(mutex_);
  last_ = error;
  retry_ms_ = monotonic_ms + kPauseMs;
}

Result<std::unique_ptr<DecisionPoint>> DecisionPoint::Create(
    const DecisionPointConfig& config, const Clock& clock) {
  if (!IsServerUrl(config.url)) {
    return Fail(ErrorCode::kConfigInvalid,
                "decision_point.url must be https://, or http:// on loopback");
  }
  CS_ASSIGN_OR_RETURN(std::string authorization,
                      Authorization(config.token_file));
  const std::chrono::milliseconds timeout(config.timeout_ms);
  CS_ASSIGN_OR_RETURN(auto client,
                      HttpClient::Create({.ca_file = config.ca_file,
                                          .connect_timeout = timeout,
                                          .timeout = timeout,
                                          .max_answer = kMaxDecisionAnswer}));
  DecisionPointConfig kept = config;
  while (kept.url.ends_with('/')) kept.url.pop_back();
  return std::unique_ptr<DecisionPoint>(new DecisionPoint(
      std::move(kept), std::move(client), std::move(authorization), clock));
}

DecisionPoint::DecisionPoint(DecisionPointConfig config,
                             std::unique_ptr<HttpClient> client,
                             std::string authorization, const Clock& clock)
    : config_(std::move(config)),
      client_(std::move(client)),
      authorization_(std::move(authorization)),
      clock_(clock) {}

std::vector<Verdict> DecisionPoint::Decide(
    std::span<const Question> questions) {
  const int64_t end_ms = clock_.MonotonicMs() + kMaxWaitMs;
  std::vector<Verdict> verdicts;
  verdicts.reserve(questions.size());
  while (verdicts.size() < questions.size()) {
    const auto left = questions.subspan(verdicts.size());
    size_t asked = 1;
    Result<std::vector<Verdict>> answered =
        tl::unexpected<Error>(Unreachable("there was no time left to ask"));
    if (clock_.MonotonicMs() <= end_ms) answered = Ask(left, &asked);
    if (answered) {
      for (Verdict& one : *answered) verdicts.push_back(std::move(one));
      continue;
    }
    Verdict denial;
    denial.decision.reason = answered.error().code;
    denial.decision.detail = answered.error().detail;
    verdicts.insert(verdicts.end(), asked, denial);
  }
  return verdicts;
}

Result<std::vector<Verdict>> DecisionPoint::Ask(
    std::span<const Question> questions, size_t* asked) {
  if (auto error = circuit_.Refusal(clock_.MonotonicMs())) {
    return tl::unexpected<Error>(*std::move(error));
  }
  AnswerShape shape = AnswerShape::kEvaluation;
  size_t count = 1;
  std::string url = config_.url;
  std::string body;
  if (config_.style == Style::kOpa) {
    shape = AnswerShape::kOpaResult;
    body = "{\"input\":" + Whole(questions.front()) + "}";
  } else {
    count = config_.batch ? LengthOfRun(questions, kMaxBatch) : 1;
    std::string batch_url;
    if (count > 1) {
      CS_ASSIGN_OR_RETURN(batch_url, BatchUrl());
    }
    if (batch_url.empty()) {
      count = 1;
      url += kEvaluation;
      body = Whole(questions.front());
    } else {
      shape = AnswerShape::kEvaluations;
      url = std::move(batch_url);
      body = Batch(questions.first(count));
    }
  }
  *asked = count;
  CS_ASSIGN_OR_RETURN(const HttpReply reply,
                      Send(std::move(url), std::move(body)));
  if (reply.status != 200) {
    return Fail(ErrorCode::kDecisionPointAnswer,
                "HTTP status " + std::to_string(reply.status));
  }
  return ReadDecisionAnswer(reply.body, shape, count);
}

Result<HttpReply> DecisionPoint::Send(std::string url, std::string body) {
  HttpCall call{.url = std::move(url), .body = std::move(body)};
  if (!call.body.empty()) call.content_type = "application/json";
  if (!authorization_.empty()) call.headers.push_back(authorization_);
  Result<HttpReply> reply = client_->Send(call);
  if (reply && reply->status < 500) {
    circuit_.Succeeded();
    return reply;
  }
  if (!reply && reply.error().code == ErrorCode::kTooLarge) {
    circuit_.Succeeded();
    return Fail(ErrorCode::kDecisionPointAnswer, "larger than allowed");
  }
  const Error error =
      Unreachable(reply ? "HTTP status " + std::to_string(reply->status)
                        : std::string(Name(reply.error().code)) + ": " +
                              Printable(reply.error().detail));
  circuit_.Failed(clock_.MonotonicMs(), error);
  return tl::unexpected<Error>(error);
}

Result<std::string> DecisionPoint::BatchUrl() {
  {
    const std::lock_guard lock(mutex_);
    if (batch_url_) return *batch_url_;
  }
  // The well-known URI is that of the host (AuthZEN 1.0 §9.2).
  const std::string origin(OriginOf(config_.url));
  CS_ASSIGN_OR_RETURN(
      const HttpReply reply,
      Send(origin + std::string(kMetadata) + config_.url.substr(origin.size()),
           {}));
  std::string url;
  if (reply.status == 200) {
    CS_ASSIGN_OR_RETURN(url, ReadBatchEndpoint(reply.body));
  }
  // Nobody but the configured server is asked, whatever it says: it may know
  // itself by another name.
  if (!url.empty() && OriginOf(url) != origin) url = config_.url + kEvaluations;
  const std::lock_guard lock(mutex_);
  batch_url_ = url;
  return url;
}

}  // namespace countersign::authz
