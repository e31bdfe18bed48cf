// The rows of the service's store. Plain values: nothing here checks anything.
// Identifiers and digests are raw bytes; times are the service's clock.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_STORE_ROWS_H_
#define COUNTERSIGN_ATTEST_AUTHZ_STORE_ROWS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "attest/base/bytes.h"
#include "attest/tpm/quote.h"

namespace countersign::authz {

enum class TokenKind : uint8_t { kEnroll = 0, kAdmin = 1 };

// An enrollment or administrator token. Only the hash of its 32-byte random
// secret is kept, so looking it up needs no constant time.
struct TokenRow {
  Sha256Digest secret_sha256{};
  TokenKind kind = TokenKind::kEnroll;
  int64_t max_uses = 1;  // More than one: a fleet token.
  int64_t uses = 0;
  int64_t created_ms = 0;
  int64_t expires_ms = 0;
  bool revoked = false;
};

// One attempt to enroll, until and after its activation.
struct EnrollmentRow {
  Bytes id;                // 16 bytes
  Sha256Digest attempt{};  // Of (token, EK set, AK): makes retries equal.
  Bytes request;           // EnrollmentRequest, without its token.
  std::optional<Sha256Digest> token;  // Key of the TokenRow, if one was given.
  Sha256Digest token_sha256{};  // Of the token's text, for the transcript.
  Bytes nonce;                  // 32 bytes
  Bytes secret;                 // 32 bytes, wrapped for the EK and AK.
  int64_t expires_ms = 0;
  Bytes device_id;  // Once activated.
};

struct DeviceRow {
  Bytes id;       // 16 bytes
  Bytes record;   // DeviceRecord of its newest enrollment.
  Bytes host;     // HostFacts of its newest enrollment; claims.
  Bytes ak_name;  // The one AK that is not retired.
  int64_t enrolled_ms = 0;
  uint64_t enrolled_index = 0;
  bool revoked = false;
  uint64_t revoked_index = 0;  // Meaningful if revoked.
};

// A device's hold on an EK: proven by credential activation, or claimed by a
// device that proved another EK.
struct EkRow {
  Bytes name;
  Bytes device_id;
  bool proven = false;
};

struct AkRow {
  Bytes name;
  Bytes device_id;
  Bytes public_area;
  Bytes qualified_signer;
  bool retired = false;
  std::optional<tpm::TpmClock> clock;  // Highest accepted.
  int64_t seen_ms = 0;
};

struct ChallengeRow {
  Bytes nonce;  // 32 bytes
  Bytes device_id;
  std::string purpose;
  Bytes tls_exporter;  // Of the connection that asked.
  int64_t expires_ms = 0;
};

struct SessionRow {
  Bytes id;  // 16 bytes, minted by the agent.
  Bytes device_id;
  Bytes ak_name;
  Sha256Digest binding_digest{};
  Bytes binding;  // Exact bytes of the SessionBinding.
  std::string subject;
  tpm::TpmClock clock;
  Bytes pcr_digest;
  Sha256Digest evidence_sha256{};
  int64_t opened_ms = 0;
  int64_t expires_ms = 0;
  uint64_t ledger_index = 0;
  std::string end_reason;  // Empty: not ended.
  int64_t ended_ms = 0;
  uint64_t end_index = 0;  // Of the entry that ended it, if ended.

  [[nodiscard]] bool ended() const { return !end_reason.empty(); }
};

struct JournalRow {
  Bytes ak_name;
  Bytes journal_id;  // 16 bytes
  uint64_t next_batch = 0;
  uint64_t next_action = 0;
  Sha256Digest last_digest{};
  tpm::TpmClock clock;  // Of the last batch.
};

struct BatchRow {
  Sha256Digest digest{};
  Bytes device_id;
  Bytes ak_name;
  Bytes journal_id;
  uint64_t batch_sequence = 0;
  Sha256Digest attest_sha256{};
  Sha256Digest evidence_sha256{};
  int64_t received_ms = 0;
};

struct ActionRow {
  Sha256Digest digest{};
  Sha256Digest batch{};
  uint32_t leaf_index = 0;
  Bytes session_id;  // Empty if the leaf names no session that we know.
  Bytes decision;    // ActionDecision without tokens and proof.
  std::string receipt_jti;
  int64_t decided_ms = 0;
  uint64_t ledger_index = 0;
};

// A resource server that may ask about the grants for its audience.
struct ClientRow {
  std::string name;
  std::string audience;
  // One of the two: of a 32-byte random secret, or a JWK Set.
  std::optional<Sha256Digest> secret_sha256;
  std::string jwks;
  int64_t created_ms = 0;
  bool revoked = false;
};

// A grant that was taken back before its time, by the index of its decision.
struct GrantRevocationRow {
  uint64_t ledger_index = 0;
  int64_t revoked_ms = 0;
  uint64_t revoked_index = 0;
};

// How much a task of a session has done.
struct TaskRow {
  Bytes session_id;
  std::string task_id;   // As the client named it; may be empty.
  uint64_t actions = 0;  // That were permitted.
};

struct LedgerHeadRow {
  uint64_t size = 0;
  Sha256Digest root{};
};

struct CheckpointRow {
  uint64_t size = 0;
  std::string note;  // Signed note.
  int64_t time_ms = 0;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_STORE_ROWS_H_
