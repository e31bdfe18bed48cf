#include "agent/daemon/batcher.h"

#include <algorithm>
#include <utility>

#include "attest/statement/limits.h"
#include "platform/host.h"

namespace countersign::agent {
namespace {

// Batches on their way: one at the service, one behind it.
constexpr size_t kMaxReady = 2;
constexpr size_t kTrimAfterBytes = 1 << 20;

Error EndOf(const Session& session) {
  if (session.end_reason == "expired") return {ErrorCode::kSessionExpired, {}};
  return {ErrorCode::kSessionEnded, "it ended with: " + session.end_reason};
}

}  // namespace

Batcher::Batcher(platform::EventLoop& loop, const Outbox::Parts& parts,
                 QuoteOrder& order, size_t max_batch)
    : loop_(loop),
      parts_(parts),
      order_(order),
      max_batch_(max_batch),
      outbox_(parts, *this),
      pause_(parts.clock),
      refusal_pause_(parts.clock),
      alive_(std::make_shared<bool>(true)) {}

Batcher::~Batcher() {
  *alive_ = false;
  if (retry_timer_ != 0) loop_.Cancel(retry_timer_);
}

void Batcher::Start(DevicePtr device, Journal::Recovered recovered) {
  device_ = std::move(device);
  head_ = std::move(recovered.head);
  parts_.freshness.Forget();
  const Error why{ErrorCode::kNotEnrolled, "enrolled anew"};
  if (preparing_ != nullptr) discard_preparing_ = why;
  (void)outbox_.Abandon(why);
  for (PendingAction& action : std::exchange(held_, {})) {
    action.Finish(tl::unexpected(why));
  }
  refused_.reset();
  renewed_ = false;
  outbox_.set_device(device_);
  for (JournalEntry& entry : recovered.backlog) {
    outbox_.Push(RecoveredBatch(std::move(entry), head_));
  }
  for (const state::OpenSession& left : recovered.sessions) {
    auto session = std::make_shared<Session>();
    session->id = left.session_id();
    session->state = SessionState::kEnded;
    session->end_reason = "daemon_restarted";
    const auto digest = DigestFrom(AsBytes(left.binding_digest()), "digest");
    if (!digest.has_value()) continue;
    session->binding_digest = *digest;
    PendingAction end;
    end.session = session;
    end.session_end = session->end_reason;
    end.requested_at_ms = parts_.clock.NowMs();
    pending_.Push(session->uid, std::move(end));
  }
  pause_.Clear();
  refusal_pause_.Clear();
  PumpSoon();
}

void Batcher::Add(PendingAction action) {
  if (!action.is_end()) {
    const Error* why = refusal_pause_.active();
    if (why == nullptr) why = pause_.blocks_requests();
    if (why != nullptr) {
      action.Finish(tl::unexpected(*why));
      return;
    }
    if (pause_.active() != nullptr) pause_.Cut();
  }
  const uint32_t uid = action.session->uid;
  pending_.Push(uid, std::move(action));
  PumpSoon();
}

void Batcher::OnUplink() {
  if (pause_.Cut()) PumpSoon();
}

bool Batcher::idle() const {
  return held_.empty() && preparing_ == nullptr && !renewing_ &&
         ((pending_.empty() && outbox_.empty()) || paused());
}

// At the end of the loop's turn, so that all that was read in it goes into one
// batch.
void Batcher::PumpSoon() {
  if (pump_posted_) return;
  pump_posted_ = true;
  loop_.Post([this, alive = alive_] {
    if (!*alive) return;
    pump_posted_ = false;
    Pump();
  });
}

void Batcher::Pump() {
  if (device_ == nullptr || renewing_) return;
  if (paused()) {
    ArmRetry();
    return;
  }
  if (refused_.has_value()) {
    RenewJournal();
    return;
  }
  // The next quote first: nothing else takes as long.
  if (preparing_ == nullptr && outbox_.size() < kMaxReady &&
      !outbox_.has_late()) {
    Prepare();
  }
  outbox_.Pump();
  TidyUp();
}

void Batcher::Prepare() {
  if (pending_.empty()) return;
  if (parts_.freshness.EpochNonce().empty()) {
    if (parts_.freshness.refreshing()) return;
    HoldStale();
    Refresh();
    return;
  }
  std::unique_ptr<Batch> batch = Gather();
  if (!held_.empty() && !parts_.freshness.refreshing()) Refresh();
  if (batch != nullptr) QuoteAndJournal(std::move(batch));
}

std::unique_ptr<Batch> Batcher::Gather() {
  BatchBuilder builder(*device_, head_, parts_.freshness.EpochNonce(),
                       max_batch_);
  while (!pending_.empty() && !builder.full()) {
    PendingAction action = pending_.Pop();
    const SessionPtr session = action.session;
    if (!action.is_end()) {
      if (session->state == SessionState::kEnded) {
        action.Finish(tl::unexpected(EndOf(*session)));
        continue;
      }
      if (!parts_.sessions.LeaseFresh(*session)) {
        held_.push_back(std::move(action));
        continue;
      }
      if (action.lease_only) {
        action.Finish(ActionOutcome());
        continue;
      }
    }
    if (auto left = builder.Add(std::move(action))) {
      pending_.PushFront(session->uid, *std::move(left));
      break;
    }
  }
  return builder.empty() ? nullptr : builder.Close();
}

// Before a refresh that is needed anyway: asks for these leases with it.
void Batcher::HoldStale() {
  for (PendingAction& action : pending_.TakeIf([this](const auto& one) {
         return !one.is_end() && !parts_.sessions.LeaseFresh(*one.session);
       })) {
    held_.push_back(std::move(action));
  }
}

void Batcher::Refresh() {
  std::set<std::string> ids;
  for (const PendingAction& action : held_) {
    if (ids.size() == statement::kMaxLeasesAsked) break;
    ids.insert(action.session->id);
  }
  parts_.freshness.Refresh(
      *device_, {ids.begin(), ids.end()},
      [this, ids](const tl::expected<void, ServiceFailure>& result) {
        OnRefreshed(ids, result);
      });
}

void Batcher::OnRefreshed(const std::set<std::string>& asked,
                          const tl::expected<void, ServiceFailure>& result) {
  std::vector<PendingAction> held = std::exchange(held_, {});
  if (!result.has_value()) {
    const ServiceFailure& failure = result.error();
    for (PendingAction& action : held) {
      action.Finish(tl::unexpected(failure.error));
    }
    if (RefusesDevice(failure)) {
      OnDeviceRefused(failure.error);
    } else {
      OnStuck(failure.error, failure.retry_after_s);
    }
    return;
  }
  pause_.Clear();
  for (PendingAction& action : held) {
    Session& session = *action.session;
    if (session.state == SessionState::kEnded) {
      action.Finish(tl::unexpected(EndOf(session)));
    } else if (parts_.sessions.LeaseFresh(session)) {
      pending_.Push(session.uid, std::move(action));
    } else if (asked.contains(session.id)) {
      action.Finish(Fail(ErrorCode::kLeaseStale,
                         "the service did not confirm this session"));
    } else {
      held_.push_back(std::move(action));
    }
  }
  if (!held_.empty()) Refresh();
  PumpSoon();
}

void Batcher::QuoteAndJournal(std::unique_ptr<Batch> batch) {
  preparing_ = std::move(batch);
  head_ = preparing_->after;
  const Batch& current = *preparing_;
  parts_.tpm.Submit(
      TpmQueue::Urgency::kNormal,
      [digest = current.digest(),
       selection = device_->selection](platform::Tpm& tpm) {
        return QuoteStatement(tpm, digest, selection);
      },
      [this](Result<ClockedQuote> quoted) {
        if (quoted.has_value() && !preparing_->late) {
          preparing_->place = order_.Take();
        }
        quoted_ = std::move(quoted);
        FinishPreparing();
      });
  // Entry and head of the batch do not change before both are done.
  parts_.disk.Submit(
      Worker::Urgency::kNormal,
      [&journal = parts_.journal, &entry = current.entry,
       &after = current.after, ended = current.EndedSessions()] {
        return journal.Append(entry, after, ended);
      },
      [this](Status journalled) {
        journalled_ = std::move(journalled);
        FinishPreparing();
      });
}

void Batcher::FinishPreparing() {
  if (!quoted_.has_value() || !journalled_.has_value()) return;
  const Result<ClockedQuote> quoted = *std::exchange(quoted_, std::nullopt);
  const Status journalled = *std::exchange(journalled_, std::nullopt);
  std::unique_ptr<Batch> batch = std::exchange(preparing_, nullptr);
  if (const auto why = std::exchange(discard_preparing_, std::nullopt)) {
    MakeLate(*batch, *why);
    Pump();
    return;
  }
  if (!journalled.has_value()) {
    // Nobody has seen these numbers: they are used again.
    head_ = batch->before;
    MakeLate(*batch, journalled.error());
    std::vector<PendingAction> ends;
    for (PendingAction& caller : batch->callers) {
      if (caller.is_end()) ends.push_back(std::move(caller));
    }
    Requeue(std::move(ends));
    OnStuck(journalled.error(), 0);
    return;
  }
  if (!quoted.has_value()) {
    MakeLate(*batch, quoted.error());
    outbox_.Push(std::move(batch));
    OnStuck(quoted.error(), 0);
    return;
  }
  batch->quote = quoted->quote;
  outbox_.Push(std::move(batch));
  parts_.sessions.OnTpmClock(quoted->clock);
  Pump();
}

void Batcher::OnDelivered() {
  renewed_ = false;
  pause_.Clear();
  refusal_pause_.Clear();
  PumpSoon();
}

void Batcher::OnStuck(const Error& why, uint32_t retry_after_s) {
  outbox_.MakeLate(why);
  if (preparing_ != nullptr) MakeLate(*preparing_, why);
  pause_.Begin(why, retry_after_s);
  FailPending(why);
  ArmRetry();
}

// Wakes up for what is owed to the service, and for nothing else.
void Batcher::ArmRetry() {
  if (retry_timer_ != 0) loop_.Cancel(std::exchange(retry_timer_, 0));
  const bool owes = !outbox_.empty() || preparing_ != nullptr ||
                    !pending_.empty() || refused_.has_value();
  if (!owes) return;
  const std::chrono::milliseconds left(
      std::max(pause_.left_ms(), refusal_pause_.left_ms()));
  retry_timer_ = loop_.RunAfter(left, [this] {
    retry_timer_ = 0;
    Pump();
  });
}

void Batcher::OnJournalRefused(const Error& why) {
  refused_ = why;
  // Nobody is to wait until the pause is over.
  outbox_.MakeLate(why);
  if (preparing_ != nullptr) MakeLate(*preparing_, why);
  FailPending(why);
  // If another journal did not help, one more will hardly.
  if (renewed_) refusal_pause_.Begin(why, 0);
  PumpSoon();
}

// Nothing is owed to a service that takes nothing. Of a device that was revoked
// or enrolled anew its ledger has the end, and with it of every session; of one
// that it does not know it holds no session for open.
void Batcher::OnDeviceRefused(const Error& why) {
  if (preparing_ != nullptr) discard_preparing_ = why;
  (void)outbox_.Abandon(why);
  parts_.sessions.EndAll(std::string(Name(why.code)), /*by_service=*/true);
  for (PendingAction& action :
       pending_.TakeIf([](const auto&) { return true; })) {
    if (!action.is_end()) action.Finish(tl::unexpected(why));
  }
}

// Begins another journal once nothing of the old one is under way. The service
// records a finding, and the device goes on.
void Batcher::RenewJournal() {
  if (preparing_ != nullptr) return;  // FinishPreparing pumps again.
  Requeue(outbox_.Abandon(*refused_));
  renewing_ = renewed_ = true;
  parts_.disk.Submit(
      Worker::Urgency::kNormal,
      [&journal = parts_.journal, ak_name = head_.ak_name] {
        return journal.Renew(ak_name);
      },
      [this, device = device_](Result<JournalHead> head) {
        renewing_ = false;
        if (device_ != device) {
          // Enrolled anew meanwhile: which of the two journals came last on the
          // disk is not known here.
          refused_ = {ErrorCode::kNotEnrolled, "enrolled anew"};
          Pump();
          return;
        }
        if (!head.has_value()) {
          OnStuck(head.error(), 0);
          return;
        }
        head_ = *std::move(head);
        refused_.reset();
        Pump();
      });
}

void Batcher::FailPending(const Error& why) {
  for (PendingAction& action :
       pending_.TakeIf([](const auto& one) { return !one.is_end(); })) {
    action.Finish(tl::unexpected(why));
  }
}

void Batcher::Requeue(std::vector<PendingAction> ends) {
  for (PendingAction& end : ends) {
    const uint32_t uid = end.session->uid;
    pending_.Push(uid, std::move(end));
  }
}

// A burst leaves buffers behind; an idle daemon should not keep them.
void Batcher::TidyUp() {
  if (!pending_.empty() || preparing_ != nullptr || !outbox_.empty()) return;
  outbox_.TrimJournal();
  untrimmed_bytes_ += outbox_.TakeAnsweredBytes();
  if (untrimmed_bytes_ < kTrimAfterBytes) return;
  untrimmed_bytes_ = 0;
  platform::TrimHeap();
}

}  // namespace countersign::agent
