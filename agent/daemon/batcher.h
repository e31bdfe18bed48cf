// Gathers actions while the TPM is busy and has them quoted as one batch.
//
// No timer makes batches: what arrives while one quote runs is the next. One
// batch is quoted and journalled (at once, on two threads) while the one
// before is at the service (outbox.h); nothing is sent before both are done.
// An action that is refused here gets no number. While a batch is late nothing
// new is numbered. Belongs to the loop's thread.
//
//   pending → preparing (quote ∥ journal) → outbox → decisions
#ifndef COUNTERSIGN_AGENT_DAEMON_BATCHER_H_
#define COUNTERSIGN_AGENT_DAEMON_BATCHER_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/daemon/batch.h"
#include "agent/daemon/fair_queue.h"
#include "agent/daemon/outbox.h"
#include "agent/daemon/pause.h"

namespace countersign::agent {

class Batcher final : private OutboxOwner {
 public:
  // `loop`, `order` and all of `parts` outlive the batcher.
  Batcher(platform::EventLoop& loop, const Outbox::Parts& parts,
          QuoteOrder& order, size_t max_batch);
  ~Batcher() override;

  // The device is enrolled: goes on where `recovered` left off. What it holds
  // is quoted again and sent, late; its sessions are ended.
  void Start(DevicePtr device, Journal::Recovered recovered);

  // Takes an action of an open session, or its end. `done` gets the service's
  // decision or why there is none; of one that is `lease_only` an empty outcome
  // once the session's lease is fresh:
  //   the session's end, kLeaseStale
  //   what ServiceLink says    no answer in time, or a refusal
  //   what platform::Tpm says  it could not be quoted
  //   kDiskFull, kIoError      it could not be journalled
  void Add(PendingAction action);

  // The uplink came: what waits for it need not wait longer.
  void OnUplink();
  void set_max_batch(size_t max_batch) { max_batch_ = max_batch; }

  [[nodiscard]] uint64_t next_action() const { return head_.next_action; }
  // Numbered and not yet answered.
  [[nodiscard]] size_t undelivered() const {
    return outbox_.size() + (preparing_ != nullptr ? 1 : 0);
  }
  // Nobody waits for an answer, and nothing is under way that could bring one.
  [[nodiscard]] bool idle() const;
  // Also for what another request was told.
  void OnDeviceRefused(const Error& why) override;

 private:
  void OnDelivered() override;
  void OnStuck(const Error& why, uint32_t retry_after_s) override;
  void OnJournalRefused(const Error& why) override;

  void PumpSoon();
  void Pump();
  void Prepare();
  [[nodiscard]] std::unique_ptr<Batch> Gather();
  void HoldStale();
  void Refresh();
  void OnRefreshed(const std::set<std::string>& asked,
                   const tl::expected<void, ServiceFailure>& result);
  void QuoteAndJournal(std::unique_ptr<Batch> batch);
  void FinishPreparing();
  void RenewJournal();
  void FailPending(const Error& why);
  void Requeue(std::vector<PendingAction> ends);
  [[nodiscard]] bool paused() const {
    return pause_.active() != nullptr || refusal_pause_.active() != nullptr;
  }
  void ArmRetry();
  void TidyUp();

  platform::EventLoop& loop_;
  Outbox::Parts parts_;
  QuoteOrder& order_;
  size_t max_batch_;
  DevicePtr device_;
  JournalHead head_;

  FairQueue<PendingAction> pending_;
  std::vector<PendingAction> held_;  // Until their sessions' leases are fresh.

  std::unique_ptr<Batch> preparing_;
  std::optional<Result<ClockedQuote>> quoted_;  // Of preparing_. Both must be
  std::optional<Status> journalled_;            // there before it is ready.
  std::optional<Error> discard_preparing_;      // Nobody wants it any more.

  Outbox outbox_;
  std::optional<Error> refused_;  // The journal cannot go on, and why.
  bool renewing_ = false;
  bool renewed_ = false;  // Since a batch was last delivered.

  Pause pause_;
  // Of a service that goes on refusing whatever journal it is sent. Nothing
  // cuts it short, and only a delivery ends it: each try costs a journal here
  // and a finding there.
  Pause refusal_pause_;
  platform::EventLoop::TimerId retry_timer_ = 0;
  bool pump_posted_ = false;
  size_t untrimmed_bytes_ = 0;
  std::shared_ptr<bool> alive_;  // Posted work may outlive the batcher.
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_BATCHER_H_
