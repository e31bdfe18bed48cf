#include "agent/daemon/journal.h"

#include <optional>

#include "attest/base/digest.h"
#include "attest/statement/statement.h"
#include "countersign/v1/statements.pb.h"

namespace countersign::agent {
namespace {

using platform::StateStore;

constexpr char kHeadKey[] = "journal";
constexpr char kBatchPrefix[] = "batch/";
constexpr char kRefusedPrefix[] = "refused/";
constexpr char kSessionPrefix[] = "session/";
// Refused batches are for a person to look at; more than these tell nothing.
constexpr size_t kMaxRefused = 64;
constexpr size_t kScanLimit = 65'536;

// Big-endian hex, so that keys sort like numbers.
std::string BatchKey(uint64_t sequence) {
  std::array<uint8_t, 8> bytes{};
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(sequence >> (56 - 8 * i));
  }
  return kBatchPrefix + ToHex(bytes);
}

std::string SessionKey(const std::string& session_id) {
  return kSessionPrefix + ToHex(AsBytes(session_id));
}

Bytes Serialized(const google::protobuf::MessageLite& message) {
  return ToBytes(AsBytes(message.SerializeAsString()));
}

template <typename M>
std::optional<M> Parsed(ByteSpan bytes) {
  M message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return std::nullopt;
  }
  return message;
}

StateStore::Write HeadWrite(const JournalHead& head) {
  state::JournalHead stored;
  stored.set_journal_id(AsString(head.journal_id));
  stored.set_ak_name(AsString(head.ak_name));
  stored.set_next_batch(head.next_batch);
  stored.set_next_action(head.next_action);
  stored.set_previous_batch_digest(AsString(head.previous_batch_digest));
  return {kHeadKey, Serialized(stored)};
}

std::optional<JournalHead> HeadFrom(const state::JournalHead& stored) {
  JournalHead head;
  const auto digest =
      DigestFrom(AsBytes(stored.previous_batch_digest()), "digest");
  if (!digest.has_value() || stored.journal_id().size() != 16) {
    return std::nullopt;
  }
  head.journal_id = ToBytes(AsBytes(stored.journal_id()));
  head.ak_name = ToBytes(AsBytes(stored.ak_name()));
  head.next_batch = stored.next_batch();
  head.next_action = stored.next_action();
  head.previous_batch_digest = *digest;
  return head;
}

JournalHead NewHead(ByteSpan ak_name) {
  JournalHead head;
  head.journal_id = RandomBytes(16);
  head.ak_name = ToBytes(ak_name);
  return head;
}

// Does the backlog lead up to the head without a gap?
bool Explains(const std::vector<JournalEntry>& backlog,
              const JournalHead& head) {
  if (backlog.empty()) return true;
  auto first = Parsed<v1::ActionBatch>(
      AsBytes(backlog.front().batch.statement().body()));
  if (!first.has_value()) return false;
  JournalHead at = head;
  at.next_batch = first->batch_sequence();
  at.next_action = first->first_action_sequence();
  const auto previous =
      DigestFrom(AsBytes(first->previous_batch_digest()), "digest");
  if (!previous.has_value()) return false;
  at.previous_batch_digest = *previous;
  for (const JournalEntry& entry : backlog) {
    auto after = HeadAfter(at, entry);
    if (!after.has_value()) return false;
    at = *std::move(after);
  }
  return at.next_batch == head.next_batch &&
         at.next_action == head.next_action &&
         at.previous_batch_digest == head.previous_batch_digest;
}

}  // namespace

Result<JournalHead> HeadAfter(const JournalHead& head,
                              const JournalEntry& entry) {
  const std::string& body = entry.batch.statement().body();
  const auto batch = Parsed<v1::ActionBatch>(AsBytes(body));
  if (!batch.has_value() || entry.sequence != head.next_batch ||
      batch->batch_sequence() != head.next_batch ||
      batch->first_action_sequence() != head.next_action ||
      batch->tree_size() != static_cast<uint32_t>(entry.batch.actions_size()) ||
      !Equal(AsBytes(batch->journal_id()), head.journal_id) ||
      !Equal(AsBytes(batch->ak_name()), head.ak_name) ||
      !Equal(AsBytes(batch->previous_batch_digest()),
             head.previous_batch_digest)) {
    return Fail(ErrorCode::kStorageCorrupt,
                "batch " + std::to_string(entry.sequence) +
                    " does not follow the one before it");
  }
  JournalHead after = head;
  ++after.next_batch;
  after.next_action += batch->tree_size();
  after.previous_batch_digest = statement::StatementDigest(
      statement::StatementType::kActionBatch, AsBytes(body));
  return after;
}

