#include "tests/bench/raw_quote.h"

#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

#include <array>
#include <chrono>

#include "attest/base/big_endian.h"
#include "attest/tpm/pcr_selection.h"

namespace countersign::bench {
namespace {

// TPM 2.0 Part 3 §18.4, authorised with an empty password.
Bytes QuoteCommand(uint32_t handle) {
  BigEndianWriter authorisation;
  authorisation.U32(TPM2_RH_PW).Sized16({}).U8(0).Sized16({});
  BigEndianWriter parameters;
  parameters.Sized16(Bytes(32, 0x5a))
      .U16(TPM2_ALG_NULL)
      .Raw(tpm::PcrSelection::Default().Encode());
  const size_t size =
      18 + authorisation.bytes().size() + parameters.bytes().size();
  BigEndianWriter command;
  command.U16(TPM2_ST_SESSIONS)
      .U32(static_cast<uint32_t>(size))
      .U32(TPM2_CC_Quote)
      .U32(handle)
      .U32(static_cast<uint32_t>(authorisation.bytes().size()))
      .Raw(authorisation.bytes())
      .Raw(parameters.bytes());
  return std::move(command).bytes();
}

}  // namespace

void RawQuote::Close::operator()(TSS2_TCTI_CONTEXT* tcti) const {
  Tss2_TctiLdr_Finalize(&tcti);
}

Result<RawQuote> RawQuote::Open(const std::string& tcti, uint32_t handle) {
  TSS2_TCTI_CONTEXT* context = nullptr;
  if (Tss2_TctiLdr_Initialize(tcti.c_str(), &context) != TSS2_RC_SUCCESS) {
    return Fail(ErrorCode::kTpmUnavailable, tcti);
  }
  return RawQuote(context, QuoteCommand(handle));
}

Result<double> RawQuote::Once() {
  std::array<uint8_t, 4096> answer{};
  size_t size = answer.size();
  const auto start = std::chrono::steady_clock::now();
  TSS2_RC rc =
      Tss2_Tcti_Transmit(tcti_.get(), command_.size(), command_.data());
  if (rc == TSS2_RC_SUCCESS) {
    rc = Tss2_Tcti_Receive(tcti_.get(), &size, answer.data(),
                           TSS2_TCTI_TIMEOUT_BLOCK);
  }
  const std::chrono::duration<double, std::milli> took =
      std::chrono::steady_clock::now() - start;
  BigEndianReader header(ByteSpan(answer).subspan(6, 4));
  if (rc != TSS2_RC_SUCCESS || size < 100 || header.U32() != 0) {
    return Fail(ErrorCode::kTpmCommandFailed, "TPM2_Quote");
  }
  return took.count();
}

}  // namespace countersign::bench
