#include "attest/tpm/event_log.h"

#include <map>

#include "attest/base/digest.h"
#include "attest/tpm/constants.h"
#include "attest/tpm/little_endian.h"

namespace countersign::tpm {
namespace {

// Both with their terminating zero.
constexpr char kSpecIdSignature[] = "Spec ID Event03";
constexpr char kStartupLocality[] = "StartupLocality";
constexpr uint32_t kMaxAlgorithms = 8;
constexpr uint32_t kNoPcr = 0xffffffff;

// Digest size of each algorithm that the header announces. The sizes are the
// log's own word, except where we read the digest.
using Algorithms = std::map<uint16_t, size_t>;

template <size_t kSize>
bool StartsWith(ByteSpan data, const char (&signature)[kSize]) {
  return data.size() >= kSize &&
         Equal(data.first(kSize), AsBytes({signature, kSize}));
}

tl::unexpected<Error> Malformed(std::string detail) {
  return Fail(ErrorCode::kEventLogMalformed, std::move(detail));
}

// TCG_EfiSpecIDEvent (§10.4.5.1).
Result<Algorithms> ReadSpecId(ByteSpan data) {
  LittleEndianReader reader(data);
  if (!StartsWith(reader.Take(sizeof(kSpecIdSignature)), kSpecIdSignature)) {
    return Malformed("the log does not start with a Spec ID event");
  }
  // platformClass, specVersion minor, major, errata, uintnSize: informative.
  reader.Take(sizeof(uint32_t) + 4);
  const uint32_t count = reader.U32();
  if (count == 0 || count > kMaxAlgorithms) {
    return Malformed("number of algorithms");
  }
  Algorithms algorithms;
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t algorithm = reader.U16();
    const uint16_t size = reader.U16();
    if (size == 0 || size > kMaxDigestSize ||
        !algorithms.emplace(algorithm, size).second) {
      return Malformed("algorithms of the Spec ID event");
    }
  }
  reader.Take(reader.U8());  // vendorInfo
  if (!reader.AtEnd()) return Malformed("Spec ID event");
  const auto sha256 = algorithms.find(kAlgSha256);
  if (sha256 == algorithms.end() ||
      sha256->second != std::tuple_size_v<Sha256Digest>) {
    return Malformed("the log has no sha256 bank");
  }
  return algorithms;
}

// The first event, in the old format: TCG_PCClientPCREvent (§10.2.1).
Result<Algorithms> ReadHeader(LittleEndianReader& reader) {
  const uint32_t pcr = reader.U32();
  const uint32_t type = reader.U32();
  reader.Take(20);  // A SHA-1 digest, all zero.
  const uint32_t size = reader.U32();
  if (pcr != 0 || type != kEvNoAction || size > kMaxEventSize) {
    return Malformed("the log does not start with a Spec ID event");
  }
  return ReadSpecId(reader.Take(size));
}

// TCG_PCR_EVENT2 (§10.2.2).
Result<Event> ReadEvent(const Algorithms& algorithms,
                        LittleEndianReader& reader) {
  Event event{.pcr = reader.U32(), .type = reader.U32()};
  if (event.pcr >= kPcrCount &&
      !(event.pcr == kNoPcr && event.type == kEvNoAction)) {
    return Malformed("PCR of an event");
  }
  const uint32_t count = reader.U32();
  if (count != algorithms.size()) return Malformed("number of digests");
  Algorithms missing = algorithms;
  for (uint32_t i = 0; i < count; ++i) {
    const auto found = missing.find(reader.U16());
    if (found == missing.end()) return Malformed("algorithm of a digest");
    const ByteSpan digest = reader.Take(found->second);
    if (found->first == kAlgSha256) {
      std::ranges::copy(digest, event.digest.begin());
    }
    missing.erase(found);
  }
  const uint32_t size = reader.U32();
  if (size > kMaxEventSize) return Malformed("size of an event");
  event.data = reader.Take(size);
  if (!reader.ok()) return Malformed("the log is truncated");
  return event;
}

bool IsStartupLocality(const Event& event) {
  return event.type == kEvNoAction && StartsWith(event.data, kStartupLocality);
}

// TCG_EfiStartupLocalityEvent (§10.4.5.3): before the first measurement.
Result<uint8_t> ReadStartupLocality(const std::vector<Event>& before,
                                    const Event& event) {
  const bool late = std::ranges::any_of(before, [](const Event& earlier) {
    return IsStartupLocality(earlier) ||
           (earlier.pcr == 0 && earlier.type != kEvNoAction);
  });
  if (event.pcr != 0 || event.data.size() != sizeof(kStartupLocality) + 1 ||
      late) {
    return Malformed("StartupLocality");
  }
  const uint8_t locality = event.data.back();
  if (locality != 0 && locality != 3 && locality != 4) {
    return Malformed("no such startup locality");
  }
  return locality;
}

}  // namespace

Result<EventLog> EventLog::Parse(ByteSpan log) {
  if (log.size() > kMaxEventLogSize) return Malformed("the log is too large");
  LittleEndianReader reader(log);
  CS_ASSIGN_OR_RETURN(const Algorithms algorithms, ReadHeader(reader));
  EventLog result;
  while (!reader.AtEnd()) {
    if (result.events_.size() == kMaxEvents)
      return Malformed("too many events");
    CS_ASSIGN_OR_RETURN(Event event, ReadEvent(algorithms, reader));
    if (IsStartupLocality(event)) {
      CS_ASSIGN_OR_RETURN(result.startup_locality_,
                          ReadStartupLocality(result.events_, event));
    }
    result.events_.push_back(event);
  }
  return result;
}

PcrValues EventLog::Replay() const {
  PcrValues values{};
  // PCRs 17-22 belong to a dynamic launch and start as ones (§3.3.4).
  for (int pcr = 17; pcr <= 22; ++pcr) values[pcr].fill(0xff);
  values[0].back() = startup_locality_;
  for (const Event& event : events_) {
    if (event.type == kEvNoAction) continue;
    Sha256Digest& value = values[event.pcr];
    value = Sha256({value, event.digest});
  }
  return values;
}

}  // namespace countersign::tpm
