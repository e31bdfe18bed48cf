#include "agent/daemon/session_key.h"

#include "attest/base/digest.h"

namespace countersign::agent {
namespace {

// A key inside the TPM as a signer, for as long as one call on its thread.
class TpmSigner final : public jose::Es256Signer {
 public:
  TpmSigner(platform::Tpm& tpm, platform::SessionKeyId id,
            const jose::Es256PublicKey& public_key)
      : tpm_(tpm), id_(id), public_key_(public_key) {}

  const jose::Es256PublicKey& public_key() const override {
    return public_key_;
  }
  Result<jose::Es256Signature> SignDigest(
      const Sha256Digest& digest) const override {
    CS_ASSIGN_OR_RETURN(const Bytes bytes,
                        tpm_.SignWithSessionKey(id_, digest));
    jose::Es256Signature signature{};
    if (bytes.size() != signature.size()) {
      return Fail(ErrorCode::kTpmProtocolError, "a signature of wrong length");
    }
    std::ranges::copy(bytes, signature.begin());
    return signature;
  }

 private:
  platform::Tpm& tpm_;
  platform::SessionKeyId id_;
  const jose::Es256PublicKey& public_key_;
};

}  // namespace

Result<std::shared_ptr<SessionKey>> SessionKey::InMemory() {
  CS_ASSIGN_OR_RETURN(jose::Es256Key key, jose::Es256Key::Generate());
  std::shared_ptr<SessionKey> made(new SessionKey(key.public_key()));
  made->memory_.emplace(std::move(key));
  return made;
}

Result<std::shared_ptr<SessionKey>> SessionKey::InTpm(
    TpmQueue& queue, const platform::SessionKey& key) {
  CS_ASSIGN_OR_RETURN(auto public_key,
                      jose::Es256PublicKey::FromCoordinates(
                          key.public_area.x(), key.public_area.y()));
  std::shared_ptr<SessionKey> made(new SessionKey(std::move(public_key)));
  made->tpm_ = key;
  made->queue_ = &queue;
  made->queue_alive_ = queue.alive();
  return made;
}

SessionKey::~SessionKey() {
  // At the end of the daemon the TPM forgets the key with its connection.
  if (queue_ == nullptr || !*queue_alive_) return;
  queue_->Submit(
      TpmQueue::Urgency::kNormal,
      [id = tpm_->id](platform::Tpm& tpm) -> Status {
        tpm.DestroySessionKey(id);
        return {};
      },
      [](const Status&) {});
}

void SessionKey::SignDpop(const jose::DpopRequest& request, int64_t now_s,
                          std::function<void(Result<std::string>)> done) const {
  const std::string jti = ToBase64Url(RandomBytes(16));
  if (memory_.has_value()) {
    done(jose::CreateDpopProof(*memory_, request, now_s, jti));
    return;
  }
  queue_->Submit(
      TpmQueue::Urgency::kUrgent,
      [id = tpm_->id, public_key = public_key_, request, now_s,
       jti](platform::Tpm& tpm) {
        return jose::CreateDpopProof(TpmSigner(tpm, id, public_key), request,
                                     now_s, jti);
      },
      std::move(done));
}

}  // namespace countersign::agent
