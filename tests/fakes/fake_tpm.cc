#include "tests/fakes/fake_tpm.h"

#include <algorithm>
#include <thread>

#include "attest/base/big_endian.h"
#include "attest/base/digest.h"
#include "attest/tpm/signature.h"
#include "tests/fakes/event_log_builder.h"

namespace countersign::fakes {
namespace {

using platform::AkBlob;
using platform::EndorsementKey;
using platform::QuoteWithPcrs;
using platform::SessionKey;
using platform::SessionKeyId;
using platform::TpmInfo;

constexpr size_t kMaxPrivateKey = 2048;

// A blob of the fake: SHA-256 of the authorisation value, then the key. Not
// encrypted; that no other TPM loads it follows from the parent's Name.
Bytes EncodePrivate(const SoftKey& key, const Secret& auth) {
  uint8_t* der = nullptr;
  const int size = i2d_PrivateKey(key.key.get(), &der);
  BigEndianWriter writer;
  writer.Raw(Sha256(auth.Expose()));
  writer.Sized16({der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  return std::move(writer).bytes();
}

EvpPkeyPtr DecodePrivate(ByteSpan blob, Sha256Digest* auth_digest) {
  BigEndianReader reader(blob);
  const ByteSpan digest = reader.Take(auth_digest->size());
  const ByteSpan der = reader.Sized16(kMaxPrivateKey);
  if (!reader.AtEnd()) return nullptr;
  std::copy(digest.begin(), digest.end(), auth_digest->begin());
  const uint8_t* next = der.data();
  return EvpPkeyPtr(
      d2i_AutoPrivateKey(nullptr, &next, static_cast<long>(der.size())));
}

Bytes Joined(const std::vector<Sha256Digest>& values) {
  Bytes all;
  for (const auto& value : values) {
    all.insert(all.end(), value.begin(), value.end());
  }
  return all;
}

}  // namespace

FakeTpm::FakeTpm(bool with_rsa) {
  eks_.emplace(tpm::KeyType::kEccP256, NewEk(tpm::KeyType::kEccP256));
  if (with_rsa) {
    eks_.emplace(tpm::KeyType::kRsa2048, NewEk(tpm::KeyType::kRsa2048));
  }
  MeasureBoot();
}

void FakeTpm::MeasureBoot() {
  const Bytes log = SmallEventLog().Encode();
  pcrs_ = tpm::EventLog::Parse(log)->Replay();
}

void FakeTpm::set_certificates(tpm::KeyType type, std::vector<Bytes> chain) {
  const std::lock_guard lock(mutex_);
  certificates_[type] = std::move(chain);
}

void FakeTpm::set_quote_delay(std::chrono::milliseconds delay) {
  const std::lock_guard lock(mutex_);
  quote_delay_ = delay;
}

void FakeTpm::set_clock(const tpm::TpmClock& clock) {
  const std::lock_guard lock(mutex_);
  clock_ = clock;
}

void FakeTpm::FailNext(ErrorCode code, int times, int from) {
  const std::lock_guard lock(mutex_);
  failure_ = code;
  failures_left_ = times;
  successes_before_ = from;
}

void FakeTpm::Hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void FakeTpm::Release() {
  {
    const std::lock_guard lock(mutex_);
    held_ = false;
  }
  released_.notify_all();
}

void FakeTpm::ExtendPcr(int pcr, ByteSpan data) {
  const std::lock_guard lock(mutex_);
  Sha256Digest& value = pcrs_.at(static_cast<size_t>(pcr));
  value = Sha256({value, Sha256(data)});
}

void FakeTpm::Reset() {
  const std::lock_guard lock(mutex_);
  ++clock_.reset_count;
  clock_.restart_count = 0;
  MeasureBoot();
}

int FakeTpm::quotes() const {
  const std::lock_guard lock(mutex_);
  return quotes_;
}

Bytes FakeTpm::event_log() const { return SmallEventLog().Encode(); }

Status FakeTpm::Begin() {
  ++clock_.clock_ms;
  if (failures_left_ == 0) return {};
  if (successes_before_ > 0) {
    --successes_before_;
    return {};
  }
  --failures_left_;
  return Fail(failure_, "injected");
}

Status FakeTpm::CheckAk() const {
  if (!ak_.has_value()) return Fail(ErrorCode::kNotEnrolled);
  if (!ak_->auth_is_right) {
    return Fail(ErrorCode::kTpmCommandFailed, "wrong authorisation value");
  }
  return {};
}

Result<std::vector<EndorsementKey>> FakeTpm::EndorsementKeys() {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(Begin());
  std::vector<EndorsementKey> keys;
  for (const auto& [type, ek] : eks_) {
    keys.push_back({type, ek.area, certificates_[type]});
  }
  return keys;
}

Result<AkBlob> FakeTpm::CreateAk(const EndorsementKey& parent,
                                 tpm::KeyType type, const Secret& auth) {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(Begin());
  const auto ek = eks_.find(parent.type);
  if (ek == eks_.end() || ek->second.area.name() != parent.public_area.name()) {
    return Fail(ErrorCode::kStateBelongsToOtherTpm);
  }
  const SoftKey key = NewAk(type);
  return AkBlob{type, parent.type, ek->second.area.name(), key.area.bytes(),
                EncodePrivate(key, auth)};
}

Status FakeTpm::LoadAk(const AkBlob& blob, const Secret& auth) {
  const std::lock_guard lock(mutex_);
  ak_.reset();
  CS_RETURN_IF_ERROR(Begin());
  const auto ek = eks_.find(blob.parent_type);
  Sha256Digest auth_digest{};
  EvpPkeyPtr key = DecodePrivate(blob.private_area, &auth_digest);
  if (ek == eks_.end() || ek->second.area.name() != blob.parent_name ||
      key == nullptr) {
    return Fail(ErrorCode::kStateBelongsToOtherTpm);
  }
  CS_ASSIGN_OR_RETURN(auto area, tpm::PublicArea::Parse(blob.public_area));
  ak_ = LoadedAk{SoftKey{std::move(area), std::move(key)}, blob.parent_type,
                 Equal(auth_digest, Sha256(auth.Expose()))};
  return {};
}

Status FakeTpm::ForgetAk() {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(Begin());
  ak_.reset();
  return {};
}

Result<Secret> FakeTpm::ActivateCredential(ByteSpan id_object,
                                           ByteSpan encrypted_secret) {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(CheckAk());
  CS_RETURN_IF_ERROR(Begin());
  std::optional<Secret> secret = fakes::ActivateCredential(
      eks_.at(ak_->parent_type), ak_->key.area.name(),
      {ToBytes(id_object), ToBytes(encrypted_secret)});
  if (!secret.has_value()) return Fail(ErrorCode::kCredentialActivationFailed);
  return *std::move(secret);
}

AttestFields FakeTpm::NewAttest(const Sha256Digest& digest) {
  AttestFields fields;
  fields.qualified_signer =
      QualifiedSigner(eks_.at(ak_->parent_type), ak_->key);
  fields.extra_data = ToBytes(digest);
  fields.clock = clock_;
  return fields;
}

Result<QuoteWithPcrs> FakeTpm::QuoteAk(const Sha256Digest& statement_digest,
                                       const tpm::PcrSelection& selection) {
  std::unique_lock lock(mutex_);
  CS_RETURN_IF_ERROR(CheckAk());
  released_.wait(lock, [this] { return !held_; });
  if (quote_delay_.count() > 0) {
    const auto delay = quote_delay_;
    lock.unlock();
    std::this_thread::sleep_for(delay);
    lock.lock();
  }
  CS_RETURN_IF_ERROR(Begin());
  QuoteWithPcrs result;
  for (const uint8_t pcr : selection.indices()) {
    result.pcr_values.push_back(pcrs_.at(pcr));
  }
  AttestFields fields = NewAttest(statement_digest);
  fields.type = tpm::kStAttestQuote;
  fields.selection = selection.Encode();
  fields.pcr_digest = ToBytes(Sha256(Joined(result.pcr_values)));
  result.quote = SignAttest(ak_->key, fields);
  ++quotes_;
  return result;
}

Result<SessionKey> FakeTpm::CreateSessionKey() {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(CheckAk());
  CS_RETURN_IF_ERROR(Begin());
  SoftKey key = NewSessionKey();
  SessionKey made{++last_id_, key.area};
  session_keys_.emplace(made.id,
                        HeldSessionKey{std::move(key), clock_.reset_count});
  return made;
}

Result<const SoftKey*> FakeTpm::FindSessionKey(SessionKeyId id) const {
  const auto found = session_keys_.find(id);
  if (found == session_keys_.end()) return Fail(ErrorCode::kNotFound);
  if (found->second.reset_count != clock_.reset_count) {
    return Fail(ErrorCode::kTpmReset);
  }
  return &found->second.key;
}

Result<tpm::Quote> FakeTpm::CertifySessionKey(
    SessionKeyId id, const Sha256Digest& statement_digest) {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(CheckAk());
  CS_RETURN_IF_ERROR(Begin());
  CS_ASSIGN_OR_RETURN(const SoftKey* key, FindSessionKey(id));
  AttestFields fields = NewAttest(statement_digest);
  fields.type = tpm::kStAttestCertify;
  fields.name = key->area.name();
  CS_ASSIGN_OR_RETURN(fields.qualified_name,
                      tpm::QualifiedNameOfPrimary(tpm::kRhNull, fields.name));
  return SignAttest(ak_->key, fields);
}

Result<Bytes> FakeTpm::SignWithSessionKey(SessionKeyId id,
                                          const Sha256Digest& digest) {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(Begin());
  CS_ASSIGN_OR_RETURN(const SoftKey* key, FindSessionKey(id));
  const EvpPkeyCtxPtr context(EVP_PKEY_CTX_new(key->key.get(), nullptr));
  EVP_PKEY_sign_init(context.get());
  Bytes der(80);
  size_t size = der.size();
  if (EVP_PKEY_sign(context.get(), der.data(), &size, digest.data(),
                    digest.size()) != 1) {
    return Fail(ErrorCode::kInternal, OpensslError());
  }
  const uint8_t* next = der.data();
  const EcdsaSigPtr signature(
      d2i_ECDSA_SIG(nullptr, &next, static_cast<long>(size)));
  Bytes joined(64);
  BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), joined.data(), 32);
  BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), joined.data() + 32, 32);
  return joined;
}

void FakeTpm::DestroySessionKey(SessionKeyId id) {
  const std::lock_guard lock(mutex_);
  session_keys_.erase(id);
}

Result<TpmInfo> FakeTpm::Info() {
  const std::lock_guard lock(mutex_);
  CS_RETURN_IF_ERROR(Begin());
  TpmInfo info;
  info.manufacturer = "FAKE";
  info.vendor_string = "FakeTpm";
  info.firmware_version = AttestFields().firmware_version;
  info.is_software = true;
  info.clock = clock_;
  return info;
}

}  // namespace countersign::fakes
