#include "tests/fakes/event_log_builder.h"

#include "attest/base/digest.h"
#include "attest/tpm/constants.h"

namespace countersign::fakes {
namespace {

class LittleEndianWriter {
 public:
  template <std::unsigned_integral T>
  LittleEndianWriter& Write(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      bytes_.push_back(static_cast<uint8_t>(value >> 8 * i));
    }
    return *this;
  }
  LittleEndianWriter& U8(uint8_t value) { return Write(value); }
  LittleEndianWriter& U16(uint16_t value) { return Write(value); }
  LittleEndianWriter& U32(uint32_t value) { return Write(value); }
  LittleEndianWriter& U64(uint64_t value) { return Write(value); }
  LittleEndianWriter& Raw(ByteSpan bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  LittleEndianWriter& Utf16(std::string_view ascii) {
    for (char c : ascii) U16(static_cast<uint8_t>(c));
    return *this;
  }
  [[nodiscard]] Bytes Take() { return std::move(bytes_); }

 private:
  Bytes bytes_;
};

// TCG_EfiSpecIDEvent for one algorithm.
Bytes SpecId() {
  static constexpr char kSignature[] = "Spec ID Event03";  // And its zero.
  return LittleEndianWriter()
      .Raw(AsBytes({kSignature, sizeof(kSignature)}))
      .U32(0)  // platformClass: client
      .U8(0)   // specVersionMinor
      .U8(2)   // specVersionMajor
      .U8(0)   // specErrata
      .U8(2)   // uintnSize: 64 bit
      .U32(1)
      .U16(tpm::kAlgSha256)
      .U16(32)
      .U8(0)  // vendorInfoSize
      .Take();
}

// UEFI_VARIABLE_DATA with EFI_GLOBAL_VARIABLE_GUID.
Bytes Variable(std::string_view name, ByteSpan value) {
  static constexpr uint8_t kGlobalVariable[] = {
      0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
      0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
  return LittleEndianWriter()
      .Raw(kGlobalVariable)
      .U64(name.size())
      .U64(value.size())
      .Utf16(name)
      .Raw(value)
      .Take();
}

}  // namespace

EventLogBuilder& EventLogBuilder::Add(uint32_t pcr, uint32_t type, Bytes data) {
  const Sha256Digest digest = Sha256(data);
  return Add({pcr, type, std::move(data), digest});
}

EventLogBuilder& EventLogBuilder::Add(LogEvent event) {
  events_.push_back(std::move(event));
  return *this;
}

EventLogBuilder& EventLogBuilder::AddSeparators() {
  for (uint32_t pcr = 0; pcr <= 7; ++pcr) {
    Add(pcr, tpm::kEvSeparator, Bytes(4));
  }
  return *this;
}

Bytes EventLogBuilder::Encode() const {
  const Bytes spec_id = SpecId();
  LittleEndianWriter writer;
  writer.U32(0)
      .U32(tpm::kEvNoAction)
      .Raw(Bytes(20))
      .U32(static_cast<uint32_t>(spec_id.size()))
      .Raw(spec_id);
  for (const LogEvent& event : events_) {
    writer.U32(event.pcr)
        .U32(event.type)
        .U32(1)
        .U16(tpm::kAlgSha256)
        .Raw(event.digest)
        .U32(static_cast<uint32_t>(event.data.size()))
        .Raw(event.data);
  }
  return writer.Take();
}

EventLogBuilder SmallEventLog() {
  using namespace tpm;  // NOLINT: the event types alone.
  static constexpr uint8_t kOn[] = {1};
  static constexpr uint8_t kBootOrder[] = {0, 0};
  EventLogBuilder log;
  log.Add(0, kEvSCrtmVersion,
          LittleEndianWriter().Utf16("Countersign software TPM 1").Take())
      .Add(0, kEvPostCode, ToBytes(AsBytes("POST CODE")))
      .Add(1, kEvEfiVariableBoot, Variable("BootOrder", kBootOrder))
      .Add(7, kEvEfiVariableDriverConfig, Variable("SecureBoot", kOn))
      .Add(7, kEvEfiVariableDriverConfig, Variable("PK", {}))
      .Add(7, kEvEfiVariableDriverConfig, Variable("KEK", {}))
      .Add(4, kEvEfiAction,
           ToBytes(AsBytes("Calling EFI Application from Boot Option")))
      .AddSeparators()
      // A boot loader: its event data describes the image, while the digest
      // is that of the image itself.
      .Add({4, kEvEfiBootServicesApplication,
            ToBytes(AsBytes("\\EFI\\BOOT\\BOOTX64.EFI")),
            Sha256(AsBytes("a boot loader"))})
      .Add(5, kEvEfiAction, ToBytes(AsBytes("Exit Boot Services Invocation")));
  return log;
}

}  // namespace countersign::fakes
