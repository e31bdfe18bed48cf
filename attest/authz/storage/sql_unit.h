// The rows of store.h as SQL, the same for every database: one unit of work on
// one connection, within a transaction that SqlStore opened.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_UNIT_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_UNIT_H_

#include "attest/authz/storage/sql_connection.h"
#include "attest/authz/store.h"

namespace countersign::authz {

class SqlUnit final : public StoreTransaction {
 public:
  explicit SqlUnit(SqlConnection& connection) : connection_(connection) {}

  // sql_unit_identity.cc
  [[nodiscard]] Result<std::optional<TokenRow>> FindToken(
      const Sha256Digest& secret_sha256) override;
  [[nodiscard]] Result<std::vector<TokenRow>> ListTokens() override;
  [[nodiscard]] Result<std::optional<EnrollmentRow>> FindEnrollment(
      ByteSpan id) override;
  [[nodiscard]] Result<std::optional<EnrollmentRow>> FindEnrollmentByAttempt(
      const Sha256Digest& attempt) override;
  [[nodiscard]] Result<std::optional<DeviceRow>> FindDevice(
      ByteSpan id) override;
  [[nodiscard]] Result<std::vector<DeviceRow>> ListDevices(ByteSpan after,
                                                           int limit) override;
  [[nodiscard]] Result<std::vector<EkRow>> FindEk(ByteSpan name) override;
  [[nodiscard]] Result<std::optional<AkRow>> FindAk(ByteSpan name) override;
  [[nodiscard]] Result<std::optional<Bytes>> FindSubjectKey(
      std::string_view subject) override;
  [[nodiscard]] Result<std::optional<Bytes>> FindSecret(
      std::string_view name) override;
  [[nodiscard]] Status PutToken(const TokenRow& row) override;
  [[nodiscard]] Status PutEnrollment(const EnrollmentRow& row) override;
  [[nodiscard]] Status PutDevice(const DeviceRow& row) override;
  [[nodiscard]] Status PutEk(const EkRow& row) override;
  [[nodiscard]] Status PutAk(const AkRow& row) override;
  [[nodiscard]] Status AddChallenge(const ChallengeRow& row) override;
  [[nodiscard]] Result<std::optional<ChallengeRow>> TakeChallenge(
      ByteSpan nonce) override;
  [[nodiscard]] Status DropExpired(int64_t now_ms) override;
  [[nodiscard]] Status PutSubjectKey(std::string_view subject,
                                     ByteSpan key) override;
  [[nodiscard]] Status PutSecret(std::string_view name,
                                 ByteSpan value) override;

  // sql_unit_activity.cc
  [[nodiscard]] Result<std::optional<SessionRow>> FindSession(
      ByteSpan id) override;
  [[nodiscard]] Result<std::optional<SessionRow>> FindSessionByBinding(
      const Sha256Digest& binding) override;
  [[nodiscard]] Result<std::vector<SessionRow>> LiveSessions(
      ByteSpan device_id) override;
  [[nodiscard]] Result<std::vector<SessionRow>> SessionsEndedAfter(
      uint64_t index, ByteSpan device_id, int limit) override;
  [[nodiscard]] Result<std::optional<JournalRow>> FindJournal(
      ByteSpan ak_name, ByteSpan journal_id) override;
  [[nodiscard]] Result<bool> HasJournal(ByteSpan ak_name) override;
  [[nodiscard]] Result<std::optional<BatchRow>> FindBatch(
      const Sha256Digest& digest) override;
  [[nodiscard]] Result<std::vector<ActionRow>> ActionsOfBatch(
      const Sha256Digest& batch) override;
  [[nodiscard]] Result<std::optional<ActionRow>> FindAction(
      const Sha256Digest& digest) override;
  [[nodiscard]] Result<std::vector<Sha256Digest>> KnownActions(
      std::span<const Sha256Digest> digests) override;
  [[nodiscard]] Result<std::optional<ActionRow>> FindActionByIndex(
      uint64_t ledger_index) override;
  [[nodiscard]] Status PutSession(const SessionRow& row) override;
  [[nodiscard]] Status PutJournal(const JournalRow& row) override;
  [[nodiscard]] Status AddBatch(const BatchRow& row) override;
  [[nodiscard]] Status AddAction(const ActionRow& row) override;
  [[nodiscard]] Result<bool> ConsumeOnce(std::string_view name,
                                         int64_t expires_s) override;

  // sql_unit_grants.cc
  [[nodiscard]] Result<std::optional<ClientRow>> FindClient(
      std::string_view name) override;
  [[nodiscard]] Result<std::vector<ClientRow>> ListClients() override;
  [[nodiscard]] Result<std::optional<GrantRevocationRow>> FindGrantRevocation(
      uint64_t ledger_index) override;
  [[nodiscard]] Result<std::vector<uint64_t>> EndedGrants(
      uint64_t first, uint64_t end, int64_t now_ms) override;
  [[nodiscard]] Status PutClient(const ClientRow& row) override;
  [[nodiscard]] Status PutGrantRevocation(
      const GrantRevocationRow& row) override;

  // sql_unit_tasks.cc
  [[nodiscard]] Result<std::optional<TaskRow>> FindTask(
      ByteSpan session_id, std::string_view task_id) override;
  [[nodiscard]] Status PutTask(const TaskRow& row) override;

  // sql_unit_login.cc
  [[nodiscard]] Result<std::optional<LoginRow>> FindLogin(ByteSpan id) override;
  [[nodiscard]] Result<std::vector<LoginRow>> LiveLogins(
      ByteSpan device_id) override;
  [[nodiscard]] Result<std::vector<LoginRow>> LiveLoginsOf(
      std::string_view subject, std::string_view provider_session) override;
  [[nodiscard]] Result<std::optional<PendingLoginRow>> FindPendingLogin(
      ByteSpan id) override;
  [[nodiscard]] Status PutLogin(const LoginRow& row) override;
  [[nodiscard]] Status PutPendingLogin(const PendingLoginRow& row) override;
  [[nodiscard]] Status DropPendingLogins(int64_t now_ms) override;

  // sql_unit_ledger.cc
  [[nodiscard]] Result<std::optional<Bytes>> FindEvidence(
      const Sha256Digest& digest) override;
  [[nodiscard]] Result<LedgerHeadRow> LedgerHead() override;
  [[nodiscard]] Result<std::vector<Bytes>> LedgerEntries(
      uint64_t first, uint64_t count) override;
  [[nodiscard]] Result<uint64_t> FirstEntrySince(int64_t since_ms) override;
  [[nodiscard]] Result<std::optional<Bytes>> FindTile(int level,
                                                      uint64_t index) override;
  [[nodiscard]] Result<std::optional<CheckpointRow>> CheckpointCovering(
      uint64_t index) override;
  [[nodiscard]] Result<std::optional<CheckpointRow>> NewestCheckpoint()
      override;
  [[nodiscard]] Status PutEvidence(const Sha256Digest& digest,
                                   ByteSpan bytes) override;
  [[nodiscard]] Status AddLedgerEntry(uint64_t index, int64_t time_ms,
                                      ByteSpan entry) override;
  [[nodiscard]] Status PutTile(int level, uint64_t index,
                               ByteSpan hashes) override;
  [[nodiscard]] Status PutLedgerHead(const LedgerHeadRow& row) override;
  [[nodiscard]] Status AddCheckpoint(const CheckpointRow& row) override;

 private:
  SqlConnection& connection_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORAGE_SQL_UNIT_H_
