#include "agent/daemon/lazy_tpm.h"

namespace countersign::agent {

Status LazyTpm::Ready() {
  if (tpm_ != nullptr) return {};
  CS_ASSIGN_OR_RETURN(tpm_, open_());
  return {};
}

Status LazyTpm::ReadyWithAk() {
  CS_RETURN_IF_ERROR(Ready());
  if (!ak_.has_value() || ak_->loaded) return {};
  CS_RETURN_IF_ERROR(tpm_->LoadAk(ak_->blob, ak_->auth));
  ak_->loaded = true;
  return {};
}

Result<std::vector<platform::EndorsementKey>> LazyTpm::EndorsementKeys() {
  CS_RETURN_IF_ERROR(Ready());
  return tpm_->EndorsementKeys();
}

Result<platform::AkBlob> LazyTpm::CreateAk(
    const platform::EndorsementKey& parent, tpm::KeyType type,
    const Secret& auth) {
  CS_RETURN_IF_ERROR(Ready());
  return tpm_->CreateAk(parent, type, auth);
}

Status LazyTpm::LoadAk(const platform::AkBlob& blob, const Secret& auth) {
  ak_ = WantedAk{blob, auth.Clone()};
  return ReadyWithAk();
}

Status LazyTpm::ForgetAk() {
  ak_.reset();
  CS_RETURN_IF_ERROR(Ready());
  return tpm_->ForgetAk();
}

Result<Secret> LazyTpm::ActivateCredential(ByteSpan id_object,
                                           ByteSpan encrypted_secret) {
  CS_RETURN_IF_ERROR(ReadyWithAk());
  return tpm_->ActivateCredential(id_object, encrypted_secret);
}

Result<platform::QuoteWithPcrs> LazyTpm::QuoteAk(
    const Sha256Digest& statement_digest, const tpm::PcrSelection& selection) {
  CS_RETURN_IF_ERROR(ReadyWithAk());
  return tpm_->QuoteAk(statement_digest, selection);
}

Result<platform::SessionKey> LazyTpm::CreateSessionKey() {
  CS_RETURN_IF_ERROR(Ready());
  return tpm_->CreateSessionKey();
}

Result<tpm::Quote> LazyTpm::CertifySessionKey(
    platform::SessionKeyId id, const Sha256Digest& statement_digest) {
  CS_RETURN_IF_ERROR(ReadyWithAk());
  return tpm_->CertifySessionKey(id, statement_digest);
}

Result<Bytes> LazyTpm::SignWithSessionKey(platform::SessionKeyId id,
                                          const Sha256Digest& digest) {
  CS_RETURN_IF_ERROR(Ready());
  return tpm_->SignWithSessionKey(id, digest);
}

void LazyTpm::DestroySessionKey(platform::SessionKeyId id) {
  if (tpm_ != nullptr) tpm_->DestroySessionKey(id);
}

Result<platform::TpmInfo> LazyTpm::Info() {
  CS_RETURN_IF_ERROR(Ready());
  return tpm_->Info();
}

}  // namespace countersign::agent
