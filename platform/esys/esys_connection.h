// One ESYS context over one link, and what is common to all commands.
//
// An ESYS context is dead after anything but an answer of the TPM itself went
// wrong: Check() notes it, and the owner then makes a new connection.
#ifndef COUNTERSIGN_PLATFORM_ESYS_ESYS_CONNECTION_H_
#define COUNTERSIGN_PLATFORM_ESYS_ESYS_CONNECTION_H_

#include <tss2/tss2_esys.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attest/base/result.h"
#include "attest/base/secret.h"
#include "attest/tpm/public_area.h"
#include "platform/esys/tcti_link.h"

namespace countersign::platform {

struct EsysFree {
  void operator()(void* pointer) const { Esys_Free(pointer); }
};
template <typename T>
using EsysPtr = std::unique_ptr<T, EsysFree>;

class EsysConnection {
 public:
  // What an earlier connection left in the TPM's memory.
  struct Leftovers {
    std::set<uint32_t> handles;
    bool everything = false;  // Whatever is loaded, whoever loaded it.
  };

  // Connects and flushes `leftovers`, which are then empty.
  [[nodiscard]] static Result<std::unique_ptr<EsysConnection>> Open(
      const std::string& tcti, std::chrono::milliseconds deadline,
      std::weak_ptr<void>& stuck, Leftovers& leftovers);
  EsysConnection(const EsysConnection&) = delete;
  EsysConnection& operator=(const EsysConnection&) = delete;
  ~EsysConnection();

  [[nodiscard]] ESYS_CONTEXT* esys() { return esys_; }
  [[nodiscard]] TctiLink& link() { return *link_; }

  // Success, or the error of `command`.
  [[nodiscard]] Status Check(TSS2_RC rc, std::string_view command);
  // The code of the last command, for callers that look closer.
  [[nodiscard]] TSS2_RC last_rc() const { return last_rc_; }
  // False: make a new connection before the next command.
  [[nodiscard]] bool usable() const { return usable_; }
  // Something in here is not as we take it to be: start afresh.
  void Distrust() { usable_ = false; }

  // Existing handles from `first` to `last`.
  [[nodiscard]] Result<std::vector<uint32_t>> Handles(uint32_t first,
                                                      uint32_t last);
  // A TPM_PT value; kTpmProtocolError if the TPM does not know it.
  [[nodiscard]] Result<uint32_t> Property(uint32_t property);

 private:
  EsysConnection(std::unique_ptr<TctiLink> link, ESYS_CONTEXT* esys)
      : link_(std::move(link)), esys_(esys) {}
  [[nodiscard]] Error WithTimeLeft(Error lockout);

  std::unique_ptr<TctiLink> link_;
  ESYS_CONTEXT* esys_;
  TSS2_RC last_rc_ = TSS2_RC_SUCCESS;
  bool usable_ = true;
};

// A transient object or session: flushed at the end; or a persistent object:
// only forgotten.
class EsysObject {
 public:
  enum class Kind { kTransient, kPersistent };

  EsysObject() = default;
  EsysObject(EsysConnection& connection, ESYS_TR tr, Kind kind)
      : connection_(&connection), tr_(tr), kind_(kind) {}
  EsysObject(EsysObject&& other) noexcept
      : connection_(other.connection_),
        tr_(std::exchange(other.tr_, ESYS_TR_NONE)),
        kind_(other.kind_) {}
  EsysObject& operator=(EsysObject&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(tr_, other.tr_);
    std::swap(kind_, other.kind_);
    return *this;
  }
  ~EsysObject();

  [[nodiscard]] ESYS_TR tr() const { return tr_; }
  [[nodiscard]] bool persistent() const { return kind_ == Kind::kPersistent; }

 private:
  EsysConnection* connection_ = nullptr;
  ESYS_TR tr_ = ESYS_TR_NONE;
  Kind kind_ = Kind::kTransient;
};

struct EsysKey {
  EsysObject object;
  tpm::PublicArea public_area;
};

// Gives commands a longer deadline while it lives.
class LongDeadline {
 public:
  LongDeadline(TctiLink& link, std::chrono::milliseconds deadline)
      : link_(link), before_(link.deadline()) {
    link_.set_deadline(deadline);
  }
  LongDeadline(const LongDeadline&) = delete;
  LongDeadline& operator=(const LongDeadline&) = delete;
  ~LongDeadline() { link_.set_deadline(before_); }

 private:
  TctiLink& link_;
  std::chrono::milliseconds before_;
};

// Between TPMT_PUBLIC bytes and what ESYS takes.
[[nodiscard]] Result<TPM2B_PUBLIC> ToEsysPublic(ByteSpan tpmt_public);
[[nodiscard]] Result<tpm::PublicArea> FromEsysPublic(const TPM2B_PUBLIC& area);

// A TPM2B, whose bytes lie in `buffer`, filled with `bytes`; kTooLarge.
template <typename T, size_t kSize>
[[nodiscard]] Result<T> ToSized(ByteSpan bytes, uint8_t (T::*buffer)[kSize]) {
  if (bytes.size() > kSize) return Fail(ErrorCode::kTooLarge, "TPM parameter");
  T sized{};
  sized.size = static_cast<uint16_t>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), sized.*buffer);
  return sized;
}

}  // namespace countersign::platform

#endif  // COUNTERSIGN_PLATFORM_ESYS_ESYS_CONNECTION_H_
