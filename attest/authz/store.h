// What the service remembers, as an interface narrow enough for another
// database: rows in and out, one kind of transaction, no SQL.
//
// Writing goes through Store::Write alone: all of a unit of work or nothing of
// it, durable when Write returns. Units of several threads may share one
// commit (and one disk sync). Every invariant that two requests could break
// together (a nonce spent twice, a journal forked) is checked inside one.
//
// Errors of every function: kDiskFull, kStorageBusy, kStorageUnavailable,
// kStorageCorrupt, kIoError. What is not found is an empty optional, not an
// error. A write that returns no rows may be sent later: its error is then
// that of a later call, or of Store::Write.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORE_H_

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attest/authz/login/login_rows.h"
#include "attest/authz/store_rows.h"
#include "attest/base/result.h"

namespace countersign::authz {

// Reads from one consistent state.
class StoreView {
 public:
  virtual ~StoreView() = default;

  [[nodiscard]] virtual Result<std::optional<TokenRow>> FindToken(
      const Sha256Digest& secret_sha256) = 0;
  [[nodiscard]] virtual Result<std::vector<TokenRow>> ListTokens() = 0;
  [[nodiscard]] virtual Result<std::optional<EnrollmentRow>> FindEnrollment(
      ByteSpan id) = 0;
  [[nodiscard]] virtual Result<std::optional<EnrollmentRow>>
  FindEnrollmentByAttempt(const Sha256Digest& attempt) = 0;

  [[nodiscard]] virtual Result<std::optional<DeviceRow>> FindDevice(
      ByteSpan id) = 0;
  // In order of id, those after `after` (empty: from the first).
  [[nodiscard]] virtual Result<std::vector<DeviceRow>> ListDevices(
      ByteSpan after, int limit) = 0;
  // Who has this EK: one proven holder at most, and any number of claimants.
  [[nodiscard]] virtual Result<std::vector<EkRow>> FindEk(ByteSpan name) = 0;
  [[nodiscard]] virtual Result<std::optional<AkRow>> FindAk(ByteSpan name) = 0;

  [[nodiscard]] virtual Result<std::optional<SessionRow>> FindSession(
      ByteSpan id) = 0;
  [[nodiscard]] virtual Result<std::optional<SessionRow>> FindSessionByBinding(
      const Sha256Digest& binding) = 0;
  [[nodiscard]] virtual Result<std::vector<SessionRow>> LiveSessions(
      ByteSpan device_id) = 0;
  // Sessions whose end stands in the ledger behind `index`, in that order; of
  // one device, or of all if `device_id` is empty.
  [[nodiscard]] virtual Result<std::vector<SessionRow>> SessionsEndedAfter(
      uint64_t index, ByteSpan device_id, int limit) = 0;

  [[nodiscard]] virtual Result<std::optional<LoginRow>> FindLogin(
      ByteSpan id) = 0;
  // Those that have not ended: of a device, or of a subject of the identity
  // provider (empty: of any) in one of its sessions (empty: in all). With both,
  // also logins of that subject of which the provider named no session.
  [[nodiscard]] virtual Result<std::vector<LoginRow>> LiveLogins(
      ByteSpan device_id) = 0;
  [[nodiscard]] virtual Result<std::vector<LoginRow>> LiveLoginsOf(
      std::string_view subject, std::string_view provider_session) = 0;
  [[nodiscard]] virtual Result<std::optional<PendingLoginRow>> FindPendingLogin(
      ByteSpan id) = 0;

  [[nodiscard]] virtual Result<std::optional<JournalRow>> FindJournal(
      ByteSpan ak_name, ByteSpan journal_id) = 0;
  [[nodiscard]] virtual Result<bool> HasJournal(ByteSpan ak_name) = 0;
  [[nodiscard]] virtual Result<std::optional<BatchRow>> FindBatch(
      const Sha256Digest& digest) = 0;
  [[nodiscard]] virtual Result<std::vector<ActionRow>> ActionsOfBatch(
      const Sha256Digest& batch) = 0;
  // The first with that digest: a later one was refused as its duplicate.
  [[nodiscard]] virtual Result<std::optional<ActionRow>> FindAction(
      const Sha256Digest& digest) = 0;
  // Those of `digests` that some action has.
  [[nodiscard]] virtual Result<std::vector<Sha256Digest>> KnownActions(
      std::span<const Sha256Digest> digests) = 0;
  [[nodiscard]] virtual Result<std::optional<ActionRow>> FindActionByIndex(
      uint64_t ledger_index) = 0;

  [[nodiscard]] virtual Result<std::optional<ClientRow>> FindClient(
      std::string_view name) = 0;
  [[nodiscard]] virtual Result<std::vector<ClientRow>> ListClients() = 0;
  [[nodiscard]] virtual Result<std::optional<GrantRevocationRow>>
  FindGrantRevocation(uint64_t ledger_index) = 0;
  // Those decisions with an index in [first, end) whose grant is worth nothing
  // any more at `now_ms`: revoked, or its session or device is out.
  [[nodiscard]] virtual Result<std::vector<uint64_t>> EndedGrants(
      uint64_t first, uint64_t end, int64_t now_ms) = 0;
  [[nodiscard]] virtual Result<std::optional<TaskRow>> FindTask(
      ByteSpan session_id, std::string_view task_id) = 0;

