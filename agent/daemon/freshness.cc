#include "agent/daemon/freshness.h"

#include <algorithm>

#include "attest/base/digest.h"
#include "attest/jose/signed_answer.h"
#include "countersign/v1/service.pb.h"

namespace countersign::agent {
namespace {

// A nonce lives 300 s at most; from this age on it is renewed before it is
// quoted, so that it never runs out on the way.
constexpr int64_t kMaxNonceAgeMs = 240'000;
// What a nonce with a shorter life must have left.
constexpr int64_t kNonceReserveMs = 60'000;
constexpr uint32_t kTimeoutMs = 20'000;

}  // namespace

const std::string& Freshness::EpochNonce() const {
  return clock_.MonotonicMs() < nonce_until_ms_ ? nonce_ : none_;
}

void Freshness::OnNonce(const std::string& nonce, uint32_t ttl_s,
                        int64_t asked_ms) {
  if (nonce.size() != 32) return;
  const int64_t ttl_ms = int64_t{std::min<uint32_t>(ttl_s, 300)} * 1000;
  nonce_ = nonce;
  // A short-lived nonce is used for four fifths of its life.
  nonce_until_ms_ =
      asked_ms + std::min({kMaxNonceAgeMs,
                           std::max(ttl_ms - kNonceReserveMs, ttl_ms * 4 / 5)});
}

void Freshness::Refresh(const Device& device,
                        std::vector<std::string> session_ids, Done done) {
  refreshing_ = true;
  v1::ChallengeRequest request;
  request.set_purpose("epoch");
  request.set_device_id(device.record.device_id());
  request.set_request_nonce(AsString(RandomBytes(16)));
  for (std::string& id : session_ids) request.add_session_ids(std::move(id));
  const int64_t asked_ms = clock_.MonotonicMs();
  service_.Post(
      device.service, ServiceLink::kControl, "/v1/challenges",
      request.SerializeAsString(), jose::kKindChallenge, kTimeoutMs,
      [this, asked_ms, generation = generation_,
       done = std::move(done)](ServiceResult result) {
        if (generation != generation_) return;
        refreshing_ = false;
        if (!result.has_value()) {
          done(tl::unexpected(std::move(result).error()));
          return;
        }
        v1::ChallengeAnswer answer;
        if (!answer.ParseFromString(result->payload) ||
            answer.nonce().size() != 32) {
          done(tl::unexpected(ServiceFailure{
              {ErrorCode::kAnswerInvalid, "a challenge without a nonce"}}));
          return;
        }
        OnNonce(answer.nonce(), answer.ttl_s(), asked_ms);
        for (const v1::Lease& lease : answer.leases()) {
          sessions_.OnLease(lease, asked_ms);
        }
        done({});
      });
}

}  // namespace countersign::agent
