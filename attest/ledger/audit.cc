#include "attest/ledger/audit.h"

#include <algorithm>
#include <utility>

namespace countersign::ledger {
namespace {

using statement::LeafHash;
using statement::RootBuilder;

// A head, and what recomputing found at its size.
struct JudgedHead {
  TreeHead head;
  bool entries_agree = false;
  bool leaves_agree = false;  // The stored leaf hashes.
};

// The last index of a tree; of an empty one, 0 as well.
uint64_t LastOf(const TreeHead& head) {
  return head.size == 0 ? 0 : head.size - 1;
}

LedgerFinding Finding(ErrorCode code, uint64_t first, uint64_t last,
                      std::string detail) {
  return {code, first, last, std::move(detail)};
}

// Opens every checkpoint; smallest first.
Result<std::vector<JudgedHead>> OpenHeads(const NoteVerifier& log,
                                          const LedgerEvidence& evidence) {
  std::vector<JudgedHead> heads;
  for (const std::string& note : evidence.checkpoints) {
    CS_ASSIGN_OR_RETURN(const Checkpoint checkpoint, OpenCheckpoint(note, log));
    heads.push_back({checkpoint.head});
  }
  if (heads.empty()) {
    return Fail(ErrorCode::kCheckpointInvalid, "there is no checkpoint");
  }
  const auto by_size = [](const JudgedHead& a, const JudgedHead& b) {
    return a.head.size < b.head.size;
  };
  std::ranges::stable_sort(heads, by_size);
  const uint64_t newest = heads.back().head.size;
  if (evidence.kept_head && evidence.kept_head->size <= newest) {
    const JudgedHead kept{*evidence.kept_head};
    heads.insert(std::ranges::upper_bound(heads, kept, by_size), kept);
  }
  return heads;
}

// What the heads say of each other, before any entry is read.
std::optional<LedgerFinding> CompareHeads(const std::vector<JudgedHead>& heads,
                                          const LedgerEvidence& evidence) {
  uint64_t agreed = 0;
  for (size_t i = 1; i < heads.size(); ++i) {
    const TreeHead& before = heads[i - 1].head;
    const TreeHead& head = heads[i].head;
    if (head.size != before.size) {
      agreed = before.size;
    } else if (head.root != before.root) {
      return Finding(ErrorCode::kLedgerFork, agreed, LastOf(head),
                     "two heads of size " + std::to_string(head.size) +
                         " contradict each other");
    }
  }
  const uint64_t newest = heads.back().head.size;
  if (evidence.kept_head && evidence.kept_head->size > newest) {
    return Finding(ErrorCode::kLedgerRolledBack, newest,
                   evidence.kept_head->size - 1,
                   "the newest checkpoint is older than a head that was kept");
  }
  return std::nullopt;
}

// Reads entries and stored leaves side by side, and judges each head on the
// way.
class Recomputation {
 public:
  Recomputation(EntryReader& entries, const TileStore& tiles,
                std::vector<JudgedHead>& heads)
      : entries_(entries), tiles_(tiles), heads_(heads) {}

  Status Run() {
    const uint64_t end = heads_.back().head.size;
    JudgeHeadsAt(0);
    for (uint64_t index = 0; index < end; ++index) {
      CS_ASSIGN_OR_RETURN(const std::optional<Bytes> entry,
                          entries_.ReadEntry(index));
      if (!entry) {
        missing_ = index;
        return {};
      }
      CS_ASSIGN_OR_RETURN(const Sha256Digest stored, StoredLeaf(index, end));
      const Sha256Digest leaf = LeafHash(ByteSpan(*entry));
      if (leaf != stored && !difference_) difference_ = index;
      from_entries_.Add(leaf);
      from_leaves_.Add(stored);
      JudgeHeadsAt(index + 1);
    }
    return {};
  }

  uint64_t entries() const { return from_entries_.size(); }
  // The first entry that is not there.
  const std::optional<uint64_t>& missing() const { return missing_; }
  // The first entry whose hash is not the stored leaf.
  const std::optional<uint64_t>& difference() const { return difference_; }

