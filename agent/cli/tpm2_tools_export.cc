#include "agent/cli/tpm2_tools_export.h"

#include "attest/base/openssl_ptr.h"
#include "attest/statement/statement.h"
#include "attest/tpm/attest.h"
#include "attest/tpm/public_area.h"

namespace countersign::agent {
namespace {

using statement::StatementType;

// Capacities of the C structures.
constexpr size_t kMaxBanks = 16;
constexpr size_t kDigestsPerList = 8;
constexpr size_t kDigestCapacity = 64;
constexpr uint8_t kBitmapSize = 3;

class LittleEndianWriter {
 public:
  void U8(uint8_t value) { bytes_.push_back(value); }
  void U16(uint16_t value) {
    U8(static_cast<uint8_t>(value));
    U8(static_cast<uint8_t>(value >> 8));
  }
  void U32(uint32_t value) {
    U16(static_cast<uint16_t>(value));
    U16(static_cast<uint16_t>(value >> 16));
  }
  void Raw(ByteSpan bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void Zeros(size_t count) { bytes_.insert(bytes_.end(), count, 0); }
  [[nodiscard]] Bytes Take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// SubjectPublicKeyInfo in PEM (RFC 7468).
Result<std::string> PemOf(const tpm::PublicArea& area) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(area.key(), &der);
  if (size <= 0) return Fail(ErrorCode::kInternal, OpensslError());
  const std::string text = ToBase64({der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  std::string pem = "-----BEGIN PUBLIC KEY-----\n";
  for (size_t at = 0; at < text.size(); at += 64) {
    pem += text.substr(at, 64) + "\n";
  }
  return pem + "-----END PUBLIC KEY-----\n";
}

Result<Bytes> PcrFileOf(const v1::TpmQuote& quote) {
  CS_ASSIGN_OR_RETURN(const tpm::Attest attest,
                      tpm::ParseAttest(AsBytes(quote.attest())));
  const tpm::QuoteInfo* info = attest.quote();
  if (info == nullptr || info->selection.size() != 1 ||
      info->selection.front().hash != tpm::kAlgSha256) {
    return Fail(ErrorCode::kMalformedEvidence,
                "not a quote of one sha256 bank");
  }
  const uint32_t bitmap = info->selection.front().bitmap;
  std::vector<Sha256Digest> values;
  for (const std::string& value : quote.pcr_values()) {
    CS_ASSIGN_OR_RETURN(const auto digest,
                        DigestFrom(AsBytes(value), "PCR value"));
    values.push_back(digest);
  }
  if (static_cast<size_t>(std::popcount(bitmap)) != values.size() ||
      bitmap >> tpm::kPcrCount != 0) {
    return Fail(ErrorCode::kMalformedEvidence,
                "not one PCR value for each selected PCR");
  }
  return EncodePcrFile(bitmap, values);
}

}  // namespace

Bytes EncodePcrFile(uint32_t bitmap, const std::vector<Sha256Digest>& values) {
  LittleEndianWriter writer;
  writer.U32(1);  // TPML_PCR_SELECTION.count
  writer.U16(tpm::kAlgSha256);
  writer.U8(kBitmapSize);
  for (int byte = 0; byte < 4; ++byte) {
    writer.U8(static_cast<uint8_t>(bitmap >> (8 * byte)));
  }
  writer.Zeros(1);                    // Padding of TPMS_PCR_SELECTION.
  writer.Zeros((kMaxBanks - 1) * 8);  // The other banks.
  const size_t lists = (values.size() + kDigestsPerList - 1) / kDigestsPerList;
  writer.U32(static_cast<uint32_t>(lists));
  for (size_t list = 0; list < lists; ++list) {
    const size_t first = list * kDigestsPerList;
    const size_t count = std::min(kDigestsPerList, values.size() - first);
    writer.U32(static_cast<uint32_t>(count));
    for (size_t i = 0; i < kDigestsPerList; ++i) {
      if (i >= count) {
        writer.Zeros(2 + kDigestCapacity);
        continue;
      }
      const Sha256Digest& value = values[first + i];
      writer.U16(static_cast<uint16_t>(value.size()));
      writer.Raw(value);
      writer.Zeros(kDigestCapacity - value.size());
    }
  }
  return writer.Take();
}

Result<Tpm2ToolsFiles> ExportForTpm2Tools(const v1::EvidenceBundle& bundle,
                                          ExportedQuote which) {
  const bool of_action = which == ExportedQuote::kAction;
  if (of_action ? !bundle.has_action() : !bundle.has_session()) {
    return Fail(ErrorCode::kNotFound, of_action
                                          ? "the bundle holds no action"
                                          : "the bundle holds no session");
  }
  v1::DeviceRecord record;
  if (!bundle.has_device_record()) {
    return Fail(ErrorCode::kNotFound, "the bundle holds no device record");
  }
  if (!record.ParseFromString(bundle.device_record().payload())) {
    return Fail(ErrorCode::kMalformedEvidence, "device record");
  }
  CS_ASSIGN_OR_RETURN(const auto ak,
                      tpm::PublicArea::Parse(AsBytes(record.ak_public())));
  const v1::TpmQuote& quote =
      of_action ? bundle.action().quote() : bundle.session().quote();
  const v1::Statement& statement =
      of_action ? bundle.action().batch() : bundle.session().statement();
  Tpm2ToolsFiles files;
  files.message = ToBytes(AsBytes(quote.attest()));
  files.signature = ToBytes(AsBytes(quote.signature()));
  CS_ASSIGN_OR_RETURN(files.ak_pem, PemOf(ak));
  CS_ASSIGN_OR_RETURN(files.pcrs, PcrFileOf(quote));
  files.qualification = ToHex(statement::StatementDigest(
      of_action ? StatementType::kActionBatch : StatementType::kSessionBinding,
      AsBytes(statement.body())));
  return files;
}

}  // namespace countersign::agent
