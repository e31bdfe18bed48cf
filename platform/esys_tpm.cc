#include "platform/esys_tpm.h"

#include <openssl/x509v3.h>

#include <cstdlib>
#include <map>
#include <optional>

#include "attest/base/openssl_ptr.h"
#include "platform/esys/attestation_key.h"
#include "platform/esys/device_access.h"
#include "platform/esys/session_key.h"
#include "platform/esys/tpm_info.h"

namespace countersign::platform {
namespace {

constexpr const char* kDefaultTcti = "device:/dev/tpmrm0";

// Does `certificate` certify `key`? Compares the encoded keys, since older
// certificates name RSA keys by an algorithm that OpenSSL does not read.
bool Certifies(ByteSpan certificate, const tpm::PublicArea& key) {
  const uint8_t* der = certificate.data();
  const X509Ptr parsed(
      d2i_X509(nullptr, &der, static_cast<long>(certificate.size())));
  if (parsed == nullptr) return false;
  const ASN1_BIT_STRING* bits = X509_get0_pubkey_bitstr(parsed.get());
  uint8_t* raw = nullptr;
  const int size = i2d_PublicKey(key.key(), &raw);
  if (size <= 0 || bits == nullptr) return false;
  const bool same = Equal({bits->data, static_cast<size_t>(bits->length)},
                          {raw, static_cast<size_t>(size)});
  OPENSSL_free(raw);
  return same;
}

bool IsCaCertificate(ByteSpan certificate) {
  const uint8_t* der = certificate.data();
  const X509Ptr parsed(
      d2i_X509(nullptr, &der, static_cast<long>(certificate.size())));
  return parsed != nullptr && X509_check_ca(parsed.get()) == 1;
}

// The certificate of `key`, if there is one, then all issuers.
std::vector<Bytes> ChainOf(const tpm::PublicArea& key,
                           const std::vector<Bytes>& all) {
  std::vector<Bytes> chain;
  for (const Bytes& certificate : all) {
    if (chain.empty() && Certifies(certificate, key)) {
      chain.push_back(certificate);
    }
  }
  if (chain.empty()) return chain;
  for (const Bytes& certificate : all) {
    if (IsCaCertificate(certificate)) chain.push_back(certificate);
  }
  return chain;
}

class EsysTpmImpl final : public Tpm {
 public:
  EsysTpmImpl(const std::string& tcti, const EsysTpmOptions& options)
      : tcti_(tcti.empty() ? kDefaultTcti : tcti),
        options_(options),
        shared_(HasResourceManager(tcti_)) {
    leftovers_.everything = !shared_;
  }
  ~EsysTpmImpl() override { Disconnect(); }

  Result<std::vector<EndorsementKey>> EndorsementKeys() override;
  Result<AkBlob> CreateAk(const EndorsementKey& parent, tpm::KeyType type,
                          const Secret& auth) override;
  Status LoadAk(const AkBlob& blob, const Secret& auth) override;
  Status ForgetAk() override;
  Result<Secret> ActivateCredential(ByteSpan id_object,
                                    ByteSpan encrypted_secret) override;
  Result<QuoteWithPcrs> QuoteAk(const Sha256Digest& statement_digest,
                                const tpm::PcrSelection& selection) override;
  Result<SessionKey> CreateSessionKey() override;
  Result<tpm::Quote> CertifySessionKey(
      SessionKeyId id, const Sha256Digest& statement_digest) override;
  Result<Bytes> SignWithSessionKey(SessionKeyId id,
                                   const Sha256Digest& digest) override;
  void DestroySessionKey(SessionKeyId id) override { session_keys_.erase(id); }
  Result<TpmInfo> Info() override;

 private:
  struct StoredAk {
    AkBlob blob;
    Secret auth;
  };

  Status Connect();
  void Disconnect();
  Status EnsureAk();
  Result<const SavedSessionKey*> FindSessionKey(SessionKeyId id) const;

