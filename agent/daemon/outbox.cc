#include "agent/daemon/outbox.h"

#include <algorithm>
#include <utility>

#include "attest/base/digest.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/statement.h"

namespace countersign::agent {
namespace {

constexpr uint32_t kTimeoutMs = 30'000;

// The batch was too long on its way: as a late one it is still recorded.
bool IsTooLate(ErrorCode code) {
  return code == ErrorCode::kEpochExpired || code == ErrorCode::kNonceExpired ||
         code == ErrorCode::kNonceUnknown;
}

Sha256Digest ActionDigest(const std::string& action) {
  return statement::StatementDigest(statement::StatementType::kAction,
                                    AsBytes(action));
}

}  // namespace

void MakeLate(Batch& batch, const Error& why) {
  batch.late = true;
  batch.place.reset();
  for (PendingAction& caller : batch.callers) {
    if (!caller.is_end()) caller.Finish(tl::unexpected(why));
  }
}

void Outbox::Push(std::unique_ptr<Batch> batch) {
  ready_.push_back(std::move(batch));
}

void Outbox::Pump() {
  if (busy_ || ready_.empty()) return;
  Batch& front = *ready_.front();
  if (!front.quote.has_value()) {
    QuoteAgain();
  } else if (!front.place.has_value() || front.place->first()) {
    Deliver();
  } else {
    // A session that was quoted before is still on its way.
    front.place->WhenFirst([this, generation = generation_] {
      if (generation == generation_) Pump();
    });
  }
}

void Outbox::MakeLate(const Error& why) {
  for (const auto& batch : ready_) {
    agent::MakeLate(*batch, why);
  }
}

std::vector<PendingAction> Outbox::Abandon(const Error& why) {
  MakeLate(why);
  std::vector<PendingAction> ends;
  for (const auto& batch : ready_) {
    for (PendingAction& caller : batch->callers) {
      if (caller.is_end()) ends.push_back(std::move(caller));
    }
  }
  ready_.clear();
  busy_ = false;
  ++generation_;
  return ends;
}

bool Outbox::has_late() const {
  return std::ranges::any_of(ready_,
                             [](const auto& batch) { return batch->late; });
}

void Outbox::TrimJournal() {
  if (acknowledged_ == 0) return;
  acknowledged_ = 0;
  // If it fails, the next Append forgets them.
  parts_.disk.Submit(
      Worker::Urgency::kNormal,
      [&journal = parts_.journal] { return journal.Trim(); },
      [](const Status&) {});
}

void Outbox::QuoteAgain() {
  busy_ = true;
  parts_.tpm.Submit(
      TpmQueue::Urgency::kNormal,
      [digest = ready_.front()->digest(),
       selection = device_->selection](platform::Tpm& tpm) {
        return QuoteStatement(tpm, digest, selection);
      },
      [this, generation = generation_](Result<ClockedQuote> quoted) {
        if (generation != generation_) return;
        busy_ = false;
        if (!quoted.has_value()) {
          MakeLate(quoted.error());
          owner_.OnStuck(quoted.error(), 0);
          return;
        }
        ready_.front()->quote = std::move(quoted->quote);
        Pump();
      });
}

void Outbox::Deliver() {
  busy_ = true;
  const int64_t asked_ms = parts_.clock.MonotonicMs();
  parts_.service.Post(
      device_->service, ServiceLink::kActions, "/v1/actions",
      ready_.front()->Evidence().SerializeAsString(), jose::kKindDecisions,
      kTimeoutMs,
      [this, generation = generation_, asked_ms](ServiceResult result) {
        if (generation != generation_) return;
        busy_ = false;
        OnAnswer(std::move(result), asked_ms);
      });
}

void Outbox::OnAnswer(ServiceResult result, int64_t asked_ms) {
  if (!result.has_value()) {
    OnFailure(result.error());
    return;
  }
  answered_bytes_ += result->payload.size();
  v1::BatchAnswer answer;
  if (!answer.ParseFromString(result->payload)) {
    OnFailure({{ErrorCode::kAnswerInvalid, "the decisions cannot be read"}});
  } else if (answer.has_error()) {
    OnConflict(answer);
  } else if (answer.decisions_size() !=
             ready_.front()->entry.batch.actions_size()) {
    OnFailure({{ErrorCode::kAnswerInvalid,
                "another number of decisions than of actions"}});
  } else {
    std::string().swap(result->payload);
    OnDecisions(std::move(answer), asked_ms);
  }
}

void Outbox::OnFailure(const ServiceFailure& failure) {
  Batch& front = *ready_.front();
  if (failure.refused && IsTooLate(failure.error.code) && !front.late) {
    agent::MakeLate(front, failure.error);
    Pump();
  } else if (RefusesDevice(failure)) {
    owner_.OnDeviceRefused(failure.error);
  } else if (MayHeal(failure)) {
    MakeLate(failure.error);
    owner_.OnStuck(failure.error, failure.retry_after_s);
  } else {
    owner_.OnJournalRefused(failure.error);
  }
}

void Outbox::OnDecisions(v1::BatchAnswer answer, int64_t asked_ms) {
  parts_.freshness.OnNonce(answer.epoch_nonce(), answer.epoch_ttl_s(),
                           asked_ms);
  const std::unique_ptr<Batch> batch = TakeFront();
  const auto answered = std::make_shared<const AnsweredBatch>(
      AnsweredBatch{std::move(batch->entry), std::move(batch->tree),
                    *std::move(batch->quote)});
  for (size_t i = 0; i < batch->callers.size(); ++i) {
    PendingAction& caller = batch->callers[i];
    if (!caller.done) continue;
    const auto leaf = static_cast<int>(i);
    ActionOutcome outcome;
    outcome.decision = std::move(*answer.mutable_decisions(leaf));
    outcome.sequence = batch->before.next_action + i;
    outcome.action_digest = ActionDigest(answered->entry.batch.actions(leaf));
    outcome.batch = answered;
    outcome.leaf = static_cast<uint32_t>(i);
    caller.Finish(std::move(outcome));
  }
  for (const v1::Lease& lease : answer.leases()) {
    parts_.sessions.OnLease(lease, asked_ms);
  }
  owner_.OnDelivered();
}

// The service says which batch it expects. If it has some of ours already (an
// answer was lost with its connection), those are done; anything else means
// that the two no longer speak of the same journal.
void Outbox::OnConflict(const v1::BatchAnswer& answer) {
  const uint64_t first = ready_.front()->entry.sequence;
  const uint64_t expected = answer.expected_batch_sequence();
  const uint64_t known = expected - first;  // Of ours; wraps if there are none.
  const bool plausible = expected > first && known <= ready_.size() &&
                         Equal(AsBytes(answer.expected_previous_batch_digest()),
                               ready_[known - 1]->digest());
  if (!plausible) {
    owner_.OnJournalRefused(
        {ErrorCode::kSequenceConflict, "the service expects batch " +
                                           std::to_string(expected) + ", not " +
                                           std::to_string(first)});
    return;
  }
  for (uint64_t i = 0; i < known; ++i) {
    agent::MakeLate(*TakeFront(), {ErrorCode::kLateBatch, "it was recorded"});
  }
  owner_.OnDelivered();
}

std::unique_ptr<Batch> Outbox::TakeFront() {
  std::unique_ptr<Batch> front = std::move(ready_.front());
  ready_.pop_front();
  ++acknowledged_;
  parts_.disk.Submit(
      Worker::Urgency::kNormal,
      [&journal = parts_.journal, sequence = front->entry.sequence] {
        journal.Acknowledge(sequence);
        return true;
      },
      [](bool) {});
  return front;
}

}  // namespace countersign::agent
