// Runs countersign-authz as people do, and a laptop that speaks HTTPS to it.
#ifndef COUNTERSIGN_TESTS_ATTEST_AUTHZ_PROGRAM_H_
#define COUNTERSIGN_TESTS_ATTEST_AUTHZ_PROGRAM_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "countersign/v1/service.pb.h"
#include "tests/attest/authz/service_rig.h"
#include "tests/attest/authz/tls_client.h"

namespace countersign::authz {

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// A service in a folder of its own.
class Program {
 public:
  // Runs `init` and writes `rules`.
  explicit Program(const std::string& rules = kRules);
  ~Program();

  // Runs "countersign-authz ARGUMENTS --config …/authz.toml".
  Ran Run(const std::vector<std::string>& arguments) const;
  // Runs exactly these arguments.
  static Ran RunPlain(const std::vector<std::string>& arguments);

  void Start();  // Returns once it answers.
  void Signal(int signal) const;
  // Waits for its end and gives the exit code; -signal if one ended it.
  int Wait();

  [[nodiscard]] std::string Path(const std::string& name) const {
    return folder_.Path("service/" + name);
  }
  [[nodiscard]] std::string ca() const { return folder_.Path("ca.pem"); }
  [[nodiscard]] uint16_t port() const { return port_; }
  [[nodiscard]] std::string Log() const;

 private:
  TempFolder folder_;
  uint16_t port_ = 0;
  pid_t pid_ = -1;
};

// One connection after the other; evidence from a TPM in software.
class HttpsLaptop {
 public:
  explicit HttpsLaptop(const Program& program) : program_(program) {}

  // Nothing where the service cannot be reached or refuses.
  bool Enroll(const std::string& token);
  bool OpenSession();
  // The next batch of `size` actions, not sent yet.
  v1::BatchEvidence NextBatch(int size);
  std::optional<v1::BatchAnswer> Send(const v1::BatchEvidence& batch);
  // The service has accepted `batch`.
  void GoOn(const v1::BatchEvidence& batch, const v1::BatchAnswer& answer);

  verifier::Device device;

 private:
  template <typename M>
  std::optional<M> Ask(const std::string& path, const std::string& body);
  bool Connect();

  const Program& program_;
  std::unique_ptr<TlsClient> client_;
  Sha256Digest session_{};
  Bytes journal_id_ = RandomBytes(16);
  std::string epoch_nonce_;
  uint64_t next_batch_ = 0;
  uint64_t next_action_ = 0;
  Sha256Digest last_batch_{};
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_TESTS_ATTEST_AUTHZ_PROGRAM_H_