  // Runs `work` on a connection; once more on a new one if the first proved
  // dead or the TPM had lost its handles. Every command that we send may be
  // sent twice. Not after a timeout: the caller has waited long enough.
  template <typename Work>
  std::invoke_result_t<Work> Run(Work work) {
    for (bool again = false;; again = true) {
      CS_RETURN_IF_ERROR(Connect());
      auto result = work();
      if (connection_->usable()) return result;
      Disconnect();
      if (result.has_value() || again || !MaySendAgain(result.error().code)) {
        return result;
      }
    }
  }
  // The same for work that needs the AK loaded.
  template <typename Work>
  std::invoke_result_t<Work> RunWithAk(Work work) {
    if (!stored_ak_.has_value()) {
      return Fail(ErrorCode::kNotEnrolled, "no attestation key is loaded");
    }
    return Run([&]() -> std::invoke_result_t<Work> {
      CS_RETURN_IF_ERROR(EnsureAk());
      return work();
    });
  }
  static bool MaySendAgain(ErrorCode code) {
    return code != ErrorCode::kTpmTimeout && code != ErrorCode::kTpmRetry;
  }

  const std::string tcti_;
  const EsysTpmOptions options_;
  const bool shared_;  // With other programs, through a resource manager.

  std::weak_ptr<void> stuck_;
  EsysConnection::Leftovers leftovers_;
  std::unique_ptr<EsysConnection> connection_;
  std::unique_ptr<AttestationKey> ak_;  // Goes before connection_.
  std::optional<StoredAk> stored_ak_;
  std::map<SessionKeyId, SavedSessionKey> session_keys_;
  SessionKeyId last_id_ = 0;
};

Status EsysTpmImpl::Connect() {
  if (connection_ != nullptr) return {};
  CS_ASSIGN_OR_RETURN(
      connection_, EsysConnection::Open(tcti_, options_.command_timeout, stuck_,
                                        leftovers_));
  return {};
}

// Flushes what a living connection has loaded; what a dead one had loaded is
// kept in mind for the next.
void EsysTpmImpl::Disconnect() {
  ak_.reset();
  if (connection_ == nullptr) return;
  if (!shared_) leftovers_.handles = connection_->link().loaded();
  connection_.reset();
}

Status EsysTpmImpl::EnsureAk() {
  if (ak_ != nullptr) return {};
  CS_ASSIGN_OR_RETURN(
      ak_, AttestationKey::Acquire(*connection_, stored_ak_->blob,
                                   stored_ak_->auth, options_.create_timeout));
  return {};
}

Result<std::vector<EndorsementKey>> EsysTpmImpl::EndorsementKeys() {
  return Run([&]() -> Result<std::vector<EndorsementKey>> {
    CS_ASSIGN_OR_RETURN(const auto certificates,
                        ReadCertificates(*connection_));
    std::vector<EndorsementKey> keys;
    for (const auto type : {tpm::KeyType::kEccP256, tpm::KeyType::kRsa2048}) {
      Result<EsysKey> key =
          AcquireEk(*connection_, type, options_.create_timeout);
      if (!key.has_value()) {
        if (key.error().code == ErrorCode::kTpmNoEk) continue;
        return tl::unexpected<Error>(key.error());
      }
      std::vector<Bytes> chain = ChainOf(key->public_area, certificates);
      keys.push_back({type, std::move(key->public_area), std::move(chain)});
    }
    if (keys.empty()) return Fail(ErrorCode::kTpmNoEk);
    return keys;
  });
}

Result<AkBlob> EsysTpmImpl::CreateAk(const EndorsementKey& parent,
                                     tpm::KeyType type, const Secret& auth) {
  return Run([&]() -> Result<AkBlob> {
    CS_ASSIGN_OR_RETURN(const EsysKey ek, AcquireEk(*connection_, parent.type,
                                                    options_.create_timeout));
    if (ek.public_area.name() != parent.public_area.name()) {
      return Fail(ErrorCode::kStateBelongsToOtherTpm,
                  "the TPM has another endorsement key by now");
    }
    const LongDeadline patience(connection_->link(), options_.create_timeout);
    return CreateAkBlob(*connection_, ek, parent.type, type, auth);
  });
}

Status EsysTpmImpl::LoadAk(const AkBlob& blob, const Secret& auth) {
  ak_.reset();
  stored_ak_ = StoredAk{blob, auth.Clone()};
  Status loaded = RunWithAk([]() -> Status { return {}; });
  if (!loaded.has_value() &&
      loaded.error().code == ErrorCode::kStateBelongsToOtherTpm) {
    stored_ak_.reset();
  }
  return loaded;
}

Status EsysTpmImpl::ForgetAk() {
  if (!stored_ak_.has_value()) return {};
  CS_RETURN_IF_ERROR(RunWithAk([&] { return ak_->Evict(); }));
  ak_.reset();
  stored_ak_.reset();
  return {};
}

Result<Secret> EsysTpmImpl::ActivateCredential(ByteSpan id_object,
                                               ByteSpan encrypted_secret) {
  return RunWithAk([&]() -> Result<Secret> {
    CS_ASSIGN_OR_RETURN(const EsysKey ek,
                        AcquireEk(*connection_, stored_ak_->blob.parent_type,
                                  options_.create_timeout));
    return ak_->Activate(ek, id_object, encrypted_secret);
  });
}

Result<QuoteWithPcrs> EsysTpmImpl::QuoteAk(const Sha256Digest& statement_digest,
                                           const tpm::PcrSelection& selection) {
  return RunWithAk([&] { return ak_->Quote(statement_digest, selection); });
}

Result<SessionKey> EsysTpmImpl::CreateSessionKey() {
  return RunWithAk([&]() -> Result<SessionKey> {
    CS_ASSIGN_OR_RETURN(
        auto key,
        CreateSavedSessionKey(*connection_, *ak_, options_.create_timeout));
    SessionKey made{++last_id_, key.public_area};
    session_keys_.emplace(made.id, std::move(key));
    return made;
  });
}

Result<const SavedSessionKey*> EsysTpmImpl::FindSessionKey(
    SessionKeyId id) const {
  const auto found = session_keys_.find(id);
  if (found == session_keys_.end()) {
    return Fail(ErrorCode::kNotFound, "no such session key");
  }
  return &found->second;
}

Result<tpm::Quote> EsysTpmImpl::CertifySessionKey(
    SessionKeyId id, const Sha256Digest& statement_digest) {
  CS_ASSIGN_OR_RETURN(const SavedSessionKey* key, FindSessionKey(id));
  return RunWithAk([&]() -> Result<tpm::Quote> {
    // One session cannot authorise two objects of a command.
    CS_ASSIGN_OR_RETURN(const EsysKey ek,
                        AcquireEk(*connection_, stored_ak_->blob.parent_type,
                                  options_.create_timeout));
    CS_ASSIGN_OR_RETURN(
        const EsysObject session,
        StartSaltedSession(*connection_, ek.object, SessionType::kHmac));
    CS_ASSIGN_OR_RETURN(const EsysObject loaded,
                        LoadSavedSessionKey(*connection_, *key));
    return ak_->Certify(loaded, session, statement_digest);
  });
}

Result<Bytes> EsysTpmImpl::SignWithSessionKey(SessionKeyId id,
                                              const Sha256Digest& digest) {
  CS_ASSIGN_OR_RETURN(const SavedSessionKey* key, FindSessionKey(id));
  return RunWithAk([&]() -> Result<Bytes> {
    CS_ASSIGN_OR_RETURN(const EsysObject loaded,
                        LoadSavedSessionKey(*connection_, *key));
    return SignWithLoadedKey(*connection_, loaded, *ak_, digest);
  });
}

Result<TpmInfo> EsysTpmImpl::Info() {
  return Run([&] { return ReadTpmInfo(*connection_); });
}

}  // namespace

std::unique_ptr<Tpm> EsysTpm::Create(const std::string& tcti,
                                     const EsysTpmOptions& options) {
  return std::make_unique<EsysTpmImpl>(tcti, options);
}

Result<std::unique_ptr<Tpm>> EsysTpm::Open(const std::string& tcti,
                                           const EsysTpmOptions& options) {
  std::unique_ptr<Tpm> tpm = Create(tcti, options);
  CS_RETURN_IF_ERROR(tpm->Info());
  return tpm;
}

void SilenceTssLog() { ::setenv("TSS2_LOG", "all+none", 0); }

}  // namespace countersign::platform
