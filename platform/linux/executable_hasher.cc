#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

#include "attest/base/openssl_ptr.h"
#include "platform/linux/proc_entry.h"
#include "platform/peer_identity.h"

namespace countersign::platform {
namespace {

constexpr size_t kMaxCached = 256;
constexpr size_t kChunk = 256 * 1024;

using FileKey = std::tuple<uint64_t, uint64_t, uint64_t, int64_t, int64_t>;

FileKey KeyOf(const ExecutableFile& file) {
  return {file.device, file.inode, file.size, file.mtime_ns, file.ctime_ns};
}

Result<Sha256Digest> HashFile(Handle file, uint64_t size) {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr);
  Bytes chunk(kChunk);
  uint64_t offset = 0;
  while (offset < size) {
    const ssize_t got =
        ::pread(file, chunk.data(), chunk.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(ErrorCode::kIoError, std::strerror(errno));
    if (got == 0) {
      return Fail(ErrorCode::kPeerChanged, "its executable became shorter");
    }
    EVP_DigestUpdate(context.get(), chunk.data(), static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  Sha256Digest digest;
  EVP_DigestFinal_ex(context.get(), digest.data(), nullptr);
  return digest;
}

}  // namespace

struct ExecutableHasher::Cache {
  std::mutex mutex;
  std::map<FileKey, Sha256Digest> digests;
};

ExecutableHasher::ExecutableHasher(uint64_t max_bytes)
    : max_bytes_(max_bytes), cache_(std::make_unique<Cache>()) {}
ExecutableHasher::~ExecutableHasher() = default;

Result<Sha256Digest> ExecutableHasher::Cached(
    const ExecutableFile& file) const {
  const std::lock_guard lock(cache_->mutex);
  const auto found = cache_->digests.find(KeyOf(file));
  if (found == cache_->digests.end()) return Fail(ErrorCode::kNotFound);
  return found->second;
}

Result<Sha256Digest> ExecutableHasher::Hash(const OwnedHandle& executable) {
  CS_ASSIGN_OR_RETURN(const ExecutableFile before,
                      DescribeFile(executable.get()));
  if (auto cached = Cached(before); cached.has_value()) return cached;
  if (before.size > max_bytes_) {
    return Fail(ErrorCode::kTooLarge,
                "executable of " + std::to_string(before.size) + " bytes");
  }
  CS_ASSIGN_OR_RETURN(const Sha256Digest digest,
                      HashFile(executable.get(), before.size));
  CS_ASSIGN_OR_RETURN(const ExecutableFile after,
                      DescribeFile(executable.get()));
  if (KeyOf(before) != KeyOf(after)) {
    return Fail(ErrorCode::kPeerChanged, "its executable is being written");
  }
  const std::lock_guard lock(cache_->mutex);
  if (cache_->digests.size() >= kMaxCached) cache_->digests.clear();
  cache_->digests[KeyOf(after)] = digest;
  return digest;
}

}  // namespace countersign::platform