Result<Journal::Recovered> Journal::Recover(ByteSpan ak_name) {
  Recovered found;
  CS_ASSIGN_OR_RETURN(found.sessions, Sessions());
  CS_ASSIGN_OR_RETURN(found.backlog, Batches());
  CS_ASSIGN_OR_RETURN(const auto stored, store_.Get(kHeadKey));
  std::optional<JournalHead> head;
  if (!stored.has_value()) {
    if (!found.backlog.empty()) found.new_journal_reason = "its head is lost";
  } else if (const auto parsed = Parsed<state::JournalHead>(*stored)) {
    head = HeadFrom(*parsed);
    if (!head.has_value()) found.new_journal_reason = "its head is damaged";
  } else {
    found.new_journal_reason = "its head is damaged";
  }
  if (head.has_value() && !Equal(head->ak_name, ak_name)) {
    found.new_journal_reason = "the attestation key is another";
    head.reset();
  } else if (head.has_value() && !Explains(found.backlog, *head)) {
    found.new_journal_reason = "batches are missing or damaged";
    head.reset();
  }
  if (head.has_value()) {
    found.head = *std::move(head);
    journal_id_ = found.head.journal_id;
    return found;
  }
  found.backlog.clear();
  CS_ASSIGN_OR_RETURN(found.head, Renew(ak_name));
  return found;
}

Status Journal::Append(const JournalEntry& entry, const JournalHead& after,
                       std::span<const std::string> ended_sessions) {
  if (after.journal_id != journal_id_) {
    return Fail(ErrorCode::kBusy, "another journal has begun");
  }
  Writes writes;
  writes.push_back({BatchKey(entry.sequence), Serialized(entry.batch)});
  writes.push_back(HeadWrite(after));
  for (const std::string& session_id : ended_sessions) {
    writes.push_back({SessionKey(session_id), std::nullopt});
  }
  ForgetAcknowledged(writes);
  CS_RETURN_IF_ERROR(store_.Commit(writes));
  acknowledged_.clear();
  return {};
}

Status Journal::Trim() {
  if (acknowledged_.empty()) return {};
  Writes writes;
  ForgetAcknowledged(writes);
  CS_RETURN_IF_ERROR(store_.Commit(writes));
  acknowledged_.clear();
  return {};
}

void Journal::ForgetAcknowledged(Writes& writes) const {
  for (const uint64_t sequence : acknowledged_) {
    writes.push_back({BatchKey(sequence), std::nullopt});
  }
}

Result<JournalHead> Journal::Renew(ByteSpan ak_name) {
  CS_RETURN_IF_ERROR(Trim());
  CS_RETURN_IF_ERROR(SetAside());
  const JournalHead head = NewHead(ak_name);
  const StateStore::Write write = HeadWrite(head);
  CS_RETURN_IF_ERROR(store_.Commit({&write, 1}));
  journal_id_ = head.journal_id;
  return head;
}

Status Journal::SetAside() {
  CS_ASSIGN_OR_RETURN(auto batches, store_.Scan(kBatchPrefix, "", kScanLimit));
  CS_ASSIGN_OR_RETURN(const auto old,
                      store_.Scan(kRefusedPrefix, "", kScanLimit));
  if (batches.empty()) return {};
  // A random part keeps batches of several journals apart.
  const std::string prefix = kRefusedPrefix + ToHex(RandomBytes(8)) + "/";
  Writes writes;
  for (auto& entry : batches) {
    if (old.size() + writes.size() / 2 < kMaxRefused) {
      writes.push_back({prefix + entry.key, std::move(entry.value)});
    }
    writes.push_back({entry.key, std::nullopt});
  }
  return store_.Commit(writes);
}

Result<std::vector<JournalEntry>> Journal::Batches() {
  std::vector<JournalEntry> batches;
  CS_ASSIGN_OR_RETURN(const auto entries,
                      store_.Scan(kBatchPrefix, "", kScanLimit));
  for (const auto& entry : entries) {
    const auto number = FromHex(entry.key.substr(sizeof(kBatchPrefix) - 1));
    auto batch = Parsed<state::JournalledBatch>(entry.value);
    // A damaged entry keeps its place, so that the chain shows the damage.
    JournalEntry recovered;
    if (number.has_value() && number->size() == 8) {
      for (const uint8_t byte : *number) {
        recovered.sequence = recovered.sequence << 8 | byte;
      }
    }
    if (batch.has_value()) recovered.batch = *std::move(batch);
    batches.push_back(std::move(recovered));
  }
  return batches;
}

Result<std::vector<state::OpenSession>> Journal::Sessions() {
  std::vector<state::OpenSession> sessions;
  CS_ASSIGN_OR_RETURN(const auto entries,
                      store_.Scan(kSessionPrefix, "", kScanLimit));
  for (const auto& entry : entries) {
    auto session = Parsed<state::OpenSession>(entry.value);
    if (!session.has_value()) continue;
    // Only what ends it is needed after a restart, not its boot event log.
    session->clear_evidence();
    sessions.push_back(*std::move(session));
  }
  return sessions;
}

Status Journal::PutSession(const state::OpenSession& session) {
  const StateStore::Write write{SessionKey(session.session_id()),
                                Serialized(session)};
  return store_.Commit({&write, 1});
}

Result<state::OpenSession> Journal::GetSession(const std::string& session_id) {
  CS_ASSIGN_OR_RETURN(const auto stored, store_.Get(SessionKey(session_id)));
  if (!stored.has_value()) {
    return Fail(ErrorCode::kNotFound, "no record of this session");
  }
  auto session = Parsed<state::OpenSession>(*stored);
  if (!session.has_value()) {
    return Fail(ErrorCode::kStorageCorrupt, "the record of a session");
  }
  return *std::move(session);
}

Status Journal::DropSession(const std::string& session_id) {
  const StateStore::Write write{SessionKey(session_id), std::nullopt};
  return store_.Commit({&write, 1});
}

}  // namespace countersign::agent
