#include "platform/esys/tpm_info.h"

#include "attest/base/text.h"

namespace countersign::platform {
namespace {

// Four characters in one number, padded with NUL or blanks.
std::string Characters(uint32_t value) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    const char character = static_cast<char>(value >> shift & 0xff);
    if (character != '\0') text.push_back(character);
  }
  return text;
}

// Vendors fill up each of the four fields: "SW  " and " TPM" are "SW TPM".
std::string Trimmed(std::string_view padded) {
  std::string text;
  for (const char character : padded) {
    const bool blank = character == ' ';
    if (blank && (text.empty() || text.back() == ' ')) continue;
    text.push_back(character);
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return Printable(text, 16);
}

// The vendors of software TPMs in the TCG registry and how they name them.
bool SaysSoftware(const TpmInfo& info) {
  return info.vendor_string.starts_with("SW") || info.manufacturer == "MSFT" ||
         info.manufacturer == "VMW" || info.manufacturer == "IBM";
}

Result<tpm::TpmClock> ReadClock(EsysConnection& connection) {
  TPMS_TIME_INFO* raw = nullptr;
  const TSS2_RC rc = Esys_ReadClock(connection.esys(), ESYS_TR_NONE,
                                    ESYS_TR_NONE, ESYS_TR_NONE, &raw);
  const EsysPtr<TPMS_TIME_INFO> time(raw);
  CS_RETURN_IF_ERROR(connection.Check(rc, "TPM2_ReadClock"));
  const TPMS_CLOCK_INFO& clock = time->clockInfo;
  return tpm::TpmClock{clock.clock, clock.resetCount, clock.restartCount,
                       clock.safe == TPM2_YES};
}

}  // namespace

Result<TpmInfo> ReadTpmInfo(EsysConnection& connection) {
  TpmInfo info;
  CS_ASSIGN_OR_RETURN(const uint32_t manufacturer,
                      connection.Property(TPM2_PT_MANUFACTURER));
  info.manufacturer = Trimmed(Characters(manufacturer));
  std::string vendor;
  for (const uint32_t part :
       {TPM2_PT_VENDOR_STRING_1, TPM2_PT_VENDOR_STRING_2,
        TPM2_PT_VENDOR_STRING_3, TPM2_PT_VENDOR_STRING_4}) {
    CS_ASSIGN_OR_RETURN(const uint32_t characters, connection.Property(part));
    vendor += Characters(characters);
  }
  info.vendor_string = Trimmed(vendor);
  info.is_software = SaysSoftware(info);
  CS_ASSIGN_OR_RETURN(const uint32_t high,
                      connection.Property(TPM2_PT_FIRMWARE_VERSION_1));
  CS_ASSIGN_OR_RETURN(const uint32_t low,
                      connection.Property(TPM2_PT_FIRMWARE_VERSION_2));
  info.firmware_version = uint64_t{high} << 32 | low;
  CS_ASSIGN_OR_RETURN(const uint32_t permanent,
                      connection.Property(TPM2_PT_PERMANENT));
  info.owner_auth_set = (permanent & TPMA_PERMANENT_OWNERAUTHSET) != 0;
  info.endorsement_auth_set =
      (permanent & TPMA_PERMANENT_ENDORSEMENTAUTHSET) != 0;
  info.locked_out = (permanent & TPMA_PERMANENT_INLOCKOUT) != 0;
  CS_ASSIGN_OR_RETURN(info.clock, ReadClock(connection));
  return info;
}

}  // namespace countersign::platform
