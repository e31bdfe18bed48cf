#include <openssl/x509.h>

#include "attest/base/openssl_ptr.h"
#include "platform/esys/endorsement.h"

namespace countersign::platform {
namespace {

struct NvRange {
  uint32_t first;
  uint32_t last;
};
// TCG EK Credential Profile 2.5 §2.2.1: certificates of the low range (the
// templates and nonces between them are not certificates and do not parse),
// of the high range, and the chains above them.
constexpr NvRange kLeafRange{0x01c00002, 0x01c0007f};
constexpr NvRange kChainRange{0x01c00100, 0x01c001ff};

constexpr size_t kMaxCertificates = 16;
constexpr size_t kMaxChainSize = 32 * 1024;
constexpr uint16_t kChunk = 512;  // Every TPM reads at least this much at once.

Result<Bytes> ReadNv(EsysConnection& connection, uint32_t index) {
  ESYS_TR tr = ESYS_TR_NONE;
  CS_RETURN_IF_ERROR(connection.Check(
      Esys_TR_FromTPMPublic(connection.esys(), index, ESYS_TR_NONE,
                            ESYS_TR_NONE, ESYS_TR_NONE, &tr),
      "TPM2_NV_ReadPublic"));
  const EsysObject object(connection, tr, EsysObject::Kind::kPersistent);
  TPM2B_NV_PUBLIC* raw = nullptr;
  const TSS2_RC rc =
      Esys_NV_ReadPublic(connection.esys(), tr, ESYS_TR_NONE, ESYS_TR_NONE,
                         ESYS_TR_NONE, &raw, nullptr);
  const EsysPtr<TPM2B_NV_PUBLIC> area(raw);
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_NV_ReadPublic"));
  const uint16_t size = area->nvPublic.dataSize;
  Bytes content;
  while (content.size() < size) {
    const auto offset = static_cast<uint16_t>(content.size());
    const auto wanted =
        static_cast<uint16_t>(std::min<int>(kChunk, size - offset));
    TPM2B_MAX_NV_BUFFER* part = nullptr;
    const TSS2_RC read =
        Esys_NV_Read(connection.esys(), tr, tr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                     ESYS_TR_NONE, wanted, offset, &part);
    const EsysPtr<TPM2B_MAX_NV_BUFFER> chunk(part);
    CS_RETURN_IF_ERROR(connection.Check(read, "TPM2_NV_Read"));
    if (chunk->size == 0) break;
    content.insert(content.end(), chunk->buffer, chunk->buffer + chunk->size);
  }
  return content;
}

// The certificates that lie one after the other in `der`; an index is often
// larger than what it holds.
void AppendCertificates(ByteSpan der, std::vector<Bytes>& found) {
  const uint8_t* next = der.data();
  const uint8_t* const end = der.data() + der.size();
  while (next != end && found.size() < kMaxCertificates) {
    const uint8_t* const start = next;
    const X509Ptr parsed(d2i_X509(nullptr, &next, end - start));
    if (parsed == nullptr) break;
    found.emplace_back(start, next);
  }
  (void)OpensslError();  // Padding is no error of ours.
}

}  // namespace

Result<std::vector<Bytes>> ReadCertificates(EsysConnection& connection) {
  std::vector<Bytes> found;
  CS_ASSIGN_OR_RETURN(const auto leaves,
                      connection.Handles(kLeafRange.first, kLeafRange.last));
  for (const uint32_t index : leaves) {
    const Result<Bytes> content = ReadNv(connection, index);
    if (!connection.usable()) return tl::unexpected<Error>(content.error());
    if (content.has_value()) AppendCertificates(*content, found);
  }
  // A chain is one string of certificates cut into indices without regard to
  // where one ends.
  CS_ASSIGN_OR_RETURN(const auto parts,
                      connection.Handles(kChainRange.first, kChainRange.last));
  Bytes chain;
  for (const uint32_t index : parts) {
    const Result<Bytes> content = ReadNv(connection, index);
    if (!connection.usable()) return tl::unexpected<Error>(content.error());
    if (!content.has_value() || chain.size() > kMaxChainSize) break;
    chain.insert(chain.end(), content->begin(), content->end());
  }
  AppendCertificates(chain, found);
  return found;
}

}  // namespace countersign::platform
