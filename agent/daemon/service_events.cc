#include "agent/daemon/service_events.h"

#include <algorithm>
#include <utility>

#include "attest/base/digest.h"
#include "attest/jose/signed_answer.h"
#include "countersign/v1/service.pb.h"

namespace countersign::agent {
namespace {

// The service answers after 50 s at the latest.
constexpr uint32_t kTimeoutMs = 75'000;
// After an answer with nothing in it (the service stops, a proxy is impatient)
// asking again at once could go round and round.
constexpr int64_t kBetweenMs = 1'000;

}  // namespace

ServiceEvents::ServiceEvents(platform::EventLoop& loop, const Clock& clock,
                             ServiceLink& service, SessionRegistry& sessions,
                             OnDeviceRefused on_refused)
    : loop_(loop),
      clock_(clock),
      service_(service),
      sessions_(sessions),
      on_refused_(std::move(on_refused)),
      pause_(clock) {}

ServiceEvents::~ServiceEvents() {
  if (timer_ != 0) loop_.Cancel(timer_);
}

void ServiceEvents::set_device(DevicePtr device) {
  device_ = std::move(device);
  token_.clear();
  after_ = 0;
  asking_ = false;
  ++generation_;
  pause_.Clear();
}

void ServiceEvents::OnSessionOpen(const std::string& token,
                                  uint64_t ledger_index) {
  // None is owed by the service: then leases alone tell.
  if (token.empty()) return;
  token_ = token;
  // Before the first one, nothing was here that could have ended.
  if (sessions_.size() <= 1) after_ = std::max(after_, ledger_index);
  Pump();
}

void ServiceEvents::OnUplink() {
  if (pause_.Cut()) Pump();
}

void ServiceEvents::PumpAfter(int64_t delay_ms) {
  if (timer_ != 0) loop_.Cancel(timer_);
  timer_ = loop_.RunAfter(std::chrono::milliseconds(delay_ms), [this] {
    timer_ = 0;
    Pump();
  });
}

void ServiceEvents::Pump() {
  if (asking_ || token_.empty() || sessions_.size() == 0) return;
  if (const int64_t left_ms = pause_.left_ms(); left_ms > 0) {
    return PumpAfter(left_ms);
  }
  asking_ = true;
  v1::EventsRequest request;
  request.set_device_id(device_->record.device_id());
  request.set_event_token(token_);
  request.set_after_index(after_);
  request.set_request_nonce(AsString(RandomBytes(16)));
  service_.Post(device_->service, ServiceLink::kEvents, "/v1/events",
                request.SerializeAsString(), jose::kKindEvents, kTimeoutMs,
                [this, asked_ms = clock_.MonotonicMs(),
                 generation = generation_](ServiceResult result) {
                  if (generation != generation_) return;
                  asking_ = false;
                  OnAnswer(std::move(result), asked_ms);
                });
}

void ServiceEvents::OnAnswer(ServiceResult result, int64_t asked_ms) {
  v1::EventsAnswer answer;
  if (result.has_value() && !answer.ParseFromString(result->payload)) {
    result = tl::unexpected(ServiceFailure{
        {ErrorCode::kAnswerInvalid, "the events cannot be read"}});
  }
  if (!result.has_value()) {
    const ServiceFailure& failure = result.error();
    if (RefusesDevice(failure)) return on_refused_(failure.error);
    if (!MayHeal(failure)) {
      // The next session brings another token.
      token_.clear();
      return;
    }
    pause_.Begin(failure.error, failure.retry_after_s);
    return Pump();
  }
  pause_.Clear();
  token_ = answer.event_token();
  after_ = std::max(after_, answer.up_to_index());
  for (const v1::Lease& lease : answer.ended()) {
    sessions_.OnLease(lease, asked_ms);
  }
  if (answer.ended().empty()) return PumpAfter(kBetweenMs);
  Pump();
}

}  // namespace countersign::agent
