#include "agent/daemon/enroll.h"

#include <algorithm>
#include <utility>

#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/limits.h"
#include "attest/statement/statement.h"
#include "countersign/v1/service.pb.h"
#include "countersign/v1/statements.pb.h"
#include "platform/host.h"

namespace countersign::agent {
namespace {

using statement::StatementType;

constexpr uint32_t kTimeoutMs = 30'000;
constexpr size_t kAuthSize = 32;
constexpr size_t kMaxTokenText = 512;

// What earlier attempts left.
struct Before {
  std::optional<state::EnrolledDevice> enrolled;
  std::optional<state::PendingEnrollment> pending;
};

struct AkMaterial {
  platform::AkBlob blob;
  Secret auth;
};

struct TpmSide {
  std::vector<platform::EndorsementKey> eks;
  platform::TpmInfo info;
  std::shared_ptr<AkMaterial> ak;
};

struct Activated {
  std::string proof;
  ClockedQuote quote;
};

Result<TpmSide> PrepareTpm(platform::Tpm& tpm,
                           std::shared_ptr<AkMaterial> existing) {
  TpmSide side;
  CS_ASSIGN_OR_RETURN(side.eks, tpm.EndorsementKeys());
  CS_ASSIGN_OR_RETURN(side.info, tpm.Info());
  side.ak = std::move(existing);
  if (side.ak == nullptr) {
    Secret auth(RandomBytes(kAuthSize));
    CS_ASSIGN_OR_RETURN(platform::AkBlob blob,
                        tpm.CreateAk(platform::PreferredEk(side.eks),
                                     tpm::KeyType::kEccP256, auth));
    side.ak = std::make_shared<AkMaterial>(
        AkMaterial{std::move(blob), std::move(auth)});
  }
  CS_RETURN_IF_ERROR(tpm.LoadAk(side.ak->blob, side.ak->auth));
  return side;
}

// HMAC over the whole transcript: the bare secret never leaves this function.
Result<Activated> Activate(platform::Tpm& tpm,
                           const v1::EnrollmentAnswer& answer,
                           const Bytes& transcript,
                           const tpm::PcrSelection& selection) {
  CS_ASSIGN_OR_RETURN(
      const Secret secret,
      tpm.ActivateCredential(AsBytes(answer.credential_blob()),
                             AsBytes(answer.encrypted_secret())));
  const Bytes pae = statement::Pae(
      statement::TypeUri(StatementType::kEnrollment), transcript);
  Activated activated;
  activated.proof = AsString(HmacSha256(secret.Expose(), pae));
  CS_ASSIGN_OR_RETURN(
      activated.quote,
      QuoteStatement(
          tpm,
          statement::StatementDigest(StatementType::kEnrollment, transcript),
          selection));
  return activated;
}

std::string FirmwareText(uint64_t version) {
  return std::to_string(version >> 48) + "." +
         std::to_string(version >> 32 & 0xffff) + "." +
         std::to_string(version >> 16 & 0xffff) + "." +
         std::to_string(version & 0xffff);
}

bool IsLoopback(std::string_view host) {
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

}  // namespace

Result<std::string> ThumbprintInToken(std::string_view token) {
  const size_t first = token.find('.');
  const size_t second =
      first == std::string_view::npos ? first : token.find('.', first + 1);
  if (token.size() > kMaxTokenText || second == std::string_view::npos ||
      token.substr(0, first) != "cs1") {
    return Fail(ErrorCode::kTokenInvalid,
                "an enrollment token looks like cs1.SECRET.THUMBPRINT");
  }
  const auto secret =
      FromBase64Url(token.substr(first + 1, second - first - 1));
  const std::string_view thumbprint = token.substr(second + 1);
  const auto digest = FromBase64Url(thumbprint);
  if (!secret.has_value() || secret->empty() || !digest.has_value() ||
      digest->size() != 32) {
    return Fail(ErrorCode::kTokenInvalid,
                "a part of the enrollment token is damaged");
  }
  return std::string(thumbprint);
}

Result<std::string> CheckIssuer(std::string_view url) {
  while (url.ends_with('/')) url.remove_suffix(1);
  const bool https = url.starts_with("https://");
  const bool http = url.starts_with("http://");
  const std::string_view rest =
      url.substr(std::min(url.size(), https ? 8ul : 7ul));
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const std::string_view host =
      authority.substr(0, authority.find(':', authority.rfind(']') + 1));
  const bool plain = CheckText(url, 1024, "service").has_value() &&
                     url.find_first_of(" ?#@\\\"<>") == std::string_view::npos;
  if (!plain || host.empty() || !(https || (http && IsLoopback(host)))) {
    return Fail(ErrorCode::kBadRequest,
                "service: an https:// URL such as https://authz.example, not " +
                    Printable(url, 200));
  }
  return std::string(url);
}

// One enrollment, step by step. Keeps itself alive until it is done.
class Enroller::Attempt
    : public std::enable_shared_from_this<Enroller::Attempt> {
 public:
  Attempt(Enroller& enroller, std::string service, std::string thumbprint,
          const v1::EnrollRequest& request, Done done)
      : enroller_(enroller),
        thumbprint_(std::move(thumbprint)),
        token_(request.token()),
        done_(std::move(done)) {
    to_.issuer = std::move(service);
    to_.ca_pem =
        request.ca_pem().empty() ? enroller.default_ca_ : request.ca_pem();
    to_.keys = enroller.pinned_;
  }

  void Start() {
    if (to_.keys != nullptr) {
      LookBack();
      return;
    }
    parts().service.FetchKeys(
        to_.issuer, to_.ca_pem, kTimeoutMs,
        [self = shared_from_this()](Result<std::string> json) {
          self->OnKeys(std::move(json));
        });
  }

 private:
  [[nodiscard]] const Parts& parts() const { return enroller_.parts_; }

  template <typename T, typename Step>
  auto Then(Step step) {
    return [self = shared_from_this(), step](Result<T> result) {
      if (!result.has_value()) {
        self->Finish(tl::unexpected(std::move(result).error()));
        return;
      }
      (self.get()->*step)(*std::move(result));
    };
  }

  // Of all keys that came over the uplink, only the one that the token names.
  void OnKeys(Result<std::string> json) {
    if (!json.has_value()) {
      Finish(tl::unexpected(std::move(json).error()));
      return;
    }
    const auto keys = jose::KeySet::FromJson(*json);
    const jose::Es256PublicKey* key =
        keys.has_value() ? keys->Find(thumbprint_) : nullptr;
    if (key == nullptr) {
      Finish(Fail(ErrorCode::kUntrustedKey,
                  "the service has no key with the token's thumbprint"));
      return;
    }
    jose::KeySet pinned;
    pinned.Add(*key);
    to_.keys = std::make_shared<const jose::KeySet>(std::move(pinned));
    LookBack();
  }

  void LookBack() {
    parts().disk.Submit(
        Worker::Urgency::kNormal,
        [&store = parts().store]() -> Result<Before> {
          Before before;
          CS_ASSIGN_OR_RETURN(before.enrolled, LoadEnrolled(store));
          CS_ASSIGN_OR_RETURN(before.pending, LoadEnrolling(store));
          return before;
        },
        Then<Before>(&Attempt::OnBefore));
  }

  void OnBefore(Before before) {
    const std::string token_sha256 = AsString(Sha256(AsBytes(token_)));
    std::string blob, auth;
    if (before.pending.has_value() && before.pending->service() == to_.issuer &&
        before.pending->token_sha256() == token_sha256) {
      blob = before.pending->ak_blob();
      auth = before.pending->ak_auth();
    } else if (before.enrolled.has_value() &&
               before.enrolled->service() == to_.issuer) {
      blob = before.enrolled->ak_blob();
      auth = before.enrolled->ak_auth();
    }
    std::shared_ptr<AkMaterial> existing;
    if (!blob.empty()) {
      auto decoded = platform::AkBlob::Decode(AsBytes(blob));
      if (!decoded.has_value()) {
        Finish(tl::unexpected(std::move(decoded).error()));
        return;
      }
      existing = std::make_shared<AkMaterial>(
          AkMaterial{*std::move(decoded), Secret(ToBytes(AsBytes(auth)))});
    }
    if (before.enrolled.has_value()) RememberOld(*before.enrolled);
    parts().tpm.Submit(
        TpmQueue::Urgency::kUrgent,
        [existing](platform::Tpm& tpm) { return PrepareTpm(tpm, existing); },
        Then<TpmSide>(&Attempt::OnTpm));
  }

  // If this attempt fails, the AK of the current enrollment stays in use.
  void RememberOld(const state::EnrolledDevice& enrolled) {
    auto blob = platform::AkBlob::Decode(AsBytes(enrolled.ak_blob()));
    if (!blob.has_value()) return;
    old_ = std::make_shared<AkMaterial>(AkMaterial{
        *std::move(blob), Secret(ToBytes(AsBytes(enrolled.ak_auth())))});
  }

  void OnTpm(TpmSide side) {
    side_ = std::move(side);
    state::PendingEnrollment pending;
    pending.set_ak_blob(AsString(side_.ak->blob.Encode()));
    pending.set_ak_auth(AsString(side_.ak->auth.Expose()));
    pending.set_token_sha256(AsString(Sha256(AsBytes(token_))));
    pending.set_service(to_.issuer);
    parts().disk.Submit(
        Worker::Urgency::kNormal,
        [&store = parts().store,
         bytes = ToBytes(AsBytes(pending.SerializeAsString()))] {
          const platform::StateStore::Write write{kEnrollingKey, bytes};
          return store.Commit({&write, 1});
        },
        [self = shared_from_this()](const Status& stored) {
          if (!stored.has_value()) {
            self->Finish(tl::unexpected(stored.error()));
          } else {
            self->AskToEnroll();
          }
        });
  }

  void AskToEnroll() {
    v1::EnrollmentRequest request;
    for (size_t i = 0; i < side_.eks.size(); ++i) {
      const platform::EndorsementKey& ek = side_.eks[i];
      v1::EkMaterial& material = *request.add_eks();
      material.set_public_area(AsString(ek.public_area.bytes()));
      for (const Bytes& certificate : ek.certificates) {
        material.add_certificates(AsString(certificate));
      }
      if (ek.public_area.name() == side_.ak->blob.parent_name) {
        request.set_certified_ek(static_cast<uint32_t>(i));
      }
    }
    request.set_ak_public(AsString(side_.ak->blob.public_area));
    FillHost(*request.mutable_host());
    request.set_token(token_);
    request.set_request_nonce(AsString(RandomBytes(16)));
    if (request.ByteSizeLong() > statement::kMaxEnrollmentBodySize) {
      Finish(Fail(ErrorCode::kTooLarge,
                  "the TPM's certificates are too many to send"));
      return;
    }
    parts().service.Post(to_, ServiceLink::kControl, "/v1/enrollments",
                         request.SerializeAsString(), jose::kKindEnrollment,
                         kTimeoutMs,
                         [self = shared_from_this()](ServiceResult result) {
                           self->OnChallenge(std::move(result));
                         });
  }

  void FillHost(v1::HostFacts& facts) const {
    const platform::HostDescription host = platform::DescribeHost();
    facts.set_os_name(Printable(host.os_name, 200));
    facts.set_os_version(Printable(host.os_version, 200));
    facts.set_hostname(Printable(host.hostname, 200));
    facts.set_agent_version(COUNTERSIGN_VERSION);
    facts.set_tpm_manufacturer(Printable(side_.info.manufacturer, 64));
    facts.set_tpm_firmware(FirmwareText(side_.info.firmware_version));
  }

  void OnChallenge(ServiceResult result) {
    if (!result.has_value()) {
      Finish(tl::unexpected(std::move(result).error().error));
      return;
    }
    v1::EnrollmentAnswer answer;
    const bool parsed = answer.ParseFromString(result->payload);
    const auto selection = tpm::PcrSelection::FromText(answer.pcr_selection());
    if (!parsed || answer.issuer() != to_.issuer ||
        answer.enrollment_id().size() != 16 || answer.nonce().size() != 32 ||
        !selection.has_value()) {
      Finish(Fail(ErrorCode::kAnswerInvalid,
                  "the enrollment challenge is not for this service"));
      return;
    }
    const Bytes transcript = Transcript(answer);
    v1::Statement& statement = *activation_.mutable_transcript();
    statement.set_type(
        std::string(statement::TypeUri(StatementType::kEnrollment)));
    statement.set_body(AsString(transcript));
    path_ = "/v1/enrollments/" + ToHex(AsBytes(answer.enrollment_id())) +
            "/activation";
    parts().tpm.Submit(
        TpmQueue::Urgency::kUrgent,
        [answer, transcript, selection = *selection](platform::Tpm& tpm) {
          return Activate(tpm, answer, transcript, selection);
        },
        Then<Activated>(&Attempt::OnActivated));
  }

  [[nodiscard]] Bytes Transcript(const v1::EnrollmentAnswer& answer) const {
    v1::Enrollment transcript;
    transcript.set_issuer(to_.issuer);
    transcript.set_tenant(answer.tenant());
    transcript.set_enrollment_id(answer.enrollment_id());
    transcript.set_nonce(answer.nonce());
    for (const platform::EndorsementKey& ek : side_.eks) {
      transcript.add_ek_sha256(AsString(Sha256(ek.public_area.bytes())));
    }
    const auto ak = tpm::PublicArea::Parse(side_.ak->blob.public_area);
    if (ak.has_value()) transcript.set_ak_name(AsString(ak->name()));
    transcript.set_token_sha256(AsString(Sha256(AsBytes(token_))));
    return statement::SerializeStatement(transcript);
  }

  void OnActivated(Activated activated) {
    activation_.set_proof(std::move(activated.proof));
    *activation_.mutable_quote() = std::move(activated.quote.quote);
    parts().service.Post(to_, ServiceLink::kControl, path_,
                         activation_.SerializeAsString(),
                         jose::kKindDeviceRecord, kTimeoutMs,
                         [self = shared_from_this()](ServiceResult result) {
                           self->OnRecord(std::move(result));
                         });
  }

  void OnRecord(ServiceResult result) {
    if (!result.has_value()) {
      Finish(tl::unexpected(std::move(result).error().error));
      return;
    }
    state::EnrolledDevice enrolled;
    enrolled.set_ak_blob(AsString(side_.ak->blob.Encode()));
    enrolled.set_ak_auth(AsString(side_.ak->auth.Expose()));
    enrolled.mutable_record()->set_payload(std::move(result->payload));
    enrolled.mutable_record()->set_jws(std::move(result->jws));
    enrolled.set_jwks(to_.keys->ToJson());
    enrolled.set_service(to_.issuer);
    enrolled.set_ca_pem(to_.ca_pem);
    auto device = MakeDevice(enrolled, enroller_.pinned_);
    if (!device.has_value()) {
      Finish(tl::unexpected(std::move(device).error()));
      return;
    }
    Store(enrolled, *std::move(device));
  }

  void Store(const state::EnrolledDevice& enrolled, DevicePtr device) {
    parts().disk.Submit(
        Worker::Urgency::kNormal,
        [&store = parts().store, &journal = parts().journal, device,
         bytes = ToBytes(
             AsBytes(enrolled.SerializeAsString()))]() -> Result<Enrolled> {
          const std::array<platform::StateStore::Write, 2> writes = {{
              {kDeviceKey, bytes},
              {kEnrollingKey, std::nullopt},
          }};
          CS_RETURN_IF_ERROR(store.Commit(writes));
          Enrolled done{device, {}};
          CS_ASSIGN_OR_RETURN(
              done.journal, journal.Recover(AsBytes(device->record.ak_name())));
          return done;
        },
        [self = shared_from_this()](Result<Enrolled> enrolled_now) {
          self->Finish(std::move(enrolled_now));
        });
  }

  void Finish(Result<Enrolled> result) {
    enroller_.busy_ = false;
    if (!result.has_value() && old_ != nullptr) {
      parts().tpm.Submit(
          TpmQueue::Urgency::kUrgent,
          [old = old_](platform::Tpm& tpm) {
            return tpm.LoadAk(old->blob, old->auth);
          },
          [](const Status&) {});
    }
    done_(std::move(result));
  }

  Enroller& enroller_;
  ServiceAddress to_;
  std::string thumbprint_;
  std::string token_;
  Done done_;
  std::shared_ptr<AkMaterial> old_;
  TpmSide side_;
  v1::ActivationRequest activation_;
  std::string path_;
};

void Enroller::Enroll(const v1::EnrollRequest& request, Done done) {
  if (busy_) {
    done(Fail(ErrorCode::kBusy, "another enrollment is under way"));
    return;
  }
  auto service = CheckIssuer(request.service());
  if (!service.has_value()) {
    done(tl::unexpected(std::move(service).error()));
    return;
  }
  std::string thumbprint;
  if (!request.token().empty()) {
    auto found = ThumbprintInToken(request.token());
    if (!found.has_value()) {
      done(tl::unexpected(std::move(found).error()));
      return;
    }
    thumbprint = *std::move(found);
  } else if (pinned_ == nullptr) {
    done(Fail(ErrorCode::kUntrustedKey,
              "give an enrollment token, or set service.jwks_file"));
    return;
  }
  busy_ = true;
  std::make_shared<Attempt>(*this, *std::move(service), std::move(thumbprint),
                            request, std::move(done))
      ->Start();
}

}  // namespace countersign::agent
