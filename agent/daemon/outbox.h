// Brings journalled batches to the service, one at a time and in order, and
// decisions back to those who asked.
//
// A batch that is not answered at once becomes late: whoever waited is told,
// and it is sent again until the service has answered it. One that was
// journalled and not quoted (a crash, a TPM that failed) is quoted first, the
// same bytes. Decides nothing about when to try again: its owner does.
// Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_OUTBOX_H_
#define COUNTERSIGN_AGENT_DAEMON_OUTBOX_H_

#include <deque>
#include <memory>
#include <vector>

#include "agent/daemon/batch.h"
#include "agent/daemon/freshness.h"
#include "agent/daemon/journal.h"
#include "agent/daemon/service_link.h"
#include "agent/daemon/session_registry.h"
#include "agent/daemon/tpm_queue.h"
#include "agent/daemon/worker.h"
#include "attest/base/clock.h"

namespace countersign::agent {

class OutboxOwner {
 public:
  virtual ~OutboxOwner() = default;
  // The first batch was answered: there is room for another.
  virtual void OnDelivered() = 0;
  // Nothing can be delivered now; Pump() again after a while.
  virtual void OnStuck(const Error& why, uint32_t retry_after_s) = 0;
  // The service will never take the batches of this journal: Abandon() them
  // and begin another one.
  virtual void OnJournalRefused(const Error& why) = 0;
  // The service takes nothing from this device any more: Abandon() them.
  virtual void OnDeviceRefused(const Error& why) = 0;
};

class Outbox {
 public:
  // All outlive the outbox. `journal` is used on `disk` alone.
  struct Parts {
    const Clock& clock;
    TpmQueue& tpm;
    Worker& disk;
    Journal& journal;
    ServiceLink& service;
    SessionRegistry& sessions;
    Freshness& freshness;
  };

  Outbox(const Parts& parts, OutboxOwner& owner)
      : parts_(parts), owner_(owner) {}

  void set_device(DevicePtr device) { device_ = std::move(device); }

  // Takes a journalled batch; then Pump().
  void Push(std::unique_ptr<Batch> batch);
  // Begins with the first batch, unless it is under way already.
  void Pump();

  // Tells all who wait that their batches could not be delivered in time.
  void MakeLate(const Error& why);
  // Drops everything. Session ends come back, to be numbered anew.
  [[nodiscard]] std::vector<PendingAction> Abandon(const Error& why);

  [[nodiscard]] bool empty() const { return ready_.empty(); }
  [[nodiscard]] size_t size() const { return ready_.size(); }
  // Holds batches that must be delivered before anything new is numbered.
  [[nodiscard]] bool has_late() const;
  // Forgets answered batches on the disk, if there are any.
  void TrimJournal();
  // Bytes of answers since this was last asked.
  [[nodiscard]] size_t TakeAnsweredBytes() {
    return std::exchange(answered_bytes_, 0);
  }

 private:
  void QuoteAgain();
  void Deliver();
  void OnAnswer(ServiceResult result, int64_t asked_ms);
  void OnFailure(const ServiceFailure& failure);
  void OnDecisions(v1::BatchAnswer answer, int64_t asked_ms);
  void OnConflict(const v1::BatchAnswer& answer);
  [[nodiscard]] std::unique_ptr<Batch> TakeFront();

  Parts parts_;
  OutboxOwner& owner_;
  DevicePtr device_;
  std::deque<std::unique_ptr<Batch>> ready_;
  bool busy_ = false;
  // Rises when batches are dropped, so that an answer to one that is gone is
  // not taken for another's.
  uint64_t generation_ = 0;
  size_t acknowledged_ = 0;  // Since the journal was last trimmed.
  size_t answered_bytes_ = 0;
};

// From now on `batch` is only to be recorded: tells those who asked for actions
// of it why they get no decision. Session ends stay with it: nobody waits for
// them.
void MakeLate(Batch& batch, const Error& why);

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_OUTBOX_H_