  [[nodiscard]] virtual Result<std::optional<Bytes>> FindEvidence(
      const Sha256Digest& digest) = 0;
  // Empty if the subject is unknown or its key was erased.
  [[nodiscard]] virtual Result<std::optional<Bytes>> FindSubjectKey(
      std::string_view subject) = 0;
  [[nodiscard]] virtual Result<std::optional<Bytes>> FindSecret(
      std::string_view name) = 0;

  [[nodiscard]] virtual Result<LedgerHeadRow> LedgerHead() = 0;
  // Exact LedgerEntry bytes of first, first + 1, …, at most `count`, up to the
  // first that is missing.
  [[nodiscard]] virtual Result<std::vector<Bytes>> LedgerEntries(
      uint64_t first, uint64_t count) = 0;
  // Index of an entry of at least `since_ms`, or the size if there is none.
  [[nodiscard]] virtual Result<uint64_t> FirstEntrySince(int64_t since_ms) = 0;
  [[nodiscard]] virtual Result<std::optional<Bytes>> FindTile(
      int level, uint64_t index) = 0;
  // The smallest checkpoint over more than `index` entries; the newest.
  [[nodiscard]] virtual Result<std::optional<CheckpointRow>> CheckpointCovering(
      uint64_t index) = 0;
  [[nodiscard]] virtual Result<std::optional<CheckpointRow>>
  NewestCheckpoint() = 0;
};

// Reads and writes of one unit of work.
class StoreTransaction : public StoreView {
 public:
  // Put… inserts the row or replaces the one with its key.
  [[nodiscard]] virtual Status PutToken(const TokenRow& row) = 0;
  [[nodiscard]] virtual Status PutEnrollment(const EnrollmentRow& row) = 0;
  [[nodiscard]] virtual Status PutDevice(const DeviceRow& row) = 0;
  [[nodiscard]] virtual Status PutEk(const EkRow& row) = 0;
  [[nodiscard]] virtual Status PutAk(const AkRow& row) = 0;
  [[nodiscard]] virtual Status PutSession(const SessionRow& row) = 0;
  [[nodiscard]] virtual Status PutLogin(const LoginRow& row) = 0;
  [[nodiscard]] virtual Status PutPendingLogin(const PendingLoginRow& row) = 0;
  [[nodiscard]] virtual Status DropPendingLogins(int64_t now_ms) = 0;
  [[nodiscard]] virtual Status PutJournal(const JournalRow& row) = 0;

  [[nodiscard]] virtual Status AddChallenge(const ChallengeRow& row) = 0;
  // Takes the challenge out: whoever gets the row spent it.
  [[nodiscard]] virtual Result<std::optional<ChallengeRow>> TakeChallenge(
      ByteSpan nonce) = 0;
  // Forgets what expired so long ago that no step of the clock brings it back:
  // challenges and attempts to enroll after ten minutes, what was consumed
  // once after a day.
  [[nodiscard]] virtual Status DropExpired(int64_t now_ms) = 0;

  [[nodiscard]] virtual Status AddBatch(const BatchRow& row) = 0;
  [[nodiscard]] virtual Status AddAction(const ActionRow& row) = 0;
  [[nodiscard]] virtual Status PutTask(const TaskRow& row) = 0;
  // For what is accepted once: a receipt by its jti, everything else by a name
  // with a ':' (authz/approval.cc, authz/oauth). False if that was consumed
  // before.
  [[nodiscard]] virtual Result<bool> ConsumeOnce(std::string_view name,
                                                 int64_t expires_s) = 0;
  [[nodiscard]] virtual Status PutClient(const ClientRow& row) = 0;
  [[nodiscard]] virtual Status PutGrantRevocation(
      const GrantRevocationRow& row) = 0;
  [[nodiscard]] virtual Status PutEvidence(const Sha256Digest& digest,
                                           ByteSpan bytes) = 0;
  [[nodiscard]] virtual Status PutSubjectKey(std::string_view subject,
                                             ByteSpan key) = 0;
  [[nodiscard]] virtual Status PutSecret(std::string_view name,
                                         ByteSpan value) = 0;

  [[nodiscard]] virtual Status AddLedgerEntry(uint64_t index, int64_t time_ms,
                                              ByteSpan entry) = 0;
  [[nodiscard]] virtual Status PutTile(int level, uint64_t index,
                                       ByteSpan hashes) = 0;
  [[nodiscard]] virtual Status PutLedgerHead(const LedgerHeadRow& row) = 0;
  // One note a size, for good: nothing happens if it is there already, as
  // when two processes sign at once, and kLedgerFork if that one is over
  // another tree.
  [[nodiscard]] virtual Status AddCheckpoint(const CheckpointRow& row) = 0;
};

class Store {
 public:
  virtual ~Store() = default;
  using ReadWork = std::function<Status(StoreView&)>;
  using WriteWork = std::function<Status(StoreTransaction&)>;

  // Both may be called by several threads at once, not within each other.
  // What `work` returns as an error rolls its own writes back and is what
  // Write returns; a commit that fails is the error of every unit that shared
  // it. kStorageUnavailable may leave open whether the unit was committed: it
  // is safe to repeat only what looks first whether it was done.
  [[nodiscard]] virtual Status Read(const ReadWork& work) = 0;
  [[nodiscard]] virtual Status Write(const WriteWork& work) = 0;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORE_H_
