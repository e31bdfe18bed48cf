#include "platform/esys/pcr_reader.h"

#include <map>

#include "attest/base/digest.h"

namespace countersign::platform {
namespace {

uint32_t BitmapOf(const TPML_PCR_SELECTION& selection) {
  uint32_t bitmap = 0;
  if (selection.count != 1 ||
      selection.pcrSelections[0].hash != TPM2_ALG_SHA256) {
    return bitmap;
  }
  const TPMS_PCR_SELECTION& bank = selection.pcrSelections[0];
  const int octets = std::min<int>(bank.sizeofSelect, TPM2_PCR_SELECT_MAX);
  for (int i = 0; i < octets; ++i) {
    bitmap |= static_cast<uint32_t>(bank.pcrSelect[i]) << (8 * i);
  }
  return bitmap;
}

}  // namespace

TPML_PCR_SELECTION ToEsysSelection(uint32_t bitmap) {
  TPML_PCR_SELECTION selection{};
  selection.count = 1;
  selection.pcrSelections[0].hash = TPM2_ALG_SHA256;
  selection.pcrSelections[0].sizeofSelect = 3;
  for (int i = 0; i < 3; ++i) {
    selection.pcrSelections[0].pcrSelect[i] =
        static_cast<uint8_t>(bitmap >> (8 * i));
  }
  return selection;
}

Result<std::vector<Sha256Digest>> ReadPcrs(EsysConnection& connection,
                                           const tpm::PcrSelection& selection) {
  std::map<uint8_t, Sha256Digest> values;
  uint32_t missing = selection.bitmap();
  while (missing != 0) {  // A TPM reads at most eight at once.
    const TPML_PCR_SELECTION wanted = ToEsysSelection(missing);
    TPML_PCR_SELECTION* raw_read = nullptr;
    TPML_DIGEST* raw_digests = nullptr;
    const TSS2_RC rc =
        Esys_PCR_Read(connection.esys(), ESYS_TR_NONE, ESYS_TR_NONE,
                      ESYS_TR_NONE, &wanted, nullptr, &raw_read, &raw_digests);
    const EsysPtr<TPML_PCR_SELECTION> read(raw_read);
    const EsysPtr<TPML_DIGEST> digests(raw_digests);
    CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_PCR_Read"));
    const uint32_t got = BitmapOf(*read) & missing;
    if (got == 0) {
      return Fail(ErrorCode::kPcrBankUnmeasured,
                  "the TPM keeps no sha256 values of " + selection.ToText());
    }
    size_t next = 0;
    for (uint8_t pcr = 0; pcr < tpm::kPcrCount; ++pcr) {
      if ((got >> pcr & 1) == 0) continue;
      if (next >= digests->count || digests->digests[next].size != 32) {
        return Fail(ErrorCode::kTpmProtocolError, "TPM2_PCR_Read");
      }
      std::copy_n(digests->digests[next].buffer, 32, values[pcr].begin());
      ++next;
    }
    missing &= ~got;
  }
  std::vector<Sha256Digest> ascending;
  ascending.reserve(values.size());
  for (const auto& [pcr, value] : values) ascending.push_back(value);
  return ascending;
}

Sha256Digest DigestOfPcrs(const std::vector<Sha256Digest>& values) {
  Bytes all;
  for (const Sha256Digest& value : values) {
    all.insert(all.end(), value.begin(), value.end());
  }
  return Sha256(all);
}

}  // namespace countersign::platform
