#include "attest/authz/challenge_store.h"

#include "attest/authz/login/provider.h"
#include "attest/base/digest.h"
#include "attest/statement/limits.h"

namespace countersign::authz {
namespace {

constexpr size_t kIdSize = 16;

Status CheckRequest(const v1::ChallengeRequest& request) {
  if (request.purpose() != kPurposeSession &&
      request.purpose() != kPurposeEpoch &&
      request.purpose() != kPurposeLogin &&
      request.purpose() != kPurposeLogout) {
    return Fail(ErrorCode::kBadRequest,
                "purpose is not session, epoch, login or logout");
  }
  if (request.device_id().size() != kIdSize) {
    return Fail(ErrorCode::kBadRequest, "device_id is not 16 bytes");
  }
  if (request.request_nonce().size() != kIdSize) {
    return Fail(ErrorCode::kBadRequest, "request_nonce is not 16 bytes");
  }
  if (request.session_ids_size() > statement::kMaxLeasesAsked) {
    return Fail(ErrorCode::kBadRequest, "too many session_ids");
  }
  return {};
}

Result<v1::ChallengeAnswer> NewChallenge(const Service& service,
                                         const DeviceRow& device,
                                         std::string_view purpose,
                                         const Origin& origin) {
  const int64_t now_ms = service.clock.NowMs();
  const int64_t ttl_s = purpose == kPurposeLogin
                            ? kLoginChallengeTtlS
                            : service.config.sessions.challenge_ttl_s;
  const ChallengeRow row{.nonce = RandomBytes(32),
                         .device_id = device.id,
                         .purpose = std::string(purpose),
                         .tls_exporter = origin.tls_exporter,
                         .expires_ms = now_ms + ttl_s * 1000};
  const auto keep = [&](StoreTransaction& transaction) -> Status {
    CS_RETURN_IF_ERROR(transaction.DropExpired(now_ms));
    return transaction.AddChallenge(row);
  };
  CS_RETURN_IF_ERROR(service.store.Write(keep));
  v1::ChallengeAnswer answer;
  answer.set_nonce(AsString(row.nonce));
  answer.set_ttl_s(static_cast<uint32_t>(ttl_s));
  return answer;
}

Result<ChallengeRow> Take(const Service& service, ByteSpan nonce,
                          ByteSpan device_id, std::string_view purpose) {
  std::optional<ChallengeRow> row;
  CS_RETURN_IF_ERROR(
      service.store.Write([&](StoreTransaction& transaction) -> Status {
        CS_ASSIGN_OR_RETURN(row, transaction.TakeChallenge(nonce));
        if (!row || !Equal(row->device_id, device_id) ||
            row->purpose != purpose) {
          return Fail(ErrorCode::kNonceUnknown);
        }
        if (row->expires_ms <= service.clock.NowMs()) {
          return Fail(ErrorCode::kNonceExpired);
        }
        return {};
      }));
  return *std::move(row);
}

}  // namespace

Result<v1::Lease> LeaseOf(const Service& service, StoreView& view, ByteSpan id,
                          const DeviceRow& device) {
  v1::Lease lease;
  lease.set_session_id(AsString(id));
  CS_ASSIGN_OR_RETURN(const auto session, view.FindSession(id));
  if (!session || session->device_id != device.id) {
    lease.set_ended("unknown");
  } else if (session->ended()) {
    lease.set_ended(session->end_reason);
  } else if (device.revoked) {
    lease.set_ended("device_revoked");
  } else if (session->ak_name != device.ak_name) {
    lease.set_ended("ak_retired");
  } else if (session->expires_ms <= service.clock.NowMs()) {
    lease.set_ended("expired");
  } else {
    lease.set_ttl_s(static_cast<uint32_t>(service.config.sessions.lease_ttl_s));
  }
  return lease;
}

Result<v1::ChallengeAnswer> IssueChallenge(const Service& service,
                                           const v1::ChallengeRequest& request,
                                           const Origin& origin) {
  CS_RETURN_IF_ERROR(CheckRequest(request));
  v1::ChallengeAnswer answer;
  std::optional<DeviceRow> device;
  CS_RETURN_IF_ERROR(service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(device, view.FindDevice(AsBytes(request.device_id())));
    if (!device) return Fail(ErrorCode::kDeviceUnknown);
    if (device->revoked) return Fail(ErrorCode::kDeviceRevoked);
    for (const std::string& id : request.session_ids()) {
      CS_ASSIGN_OR_RETURN(*answer.add_leases(),
                          LeaseOf(service, view, AsBytes(id), *device));
    }
    return {};
  }));
  if (request.purpose() == kPurposeSession) {
    return NewChallenge(service, *device, kPurposeSession, origin);
  }
  if (request.purpose() == kPurposeLogout) {
    return NewChallenge(service, *device, kPurposeLogin, origin);
  }
  if (request.purpose() == kPurposeLogin) {
    if (service.provider == nullptr) return Fail(ErrorCode::kNoProvider);
    CS_ASSIGN_OR_RETURN(v1::LoginProvider facts, service.provider->Facts());
    CS_ASSIGN_OR_RETURN(answer,
                        NewChallenge(service, *device, kPurposeLogin, origin));
    *answer.mutable_provider() = std::move(facts);
    return answer;
  }
  answer.set_nonce(
      AsString(service.epochs.Mint(device->id, service.clock.NowMs())));
  answer.set_ttl_s(service.epochs.ttl_s());
  return answer;
}

Status SpendLoginChallenge(const Service& service, ByteSpan nonce,
                           ByteSpan device_id) {
  CS_RETURN_IF_ERROR(Take(service, nonce, device_id, kPurposeLogin));
  return {};
}

Status SpendChallenge(const Service& service, ByteSpan nonce,
                      ByteSpan device_id, const Origin& origin) {
  CS_ASSIGN_OR_RETURN(const ChallengeRow row,
                      Take(service, nonce, device_id, kPurposeSession));
  if (service.config.sessions.require_channel_binding &&
      origin.tls_exporter.empty()) {
    return Fail(ErrorCode::kChannelBindingMismatch, "TLS 1.3 is required");
  }
  if (!ConstantTimeEqual(row.tls_exporter, origin.tls_exporter) &&
      service.config.sessions.require_channel_binding) {
    return Fail(ErrorCode::kChannelBindingMismatch,
                "the challenge was asked for over another connection");
  }
  return {};
}

}  // namespace countersign::authz