 private:
  Result<Sha256Digest> StoredLeaf(uint64_t index, uint64_t end) {
    const uint64_t offset = index % kTileWidth;
    if (offset == 0) {
      const TileId id{0, index / kTileWidth};
      const int width = TileWidthAt(id, end);
      CS_ASSIGN_OR_RETURN(tile_, tiles_.ReadTile(id, width));
      if (tile_.size() < static_cast<size_t>(width) * sizeof(Sha256Digest)) {
        return Fail(ErrorCode::kStorageCorrupt,
                    "too few hashes in " + TilePath(id, width));
      }
    }
    Sha256Digest leaf;
    std::copy_n(tile_.begin() + static_cast<ptrdiff_t>(offset * leaf.size()),
                leaf.size(), leaf.begin());
    return leaf;
  }

  void JudgeHeadsAt(uint64_t size) {
    for (; next_head_ < heads_.size() && heads_[next_head_].head.size == size;
         ++next_head_) {
      JudgedHead& judged = heads_[next_head_];
      judged.entries_agree = judged.head.root == from_entries_.Root();
      judged.leaves_agree = judged.head.root == from_leaves_.Root();
    }
  }

  EntryReader& entries_;
  const TileStore& tiles_;
  std::vector<JudgedHead>& heads_;
  size_t next_head_ = 0;
  RootBuilder from_entries_;
  RootBuilder from_leaves_;
  Bytes tile_;
  std::optional<uint64_t> missing_;
  std::optional<uint64_t> difference_;
};

// The first bad entry below the first head that the entries do not lead to.
LedgerFinding BadHead(const std::vector<JudgedHead>& heads, size_t bad,
                      const std::optional<uint64_t>& difference) {
  const TreeHead& head = heads[bad].head;
  if (heads.back().entries_agree) {
    return Finding(ErrorCode::kLedgerFork,
                   bad == 0 ? 0 : heads[bad - 1].head.size, LastOf(head),
                   "the heads of size " + std::to_string(head.size) + " and " +
                       std::to_string(heads.back().head.size) +
                       " contradict each other");
  }
  if (heads[bad].leaves_agree && difference) {
    return Finding(ErrorCode::kLedgerEntryMismatch, *difference, *difference,
                   "entry " + std::to_string(*difference) +
                       " is not the one that was logged");
  }
  return Finding(ErrorCode::kLedgerEntryMismatch,
                 bad == 0 ? 0 : heads[bad - 1].head.size, LastOf(head),
                 "the entries do not lead to the head signed at size " +
                     std::to_string(head.size));
}

std::optional<LedgerFinding> Conclude(const std::vector<JudgedHead>& heads,
                                      const Recomputation& recomputed) {
  const uint64_t judged_to = recomputed.entries();
  for (size_t i = 0; i < heads.size() && heads[i].head.size <= judged_to; ++i) {
    if (!heads[i].entries_agree) {
      return BadHead(heads, i, recomputed.difference());
    }
  }
  if (const auto& difference = recomputed.difference(); difference) {
    return Finding(ErrorCode::kLedgerEntryMismatch, *difference, *difference,
                   "entry " + std::to_string(*difference) +
                       " and the stored hash of it differ");
  }
  if (const auto& missing = recomputed.missing(); missing) {
    return Finding(ErrorCode::kLedgerTruncated, *missing,
                   LastOf(heads.back().head),
                   "entry " + std::to_string(*missing) + " is missing");
  }
  return std::nullopt;
}

}  // namespace

Result<LedgerAudit> VerifyLedger(EntryReader& entries, const TileStore& tiles,
                                 const NoteVerifier& log,
                                 const LedgerEvidence& evidence) {
  LedgerAudit audit;
  auto heads = OpenHeads(log, evidence);
  if (!heads) {
    audit.finding = Finding(heads.error().code, 0, 0, heads.error().detail);
    return audit;
  }
  audit.head = heads->back().head;
  audit.finding = CompareHeads(*heads, evidence);
  if (audit.finding) return audit;
  Recomputation recomputation(entries, tiles, *heads);
  CS_RETURN_IF_ERROR(recomputation.Run());
  audit.entries = recomputation.entries();
  audit.finding = Conclude(*heads, recomputation);
  return audit;
}

}  // namespace countersign::ledger
