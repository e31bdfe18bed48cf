#include "attest/authz/audit/trail.h"

#include <charconv>

#include "attest/authz/ledger_writer.h"
#include "attest/base/digest.h"
#include "attest/statement/merkle.h"
#include "attest/tpm/event_log.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

constexpr size_t kDigestHex = 64;

Result<Sha256Digest> ToDigest(const std::string& bytes) {
  return DigestFrom(AsBytes(bytes), "digest in a ledger entry");
}

}  // namespace

Result<ActionRow> FindAction(StoreView& view, std::string_view which) {
  if (which.size() == kDigestHex) {
    CS_ASSIGN_OR_RETURN(const Bytes bytes, FromHex(which));
    CS_ASSIGN_OR_RETURN(const auto digest, DigestFrom(bytes, "action"));
    CS_ASSIGN_OR_RETURN(auto row, view.FindAction(digest));
    if (row) return *std::move(row);
    return Fail(ErrorCode::kNotFound, "no such action");
  }
  uint64_t index = 0;
  const auto [end, error] =
      std::from_chars(which.data(), which.data() + which.size(), index);
  if (error != std::errc() || end != which.data() + which.size() ||
      index > INT64_MAX) {
    return Fail(ErrorCode::kBadRequest,
                "an action is named by 64 hex digits or a ledger index");
  }
  CS_ASSIGN_OR_RETURN(auto row, view.FindActionByIndex(index));
  if (row) return *std::move(row);
  return Fail(ErrorCode::kNotFound,
              "entry " + std::to_string(index) + " is not that of an action");
}

Result<TrailReader> TrailReader::Open(StoreView& view, const Config& config,
                                      const ledger::NoteVerifier& log) {
  CS_ASSIGN_OR_RETURN(const auto newest, view.NewestCheckpoint());
  if (!newest) return Fail(ErrorCode::kCheckpointInvalid, "there is none");
  CS_ASSIGN_OR_RETURN(ledger::Checkpoint checkpoint,
                      ledger::OpenCheckpoint(newest->note, log));
  return TrailReader(view, config, log, std::move(checkpoint));
}

Result<ProvenEntry> TrailReader::Entry(uint64_t index) const {
  if (index >= checkpoint_.head.size) {
    return Fail(ErrorCode::kLedgerTruncated,
                "no checkpoint covers entry " + std::to_string(index));
  }
  CS_ASSIGN_OR_RETURN(const v1::LedgerProof proof,
                      LedgerWriter::Prove(view_, index));
  CS_ASSIGN_OR_RETURN(const auto path, statement::HashPathFrom(proof.path()));
  CS_ASSIGN_OR_RETURN(const Sha256Digest root,
                      statement::RootFromInclusionPath(
                          statement::LeafHash(StatementType::kLedgerEntry,
                                              AsBytes(proof.entry())),
                          index, checkpoint_.head.size, path));
  if (root != checkpoint_.head.root) {
    return Fail(
        ErrorCode::kLedgerEntryMismatch,
        "entry " + std::to_string(index) + " is not the one in the tree");
  }
  ProvenEntry proven{.index = index, .entry = {}};
  CS_RETURN_IF_ERROR(statement::ParseStatementInto(
      AsBytes(proof.entry()), statement::kMaxLedgerEntrySize, proven.entry));
  return proven;
}

Result<CheckpointRow> TrailReader::Covering(uint64_t index) const {
  CS_ASSIGN_OR_RETURN(auto row, view_.CheckpointCovering(index));
  if (!row) return Fail(ErrorCode::kCheckpointInvalid, "none covers it");
  CS_ASSIGN_OR_RETURN(const ledger::Checkpoint opened,
                      ledger::OpenCheckpoint(row->note, log_));
  if (opened.head.size != row->size) {
    return Fail(ErrorCode::kCheckpointInvalid, "of another size");
  }
  return *std::move(row);
}

Result<Bytes> TrailReader::Evidence(const std::string& sha256) const {
  CS_ASSIGN_OR_RETURN(const Sha256Digest digest, ToDigest(sha256));
  CS_ASSIGN_OR_RETURN(auto bytes, view_.FindEvidence(digest));
  if (!bytes) {
    return Fail(ErrorCode::kNotFound, "its evidence was erased");
  }
  if (Sha256(*bytes) != digest) {
    return Fail(ErrorCode::kStorageCorrupt, "evidence " + ToHex(digest));
  }
  return *std::move(bytes);
}

Result<DeviceHistory> TrailReader::History(
    const ProvenEntry& decision,
    const std::optional<ProvenEntry>& session) const {
  HistoryQuery query{.device_id = decision.entry.device_id(),
                     .session_id = {},
                     .session_device_id = {},
                     .grant_jti = decision.entry.grant_jti()};
  if (session) {
    query.session_id = session->entry.session_id();
    query.session_device_id = session->entry.device_id();
  }
  return ReadHistory(view_, checkpoint_, query);
}

