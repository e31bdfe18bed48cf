#include "attest/tpm/attest.h"

#include "attest/tpm/constants.h"

namespace countersign::tpm {
namespace {

// TPM2B_NAME holds a digest with its algorithm, or a handle.
constexpr size_t kMaxNameSize = 2 + kMaxDigestSize;

Result<QuoteInfo> ReadQuoteInfo(BigEndianReader& reader) {
  QuoteInfo info;
  CS_ASSIGN_OR_RETURN(info.selection, ReadPcrSelection(reader));
  info.pcr_digest = ToBytes(reader.Sized16(kMaxDigestSize));
  return info;
}

CertifyInfo ReadCertifyInfo(BigEndianReader& reader) {
  CertifyInfo info;
  info.name = ToBytes(reader.Sized16(kMaxNameSize));
  info.qualified_name = ToBytes(reader.Sized16(kMaxNameSize));
  return info;
}

}  // namespace

Result<Attest> ParseAttest(ByteSpan attest) {
  if (attest.size() > kMaxAttestSize) {
    return Fail(ErrorCode::kMalformedEvidence, "TPMS_ATTEST is too large");
  }
  BigEndianReader reader(attest);
  const uint32_t magic = reader.U32();
  const uint16_t type = reader.U16();
  if (!reader.ok()) {
    return Fail(ErrorCode::kMalformedEvidence, "TPMS_ATTEST is truncated");
  }
  if (magic != kGenerated) return Fail(ErrorCode::kQuoteNotTpmGenerated);
  if (type != kStAttestQuote && type != kStAttestCertify) {
    return Fail(ErrorCode::kNotAQuote, "attestation of another type");
  }

  Attest result;
  result.qualified_signer = ToBytes(reader.Sized16(kMaxNameSize));
  // TPM2B_DATA holds a TPMT_HA at most.
  result.extra_data = ToBytes(reader.Sized16(2 + kMaxDigestSize));
  result.clock.clock_ms = reader.U64();
  result.clock.reset_count = reader.U32();
  result.clock.restart_count = reader.U32();
  const uint8_t safe = reader.U8();
  result.clock.safe = safe == 1;
  result.firmware_version = reader.U64();
  if (!reader.ok() || safe > 1) {
    return Fail(ErrorCode::kMalformedEvidence, "header of TPMS_ATTEST");
  }

  if (type == kStAttestQuote) {
    CS_ASSIGN_OR_RETURN(result.attested, ReadQuoteInfo(reader));
  } else {
    result.attested = ReadCertifyInfo(reader);
  }
  if (!reader.AtEnd()) {
    return Fail(ErrorCode::kMalformedEvidence,
                "TPMS_ATTEST is truncated, or bytes are left over");
  }
  return result;
}

}  // namespace countersign::tpm
