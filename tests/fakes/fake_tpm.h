// A TPM in software behind platform/tpm.h: real TPMS_ATTEST bytes signed by
// real keys, a measured boot, and knobs for what chips do. The contract suite
// (tests/platform/tpm_contract.h) holds it to what EsysTpm does on swtpm.
// Knobs may be turned from any thread while the owner thread works.
#ifndef COUNTERSIGN_TESTS_FAKES_FAKE_TPM_H_
#define COUNTERSIGN_TESTS_FAKES_FAKE_TPM_H_

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>

#include "attest/tpm/event_log.h"
#include "platform/tpm.h"
#include "tests/fakes/tpm_bytes.h"

namespace countersign::fakes {

class FakeTpm final : public platform::Tpm {
 public:
  // `with_rsa`: has an RSA EK too, which takes a moment to make.
  explicit FakeTpm(bool with_rsa = false);

  // Knobs.
  void set_certificates(tpm::KeyType type, std::vector<Bytes> chain);
  void set_quote_delay(std::chrono::milliseconds delay);
  void set_clock(const tpm::TpmClock& clock);
  // The next `times` calls fail so; kTpmProtocolError and the like. `from`
  // says after how many calls that still succeed.
  void FailNext(ErrorCode code, int times = 1, int from = 0);
  // Quotes that begin from now on wait until Release().
  void Hold();
  void Release();
  void ExtendPcr(int pcr, ByteSpan data);
  void Reset();  // As by a reboot; the boot is measured again.

  [[nodiscard]] int quotes() const;
  [[nodiscard]] Bytes event_log() const;

  Result<std::vector<platform::EndorsementKey>> EndorsementKeys() override;
  Result<platform::AkBlob> CreateAk(const platform::EndorsementKey& parent,
                                    tpm::KeyType type,
                                    const Secret& auth) override;
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
  struct LoadedAk {
    SoftKey key;
    tpm::KeyType parent_type;
    bool auth_is_right;
  };
  struct HeldSessionKey {
    SoftKey key;
    uint32_t reset_count;
  };

  [[nodiscard]] Status Begin();
  [[nodiscard]] Status CheckAk() const;
  [[nodiscard]] AttestFields NewAttest(const Sha256Digest& digest);
  [[nodiscard]] Result<const SoftKey*> FindSessionKey(
      platform::SessionKeyId id) const;
  void MeasureBoot();

  mutable std::mutex mutex_;
  std::condition_variable released_;
  std::map<tpm::KeyType, SoftKey> eks_;
  std::map<tpm::KeyType, std::vector<Bytes>> certificates_;
  std::optional<LoadedAk> ak_;
  std::map<platform::SessionKeyId, HeldSessionKey> session_keys_;
  platform::SessionKeyId last_id_ = 0;
  tpm::PcrValues pcrs_{};
  tpm::TpmClock clock_{
      .clock_ms = 1000, .reset_count = 1, .restart_count = 0, .safe = true};
  std::chrono::milliseconds quote_delay_{0};
  ErrorCode failure_ = ErrorCode::kInternal;
  int failures_left_ = 0;
  int successes_before_ = 0;
  bool held_ = false;
  int quotes_ = 0;
};

}  // namespace countersign::fakes

#endif  // COUNTERSIGN_TESTS_FAKES_FAKE_TPM_H_
