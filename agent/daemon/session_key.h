// The key of one session, in memory or in the TPM. It signs DPoP proofs and
// nothing else, and dies with its session.
#ifndef COUNTERSIGN_AGENT_DAEMON_SESSION_KEY_H_
#define COUNTERSIGN_AGENT_DAEMON_SESSION_KEY_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/daemon/tpm_queue.h"
#include "attest/jose/dpop.h"
#include "attest/jose/es256.h"
#include "platform/tpm.h"

namespace countersign::agent {

class SessionKey {
 public:
  [[nodiscard]] static Result<std::shared_ptr<SessionKey>> InMemory();
  // Takes over a key that platform::Tpm made; destroyed through `queue`.
  [[nodiscard]] static Result<std::shared_ptr<SessionKey>> InTpm(
      TpmQueue& queue, const platform::SessionKey& key);
  ~SessionKey();
  SessionKey(const SessionKey&) = delete;
  SessionKey& operator=(const SessionKey&) = delete;

  [[nodiscard]] const jose::Es256PublicKey& public_key() const {
    return public_key_;
  }
  [[nodiscard]] const char* kind() const {
    return memory_.has_value() ? "memory" : "tpm";
  }
  // Of a key in the TPM; else nothing.
  [[nodiscard]] const std::optional<platform::SessionKey>& tpm_key() const {
    return tpm_;
  }

  // Makes a DPoP proof: at once with a key in memory, else when the TPM is
  // free. Errors are those of CreateDpopProof and platform::Tpm.
  void SignDpop(const jose::DpopRequest& request, int64_t now_s,
                std::function<void(Result<std::string>)> done) const;

 private:
  explicit SessionKey(jose::Es256PublicKey public_key)
      : public_key_(std::move(public_key)) {}

  jose::Es256PublicKey public_key_;
  std::optional<jose::Es256Key> memory_;
  std::optional<platform::SessionKey> tpm_;
  TpmQueue* queue_ = nullptr;
  std::shared_ptr<const bool> queue_alive_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_SESSION_KEY_H_
