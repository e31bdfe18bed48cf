// A TPM that need not be there yet: opened at the first call that needs it and
// again at each call until it can be. The daemon serves status and doctor
// without one, and heals when it appears.
#ifndef COUNTERSIGN_AGENT_DAEMON_LAZY_TPM_H_
#define COUNTERSIGN_AGENT_DAEMON_LAZY_TPM_H_

#include <functional>
#include <memory>
#include <optional>

#include "platform/tpm.h"

namespace countersign::agent {

// Not thread-safe, as platform::Tpm.
class LazyTpm final : public platform::Tpm {
 public:
  using Open = std::function<Result<std::unique_ptr<platform::Tpm>>()>;
  explicit LazyTpm(Open open) : open_(std::move(open)) {}

  Result<std::vector<platform::EndorsementKey>> EndorsementKeys() override;
  Result<platform::AkBlob> CreateAk(const platform::EndorsementKey& parent,
                                    tpm::KeyType type,
                                    const Secret& auth) override;
  // Remembered, and made good as soon as there is a TPM.
  Status LoadAk(const platform::AkBlob& blob, const Secret& auth) override;
  Status ForgetAk() override;
  Result<Secret> ActivateCredential(ByteSpan id_object,
                                    ByteSpan encrypted_secret) override;
  Result<platform::QuoteWithPcrs> QuoteAk(
      const Sha256Digest& statement_digest,
      const tpm::PcrSelection& selection) override;
  Result<platform::SessionKey> CreateSessionKey() override;
  Result<tpm::Quote> CertifySessionKey(
      platform::SessionKeyId id, const Sha256Digest& statement_digest) override;
  Result<Bytes> SignWithSessionKey(platform::SessionKeyId id,
                                   const Sha256Digest& digest) override;
  void DestroySessionKey(platform::SessionKeyId id) override;
  Result<platform::TpmInfo> Info() override;

 private:
  struct WantedAk {
    platform::AkBlob blob;
    Secret auth;
    bool loaded = false;
  };

  [[nodiscard]] Status Ready();
  [[nodiscard]] Status ReadyWithAk();

  Open open_;
  std::unique_ptr<platform::Tpm> tpm_;
  std::optional<WantedAk> ak_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_LAZY_TPM_H_
