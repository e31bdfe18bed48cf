// An external decision point: AuthZEN 1.0 over HTTP (access evaluation, and
// evaluations where its metadata offers them), or the data API of Open Policy
// Agent, which takes {"input": request} and answers {"result": …}.
//
// Never permits what it did not answer: one that is down, slow, refuses or
// answers garbage leads to denials that say which. While it is down requests
// are not held up for a timeout each: after a failure to reach it nothing is
// sent for one second, then one request tries.
//
// The point sees user, workload, device, action, resource and purpose, no
// token and no evidence. Its answer is hostile. Thread-safe.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECISION_POINT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECISION_POINT_H_

#include <mutex>
#include <optional>
#include <string>

#include "attest/authz/http_client.h"
#include "attest/authz/policy/decider.h"
#include "attest/base/clock.h"

namespace countersign::authz {

struct DecisionPointConfig {
  // AuthZEN: the base, to which /access/v1/… is added. OPA: the whole URL of
  // the decision, ".../v1/data/countersign/decision". Empty: none is asked.
  std::string url;
  enum class Style : uint8_t { kAuthzen, kOpa } style = Style::kAuthzen;
  bool batch = true;       // Where it is offered.
  std::string ca_file;     // PEM; empty: the system's.
  std::string token_file;  // A bearer token; empty: none.
  int timeout_ms = 2000;   // Of one request.
};

// Keeps callers away from what was just seen to be down.
class Circuit {
 public:
  static constexpr int64_t kPauseMs = 1000;

  // The error to give at once, or nothing: then the caller goes on, and says
  // how it went.
  [[nodiscard]] std::optional<Error> Refusal(int64_t monotonic_ms);
  void Succeeded();
  void Failed(int64_t monotonic_ms, const Error& error);

 private:
  std::mutex mutex_;
  std::optional<Error> last_;
  int64_t retry_ms_ = 0;
};

class DecisionPoint final : public Decider {
 public:
  // Of one session's questions in one request: what decision points take.
  static constexpr size_t kMaxBatch = 50;
  // For all questions of one call: the agent waits for them.
  static constexpr int64_t kMaxWaitMs = 10'000;

  //   kConfigInvalid  the URL is none (IsServerUrl), or ca_file is not right
  //   kIoError, kUnsafePath   token_file
  [[nodiscard]] static Result<std::unique_ptr<DecisionPoint>> Create(
      const DecisionPointConfig& config, const Clock& clock);

  // Denials are, with words in `detail`:
  //   kDecisionPointDenied       it said so
  //   kDecisionPointUnreachable  no whole answer in time, or not asked since
  //                              the last attempt just failed
  //   kDecisionPointAnswer       a status other than 200, or ReadDecisionAnswer
  [[nodiscard]] std::vector<Verdict> Decide(
      std::span<const Question> questions) override;

 private:
  DecisionPoint(DecisionPointConfig config, std::unique_ptr<HttpClient> client,
                std::string authorization, const Clock& clock);

  // As many of them as one request can ask: one, or several of one session.
  // `asked` says how many, also with an error.
  [[nodiscard]] Result<std::vector<Verdict>> Ask(
      std::span<const Question> questions, size_t* asked);
  [[nodiscard]] Result<HttpReply> Send(std::string url, std::string body);
  // Empty: batches are not offered. Asks for the metadata once.
  [[nodiscard]] Result<std::string> BatchUrl();

  const DecisionPointConfig config_;
  const std::unique_ptr<HttpClient> client_;
  const std::string authorization_;  // Header field, or empty.
  const Clock& clock_;
  Circuit circuit_;
  std::mutex mutex_;
  std::optional<std::string> batch_url_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_POLICY_DECISION_POINT_H_