Result<TrailReader::Enrolled> TrailReader::Enrollment(
    const DeviceHistory& history, ByteSpan device_id, ByteSpan ak_name,
    uint64_t before) const {
  std::optional<uint64_t> erased;  // The newest whose AK nobody can tell.
  for (auto enrolled = history.enrollments.rbegin();
       enrolled != history.enrollments.rend(); ++enrolled) {
    if (enrolled->index >= before ||
        !Equal(AsBytes(enrolled->entry.device_id()), device_id)) {
      continue;
    }
    const Result<Bytes> bytes = Evidence(enrolled->entry.evidence_sha256());
    if (!bytes && bytes.error().code == ErrorCode::kNotFound) {
      if (!erased) erased = enrolled->index;
      continue;
    }
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    v1::DeviceRecord record;
    if (!record.ParseFromArray(bytes->data(),
                               static_cast<int>(bytes->size()))) {
      return Fail(ErrorCode::kDeviceRecordInvalid);
    }
    if (!Equal(AsBytes(record.ak_name()), ak_name)) continue;
    CS_ASSIGN_OR_RETURN(auto device, verifier::KnownDeviceFrom(record));
    return Enrolled{enrolled->index, erased, std::move(record),
                    std::move(device)};
  }
  if (erased) {
    return Fail(ErrorCode::kNotFound,
                "no record of this AK, but that of the enrollment in entry " +
                    std::to_string(*erased) + " was erased");
  }
  if (history.unproven) {
    return Fail(ErrorCode::kLedgerEntryMismatch,
                "no enrollment of this AK, but entry " +
                    std::to_string(*history.unproven) +
                    " is not the one in the tree");
  }
  return Fail(ErrorCode::kAkNotBound, "no enrollment of this AK before entry " +
                                          std::to_string(before));
}

Result<TrailReader::JudgedBatch> TrailReader::Batch(
    const ProvenEntry& proven, const DeviceHistory& history) const {
  const v1::LedgerEntry& decision = proven.entry;
  CS_ASSIGN_OR_RETURN(const Bytes bytes, Evidence(decision.evidence_sha256()));
  v1::BatchEvidence evidence;
  if (!evidence.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(ErrorCode::kMalformedEvidence, "batch");
  }
  CS_ASSIGN_OR_RETURN(const auto claimed,
                      statement::ParseStatement<v1::ActionBatch>(
                          AsBytes(evidence.statement().body()),
                          statement::kMaxActionBatchSize));
  CS_ASSIGN_OR_RETURN(Enrolled enrolled,
                      Enrollment(history, AsBytes(decision.device_id()),
                                 AsBytes(claimed.ak_name()), proven.index));
  const verifier::ExpectedBatch expected{
      .last_clock = std::nullopt,
      .check_chain = [](const v1::ActionBatch&, const Sha256Digest&) {
        return Status();
      }};
  CS_ASSIGN_OR_RETURN(
      const auto result,
      verifier::AppraiseBatch(evidence, enrolled.device, expected));
  if (!result.trusted()) return tl::unexpected<Error>(result.refusal());
  if (!Equal(result.claims().digest, AsBytes(decision.batch_digest())) ||
      !Equal(result.claims().pcrs.attest_sha256(),
             AsBytes(decision.attest_sha256()))) {
    return Fail(ErrorCode::kLedgerEntryMismatch, "another batch");
  }
  return JudgedBatch{std::move(enrolled), result.claims(),
                     std::move(*evidence.mutable_decided())};
}

Result<TrailReader::JudgedSession> TrailReader::Session(
    const ProvenEntry& bound, const DeviceHistory& history) const {
  const v1::LedgerEntry& entry = bound.entry;
  CS_ASSIGN_OR_RETURN(const Bytes bytes, Evidence(entry.evidence_sha256()));
  v1::SessionEvidence evidence;
  if (!evidence.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Fail(ErrorCode::kMalformedEvidence, "session");
  }
  CS_ASSIGN_OR_RETURN(const auto claimed,
                      statement::ParseStatement<v1::SessionBinding>(
                          AsBytes(evidence.statement().body()),
                          statement::kMaxSessionBindingSize));
  CS_ASSIGN_OR_RETURN(const Enrolled enrolled,
                      Enrollment(history, AsBytes(entry.device_id()),
                                 AsBytes(claimed.ak_name()), bound.index));
  const verifier::ExpectedSession expected{
      .last_clock = std::nullopt,
      .tls_exporter = std::nullopt,
      .consume_nonce = [](const v1::SessionBinding&) { return Status(); }};
  CS_ASSIGN_OR_RETURN(
      const auto result,
      verifier::AppraiseSession(evidence, enrolled.device, expected));
  if (!result.trusted()) return tl::unexpected<Error>(result.refusal());
  if (!Equal(result.claims().digest, AsBytes(entry.session_binding_digest()))) {
    return Fail(ErrorCode::kLedgerEntryMismatch, "another session");
  }
  CS_ASSIGN_OR_RETURN(const auto log,
                      tpm::EventLog::Parse(AsBytes(evidence.event_log())));
  return JudgedSession{result.claims(), log.events().size()};
}

}  // namespace countersign::authz
