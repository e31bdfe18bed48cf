#include "platform/esys/esys_connection.h"

#include <tss2/tss2_mu.h>

#include "attest/base/big_endian.h"
#include "platform/esys/esys_error.h"

namespace countersign::platform {
namespace {

constexpr uint32_t kTransientFirst = 0x80000000;
constexpr uint32_t kLoadedSessionFirst = 0x02000000;
constexpr uint32_t kHandlesAtOnce = 64;
constexpr size_t kMaxHandles = 1024;

// TPM2_GetCapability(TPM_CAP_HANDLES) and TPM2_FlushContext by hand: ESYS
// offers neither for sessions that it did not start.
std::vector<uint32_t> LoadedFrom(TctiLink& link, uint32_t first) {
  const Bytes command = BigEndianWriter()
                            .U16(TPM2_ST_NO_SESSIONS)
                            .U32(22)
                            .U32(TPM2_CC_GetCapability)
                            .U32(TPM2_CAP_HANDLES)
                            .U32(first)
                            .U32(kHandlesAtOnce)
                            .bytes();
  const Result<Bytes> answer = link.Exchange(command);
  if (!answer.has_value()) return {};
  BigEndianReader reader(*answer);
  reader.Take(10);  // Header.
  reader.U8();      // More data.
  reader.U32();     // Capability.
  const uint32_t count = std::min(reader.U32(), kHandlesAtOnce);
  std::vector<uint32_t> handles;
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    handles.push_back(reader.U32());
  }
  return reader.ok() ? handles : std::vector<uint32_t>{};
}

// A handle that is gone already is as good as flushed.
void Flush(TctiLink& link, uint32_t handle) {
  const Bytes command = BigEndianWriter()
                            .U16(TPM2_ST_NO_SESSIONS)
                            .U32(14)
                            .U32(TPM2_CC_FlushContext)
                            .U32(handle)
                            .bytes();
  (void)link.Exchange(command);
}

void FlushLeftovers(TctiLink& link, EsysConnection::Leftovers& leftovers) {
  if (leftovers.everything) {
    for (const uint32_t first : {kTransientFirst, kLoadedSessionFirst}) {
      const std::vector<uint32_t> found = LoadedFrom(link, first);
      leftovers.handles.insert(found.begin(), found.end());
    }
  }
  for (const uint32_t handle : leftovers.handles) Flush(link, handle);
  if (!link.failure().has_value()) leftovers = {};
}

}  // namespace

Result<std::unique_ptr<EsysConnection>> EsysConnection::Open(
    const std::string& tcti, std::chrono::milliseconds deadline,
    std::weak_ptr<void>& stuck, Leftovers& leftovers) {
  CS_ASSIGN_OR_RETURN(auto link, TctiLink::Open(tcti, deadline, stuck));
  FlushLeftovers(*link, leftovers);
  if (link->failure().has_value()) {
    return tl::unexpected<Error>(*link->failure());
  }
  ESYS_CONTEXT* esys = nullptr;
  const TSS2_RC rc = Esys_Initialize(&esys, link->context(), nullptr);
  if (rc != TSS2_RC_SUCCESS) {
    return tl::unexpected<Error>(ErrorFromRc(rc, "Esys_Initialize"));
  }
  return std::unique_ptr<EsysConnection>(
      new EsysConnection(std::move(link), esys));
}

EsysConnection::~EsysConnection() { Esys_Finalize(&esys_); }

Status EsysConnection::Check(TSS2_RC rc, std::string_view command) {
  last_rc_ = rc;
  if (rc == TSS2_RC_SUCCESS) return {};
  if (!IsFromTpm(rc) || HandlesAreGone(rc)) usable_ = false;
  if (link_->failure().has_value()) {
    Error error = *link_->failure();
    error.detail = std::string(command) + ": " + error.detail;
    return tl::unexpected<Error>(std::move(error));
  }
  Error error = ErrorFromRc(rc, command);
  if (error.code == ErrorCode::kTpmLockout) error = WithTimeLeft(error);
  return tl::unexpected<Error>(std::move(error));
}

