// The whole service but for HTTP, in one process on a fresh store, with a
// clock that tests move, and laptops that speak to it with real evidence.
#ifndef COUNTERSIGN_TESTS_ATTEST_AUTHZ_SERVICE_RIG_H_
#define COUNTERSIGN_TESTS_ATTEST_AUTHZ_SERVICE_RIG_H_

#include <atomic>
#include <filesystem>
#include <memory>

#include "attest/authz/api.h"
#include "attest/authz/events.h"
#include "attest/authz/storage/sqlite_store.h"
#include "attest/ledger/audit.h"
#include "tests/attest/verifier/evidence.h"

namespace countersign::authz {

class FakeClock final : public Clock {
 public:
  [[nodiscard]] int64_t NowMs() const override { return now_ms; }
  [[nodiscard]] int64_t MonotonicMs() const override { return monotonic_ms; }
  void Advance(int64_t ms) {
    now_ms += ms;
    monotonic_ms += ms;
  }
  std::atomic<int64_t> now_ms{1'750'000'000'000};
  std::atomic<int64_t> monotonic_ms{1'000'000};
};

// A folder that goes away with the test.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] std::string Path(const std::string& name) const {
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

// Permits "http:POST" below https://api.example to uid 1000 on anything, asks
// for approval of "http:DELETE", denies the rest.
inline constexpr char kRules[] = R"(
[[rule]]
name = "post-orders"
outcome = "permit"
action = ["http:POST"]
resource = ["https://api.example/*"]
grant_ttl_s = 120
audiences = ["https://api.example"]
[rule.user]
uid = ["1000"]
[rule.workload]
executable = ["/usr/bin/agent"]
grade = "kernel"

[[rule]]
name = "delete-orders"
outcome = "approval_required"
action = ["http:DELETE"]
[rule.user]
uid = ["1000"]
)";

struct RigOptions {
  EkPolicy ek_policy = EkPolicy::kFirstUse;
  std::string rules = kRules;
  std::vector<std::pair<std::string, Bytes>> ek_roots = {};  // File name, DER.
  std::string allow_list = {};
  bool require_channel_binding = true;
};

class ServiceRig {
 public:
  explicit ServiceRig(const RigOptions& options = {});

  // A token as `token create` makes it.
  std::string NewToken(int64_t uses = 1, int64_t ttl_s = 3600);
  std::string NewAdminToken(int64_t ttl_s = 3600);
  void SetRules(const std::string& rules);

  // All entries of the ledger; the whole ledger is verified first.
  std::vector<v1::LedgerEntry> Ledger();
  [[nodiscard]] v1::LedgerEntry LastEntry() { return Ledger().back(); }
  [[nodiscard]] size_t LedgerSize() { return Ledger().size(); }

  // Reads one thing, which must not fail.
  template <typename Read>
  auto Look(Read read) {
    decltype(read(std::declval<StoreView&>()).value()) value{};
    const Status status = store->Read([&](StoreView& view) -> Status {
      CS_ASSIGN_OR_RETURN(value, read(view));
      return {};
    });
    if (!status) std::abort();
    return value;
  }

  TempFolder folder;
  FakeClock clock;
  Config config;
  std::unique_ptr<SqliteStore> store;
  jose::Es256Key service_key;
  ledger::LedgerKey ledger_key;
  std::unique_ptr<LedgerWriter> ledger;
  std::unique_ptr<PolicyHolder> policy;
  EpochNonces epochs;
  EpochNonces event_tokens;
  std::unique_ptr<GrantIssuer> issuer;
  std::unique_ptr<Service> service;
  std::unique_ptr<EkAdmission> admission;
  std::unique_ptr<Findings> findings;
  std::unique_ptr<Enroller> enroller;
  std::unique_ptr<Authorizer> authorizer;
};

inline const Origin kConnection{"192.0.2.1", Bytes(32, 'x')};

// One session as the laptop knows it.
struct LaptopSession {
  v1::SessionBinding binding;
  Sha256Digest digest{};
  v1::SessionAnswer answer;
};

// A device with an agent on it that does everything right unless told
// otherwise. Aborts where the service does not let it.
class Laptop {
 public:
  explicit Laptop(ServiceRig& rig);

  v1::EnrollmentRequest EnrollmentRequestWith(const std::string& token) const;
  v1::ActivationRequest ActivationFor(const v1::EnrollmentAnswer& answer,
                                      const std::string& token) const;
  // Enrolls with a fresh single-use token.
  void Enroll();

  // A binding that answers a fresh challenge, not sent yet.
  verifier::SessionParts NewSession() const;
  Result<v1::SessionAnswer> Send(const v1::SessionEvidence& evidence);
  LaptopSession OpenSession();

  // An action of `session`, "http:POST" on https://api.example/orders/1.
  v1::Action NewAction(const LaptopSession& session,
                       const std::string& name = "http:POST",
                       const std::string& audience = "https://api.example");
  // A batch of these at the next place of the journal; not sent yet.
  v1::BatchEvidence NewBatch(std::vector<v1::Action> actions);
  v1::BatchEvidence BatchOfBytes(const std::vector<std::string>& actions);
  // Sends it; if it was accepted, the journal goes on behind it.
  Result<BatchOutcome> Send(const v1::BatchEvidence& batch);
  // Sends it and gives the decisions.
  std::vector<v1::ActionDecision> Decide(const v1::BatchEvidence& batch);
  // One action in a batch of its own.
  v1::ActionDecision Authorize(const LaptopSession& session,
                               const std::string& name = "http:POST");

  ServiceRig& rig;
  verifier::Device device;
  Bytes journal_id = RandomBytes(16);
  Bytes epoch_nonce;
  uint64_t next_batch = 0;
  uint64_t next_action = 0;
  Sha256Digest last_batch{};
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_TESTS_ATTEST_AUTHZ_SERVICE_RIG_H_
