// A small authorization service for the daemon's tests: real keys, real
// MakeCredential, real signed answers, and the checks on which the daemon's
// conduct depends (chain, root, quote, clock order). It answers as the real
// one does, or fails in the way that a test asks for. Thread-safe.
#ifndef COUNTERSIGN_TESTS_AGENT_DAEMON_TEST_SERVICE_H_
#define COUNTERSIGN_TESTS_AGENT_DAEMON_TEST_SERVICE_H_

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "attest/jose/es256.h"
#include "attest/tpm/public_area.h"
#include "attest/tpm/quote.h"
#include "countersign/v1/service.pb.h"
#include "countersign/v1/statements.pb.h"
#include "countersign/v1/uplink.pb.h"

namespace countersign::agent {

class TestService {
 public:
  // What to do with requests to paths that begin with a prefix.
  enum class Mode {
    kAnswer,
    kUnreachable,  // No answer came: HTTP status 0.
    kLoseAnswer,   // Carries it out, and the answer is lost.
    kSilent,       // Nothing at all, not even from the uplink.
    kHtml,         // A captive portal: HTTP 200.
    kGarbage,      // Random bytes.
    kForged,       // Signed by another key.
    kReplayed,     // Signed by the service, for another request.
    kRefuse,       // A signed refusal: see `refusal`.
  };

  // One accepted batch.
  struct Accepted {
    std::string journal_id;
    v1::ActionBatch batch;
    std::vector<v1::Action> actions;
    bool late = false;
  };

  static constexpr char kIssuer[] = "https://authz.test";

  TestService();

  [[nodiscard]] std::string token() const;
  [[nodiscard]] std::string jwks() const;

  // Applies to the next `times` requests below `path` (-1: until changed).
  void Set(Mode mode, std::string path, int times = -1);
  void SetRefusal(ErrorCode code, uint32_t retry_after_s);
  // Answers below `path` wait until they are released.
  void Hold(std::string path);
  void Release();
  // The next lease of this session says that it has ended.
  void EndSession(const std::string& session_id, const std::string& why);
  void RevokeDevice();
  // From now on sessions come with an event token, and requests for events
  // wait until a session has ended or the device is revoked (or Release).
  void PushEvents();
  // Restores a backup: forgets the last `count` batches.
  void ForgetBatches(size_t count);
  void set_lease_s(uint32_t lease_s);
  void set_clock_ahead_s(int64_t seconds);

  // Nothing: kSilent.
  [[nodiscard]] std::optional<v1::UplinkResponse> Handle(
      const v1::UplinkRequest& request);

  [[nodiscard]] std::vector<Accepted> accepted() const;
  // All actions of all journals, in order of acceptance.
  [[nodiscard]] std::vector<v1::Action> actions() const;
  // Reasons of the ends that were told, by session binding digest.
  [[nodiscard]] std::vector<std::string> session_ends() const;
  [[nodiscard]] int requests(const std::string& path) const;
  [[nodiscard]] size_t sessions() const;
  [[nodiscard]] v1::SessionBinding last_binding() const;
  // Anything that no honest agent would have sent, in words.
  [[nodiscard]] std::vector<std::string> complaints() const;

 private:
  struct Journal {
    uint64_t next_batch = 0;
    uint64_t next_action = 0;
    std::string last_digest = std::string(32, '\0');
  };
  struct BoundSession {
    v1::SessionBinding binding;
    std::string ended;
  };

  [[nodiscard]] Result<std::string> Answer(const v1::UplinkRequest& request,
                                           std::string* kind);
  [[nodiscard]] Result<std::string> Enroll(const std::string& body);
  [[nodiscard]] Result<std::string> Activate(const std::string& body);
  [[nodiscard]] Result<std::string> Challenge(const std::string& body);
  [[nodiscard]] Result<std::string> Bind(const std::string& body);
  [[nodiscard]] Result<std::string> Decide(const std::string& body);
  [[nodiscard]] Result<std::string> Events(const std::string& body);
  [[nodiscard]] Status CheckQuote(const v1::Statement& statement,
                                  const v1::TpmQuote& quote,
                                  const Sha256Digest& digest, bool in_order);
  [[nodiscard]] v1::ActionDecision DecideOne(const v1::Action& action,
                                             bool late, uint64_t index);
  [[nodiscard]] std::string Grant(const v1::ActionRequest& request,
                                  const BoundSession& session);
  [[nodiscard]] v1::Lease LeaseOf(const std::string& session_id);
  [[nodiscard]] v1::UplinkResponse Sign(const v1::UplinkRequest& request,
                                        const jose::Es256Key& key,
                                        const Result<std::string>& payload,
                                        const std::string& kind,
                                        const std::string& request_bytes);
  [[nodiscard]] int64_t NowS() const;
  void Complain(const std::string& what) { complaints_.push_back(what); }

  mutable std::mutex mutex_;
  std::condition_variable released_;
  const jose::Es256Key key_;
  const jose::Es256Key other_key_;

  Mode mode_ = Mode::kAnswer;
  std::string mode_path_;
  int mode_left_ = -1;
  ErrorCode refusal_ = ErrorCode::kBusy;
  uint32_t retry_after_s_ = 0;
  std::string held_path_;
  uint32_t lease_s_ = 120;
  int64_t ahead_s_ = 0;
  bool revoked_ = false;
  std::string event_token_;        // Empty: none is given.
  std::vector<v1::Lease> untold_;  // Ends that no request was told of.
  int releases_ = 0;

  std::string enrollment_id_;
  std::string enrollment_nonce_;
  Bytes secret_;
  v1::EnrollmentRequest enrollment_;
  std::optional<v1::DeviceRecord> device_;
  std::optional<tpm::PublicArea> ak_;
  tpm::TpmClock last_clock_;
  std::string tokens_spent_on_;

  std::set<std::string> nonces_;
  std::set<std::string> epochs_;
  std::map<std::string, BoundSession> sessions_;  // By binding digest.
  std::string last_binding_;
  std::map<std::string, Journal> journals_;
  std::map<std::string, std::string> answers_;  // By batch digest.
  std::vector<Accepted> accepted_;
  std::map<std::string, int> requests_;
  std::vector<std::string> complaints_;
  uint64_t ledger_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_TESTS_AGENT_DAEMON_TEST_SERVICE_H_