// The counter falls by one every interval; lockout ends when it is below the
// limit again (Part 1 §19.8). The TPM does not say how much of the running
// interval has passed, hence "at most".
Error EsysConnection::WithTimeLeft(Error lockout) {
  const TSS2_RC rc = last_rc_;
  const Result<uint32_t> failures = Property(TPM2_PT_LOCKOUT_COUNTER);
  const Result<uint32_t> limit = Property(TPM2_PT_MAX_AUTH_FAIL);
  const Result<uint32_t> interval = Property(TPM2_PT_LOCKOUT_INTERVAL);
  last_rc_ = rc;
  if (failures && limit && interval) {
    const uint64_t steps = *failures >= *limit ? *failures - *limit + 1 : 1;
    lockout.detail += "; it ends by itself in at most " +
                      std::to_string(steps * *interval) + " seconds";
  }
  return lockout;
}

Result<std::vector<uint32_t>> EsysConnection::Handles(uint32_t first,
                                                      uint32_t last) {
  std::vector<uint32_t> handles;
  TPMI_YES_NO more = TPM2_YES;
  while (more == TPM2_YES && first <= last && handles.size() < kMaxHandles) {
    TPMS_CAPABILITY_DATA* raw = nullptr;
    const TSS2_RC rc = Esys_GetCapability(esys_, ESYS_TR_NONE, ESYS_TR_NONE,
                                          ESYS_TR_NONE, TPM2_CAP_HANDLES, first,
                                          kHandlesAtOnce, &more, &raw);
    const EsysPtr<TPMS_CAPABILITY_DATA> data(raw);
    CS_RETURN_IF_ERROR(Check(rc, "TPM2_GetCapability"));
    const TPML_HANDLE& found = data->data.handles;
    if (found.count == 0) break;
    for (uint32_t i = 0; i < found.count; ++i) {
      if (found.handle[i] < first || found.handle[i] > last) return handles;
      handles.push_back(found.handle[i]);
    }
    first = handles.back() + 1;
  }
  return handles;
}

Result<uint32_t> EsysConnection::Property(uint32_t property) {
  TPMS_CAPABILITY_DATA* raw = nullptr;
  TPMI_YES_NO more = TPM2_NO;
  const TSS2_RC rc =
      Esys_GetCapability(esys_, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                         TPM2_CAP_TPM_PROPERTIES, property, 1, &more, &raw);
  const EsysPtr<TPMS_CAPABILITY_DATA> data(raw);
  CS_RETURN_IF_ERROR(Check(rc, "TPM2_GetCapability"));
  const TPML_TAGGED_TPM_PROPERTY& found = data->data.tpmProperties;
  if (found.count == 0 || found.tpmProperty[0].property != property) {
    return Fail(ErrorCode::kTpmProtocolError,
                "it has no property " + std::to_string(property));
  }
  return found.tpmProperty[0].value;
}

EsysObject::~EsysObject() {
  if (tr_ == ESYS_TR_NONE) return;
  if (persistent()) {
    Esys_TR_Close(connection_->esys(), &tr_);
  } else if (connection_->usable()) {
    (void)connection_->Check(Esys_FlushContext(connection_->esys(), tr_),
                             "TPM2_FlushContext");
  }
}

Result<TPM2B_PUBLIC> ToEsysPublic(ByteSpan tpmt_public) {
  TPM2B_PUBLIC area{};
  size_t offset = 0;
  const TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Unmarshal(
      tpmt_public.data(), tpmt_public.size(), &offset, &area.publicArea);
  if (rc != TSS2_RC_SUCCESS || offset != tpmt_public.size()) {
    return Fail(ErrorCode::kBadRequest, "not a TPMT_PUBLIC");
  }
  return area;
}

Result<tpm::PublicArea> FromEsysPublic(const TPM2B_PUBLIC& area) {
  Bytes bytes(sizeof(TPMT_PUBLIC));
  size_t size = 0;
  const TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Marshal(&area.publicArea, bytes.data(),
                                                 bytes.size(), &size);
  if (rc != TSS2_RC_SUCCESS) {
    return Fail(ErrorCode::kTpmProtocolError, "a public area");
  }
  bytes.resize(size);
  return tpm::PublicArea::Parse(bytes);
}

}  // namespace countersign::platform
