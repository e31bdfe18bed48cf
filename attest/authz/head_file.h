// The last signed head of the ledger, in a file outside the database: a
// database restored from a backup does not bring an old head with it.
//
// The file has two slots of 4 KiB, each a checkpoint's text with its SHA-256.
// Store writes the one that Load did not choose, so that a crash leaves the
// last head readable and a batch waits for one disk write, not three.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_HEAD_FILE_H_
#define COUNTERSIGN_ATTEST_AUTHZ_HEAD_FILE_H_

#include <optional>
#include <string>

#include "attest/ledger/head_guard.h"

namespace countersign::authz {

// Holds the file's lock (a sibling "….lock") for as long as it lives, so that
// no other process signs between Load and Store. Keep it short.
class HeadFile final : public ledger::HeadGuard {
 public:
  // Waits for the lock. `origin` is the ledger's.
  [[nodiscard]] static Result<HeadFile> Lock(const std::string& path,
                                             const std::string& origin);
  HeadFile(HeadFile&& other) noexcept;
  HeadFile& operator=(HeadFile&&) = delete;
  ~HeadFile() override;

  // kStorageCorrupt if the file is not a head of this ledger; nothing only if
  // there is no file, which `init` alone accepts.
  [[nodiscard]] Result<std::optional<ledger::TreeHead>> Load() override;
  [[nodiscard]] Status Store(const ledger::TreeHead& head) override;

 private:
  HeadFile(std::string path, std::string origin, int lock)
      : path_(std::move(path)), origin_(std::move(origin)), lock_(lock) {}

  std::string path_;
  std::string origin_;
  int lock_;
  std::optional<size_t> spare_;  // Slot to write next; nothing: unknown.
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_HEAD_FILE_H_
