// Every bound on what travels (docs/protocol.md §3), in one place. Sizes are
// bytes of the serialised form. Signer and service include the same file, so
// that neither accepts what the other refuses.
#ifndef COUNTERSIGN_ATTEST_STATEMENT_LIMITS_H_
#define COUNTERSIGN_ATTEST_STATEMENT_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace countersign::statement {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;

// Statements.
inline constexpr size_t kMaxActionSize = 2 * kKiB;
inline constexpr size_t kMaxActionBatchSize = 1 * kKiB;
inline constexpr size_t kMaxEnrollmentSize = 4 * kKiB;
inline constexpr size_t kMaxLoginSize = 4 * kKiB;
inline constexpr size_t kMaxSessionBindingSize = 32 * kKiB;
// A u16 length precedes each entry of a tile (C2SP tlog-tiles).
inline constexpr size_t kMaxLedgerEntrySize = 65'535;

// Fields of an action.
inline constexpr size_t kMaxNameSize = 256;
inline constexpr size_t kMaxResourceSize = 1 * kKiB;
inline constexpr size_t kMaxPurposeSize = 256;
inline constexpr size_t kMaxTaskIdSize = 256;
inline constexpr size_t kMaxAudienceSize = 512;
inline constexpr size_t kMaxApproverSize = 128;
inline constexpr size_t kMaxApprovalReferenceSize = 64;

// Request bodies.
inline constexpr size_t kMaxSessionEvidenceSize = 512 * kKiB;
inline constexpr uint32_t kMaxBatchLeaves = 2'048;
inline constexpr size_t kMaxBatchSize = 768 * kKiB;
// Sessions whose leases one challenge request may ask for.
inline constexpr int kMaxLeasesAsked = 256;
inline constexpr size_t kMaxEnrollmentBodySize = 64 * kKiB;
inline constexpr size_t kMaxSmallBodySize = 16 * kKiB;

// 2,048 grants of about 1.9 KB with receipts of about 0.8 KB need 5.4 MB. An
// answer travels in one frame between uplink and signer (agent/ipc/frame.h:
// 8 MiB), which adds a little of its own.
inline constexpr size_t kMaxAnswerSize = 8 * kMiB - 64 * kKiB;

}  // namespace countersign::statement

#endif  // COUNTERSIGN_ATTEST_STATEMENT_LIMITS_H_
