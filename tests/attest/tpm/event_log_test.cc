#include "attest/tpm/event_log.h"

#include "attest/base/digest.h"
#include "attest/tpm/constants.h"
#include "tests/fails_with.h"
#include "tests/fakes/event_log_builder.h"

namespace countersign::tpm {
namespace {

using fakes::EventLogBuilder;

Bytes LocalityData(uint8_t locality) {
  Bytes data = ToBytes(AsBytes("StartupLocality"));
  data.push_back(0);
  data.push_back(locality);
  return data;
}

// The header of a log with the sha256 bank alone: fixed offsets for tests that
// spoil one field.
constexpr size_t kAlgorithmCountAt = 32 + 24;
constexpr size_t kAlgorithmAt = kAlgorithmCountAt + 4;
constexpr size_t kHeaderSize = kAlgorithmAt + 4 + 1;
// Of the first event after it.
constexpr size_t kDigestCountAt = kHeaderSize + 8;
constexpr size_t kDigestAlgorithmAt = kDigestCountAt + 4;
constexpr size_t kEventSizeAt = kDigestAlgorithmAt + 2 + 32;

void ExpectMalformed(const Bytes& log) {
  EXPECT_TRUE(FailsWith(EventLog::Parse(log), ErrorCode::kEventLogMalformed));
}

TEST(EventLogTest, ReadsWhatFirmwareWrites) {
  const EventLogBuilder built = fakes::SmallEventLog();
  const Bytes bytes = built.Encode();
  const auto log = EventLog::Parse(bytes);
  ASSERT_TRUE(Succeeds(log));
  ASSERT_EQ(log->events().size(), built.events().size());
  for (size_t i = 0; i < built.events().size(); ++i) {
    EXPECT_EQ(log->events()[i].pcr, built.events()[i].pcr);
    EXPECT_EQ(log->events()[i].type, built.events()[i].type);
    EXPECT_EQ(log->events()[i].digest, built.events()[i].digest);
    EXPECT_TRUE(Equal(log->events()[i].data, built.events()[i].data));
  }
}

TEST(EventLogTest, ReplaysAsATpmExtends) {
  const Bytes bytes = EventLogBuilder()
                          .Add(3, kEvPostCode, {1})
                          .Add(3, kEvPostCode, {2})
                          .Encode();
  const auto log = EventLog::Parse(bytes);
  ASSERT_TRUE(Succeeds(log));
  const PcrValues values = log->Replay();
  const Bytes first = {1};
  const Bytes second = {2};
  EXPECT_EQ(values[3],
            Sha256({Sha256({Sha256Digest{}, Sha256(first)}), Sha256(second)}));
  EXPECT_EQ(values[0], Sha256Digest{});
  EXPECT_EQ(values[17].front(), 0xff);
  EXPECT_EQ(values[23], Sha256Digest{});
}

// A22
TEST(EventLogTest, ReplayDependsOnTheOrder) {
  const Bytes one = EventLogBuilder().Add(0, 1, {1}).Add(0, 1, {2}).Encode();
  const Bytes other = EventLogBuilder().Add(0, 1, {2}).Add(0, 1, {1}).Encode();
  EXPECT_NE(EventLog::Parse(one)->Replay()[0],
            EventLog::Parse(other)->Replay()[0]);
}

TEST(EventLogTest, StartsPcr0WithTheStartupLocality) {
  const Bytes bytes =
      EventLogBuilder().Add(0, kEvNoAction, LocalityData(3)).Encode();
  const auto log = EventLog::Parse(bytes);
  ASSERT_TRUE(Succeeds(log));
  EXPECT_EQ(log->startup_locality(), 3);
  Sha256Digest expected{};
  expected.back() = 3;
  EXPECT_EQ(log->Replay()[0], expected);
}

// A22
TEST(EventLogTest, RejectsAForgedStartupLocality) {
  const Bytes three = LocalityData(3);
  Bytes longer = three;
  longer.push_back(0);
  const auto plain = [](uint32_t pcr, const Bytes& data) {
    return EventLogBuilder().Add(pcr, kEvNoAction, data).Encode();
  };
  ExpectMalformed(plain(1, three));
  ExpectMalformed(plain(0, LocalityData(1)));
  ExpectMalformed(plain(0, longer));
  ExpectMalformed(plain(0, Bytes(three.begin(), three.end() - 1)));
  ExpectMalformed(EventLogBuilder()
                      .Add(0, kEvNoAction, three)
                      .Add(0, kEvNoAction, three)
                      .Encode());
  ExpectMalformed(EventLogBuilder()
                      .Add(0, kEvPostCode, {1})
                      .Add(0, kEvNoAction, three)
                      .Encode());
}

// A23
TEST(EventLogTest, RejectsATruncationAtEveryByte) {
  const EventLogBuilder built = fakes::SmallEventLog();
  const Bytes whole = built.Encode();
  std::vector<size_t> event_ends = {kHeaderSize};
  EventLogBuilder so_far;
  for (const fakes::LogEvent& event : built.events()) {
    event_ends.push_back(so_far.Add(event).Encode().size());
  }
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto log = EventLog::Parse(ByteSpan(whole).first(size));
    const bool at_end = std::ranges::count(event_ends, size) == 1;
    EXPECT_EQ(log.has_value(), at_end) << size;
  }
}

// A23
TEST(EventLogTest, RejectsHugeCountsAndSizes) {
  const Bytes whole = fakes::SmallEventLog().Encode();
  for (const size_t at : {kAlgorithmCountAt, kDigestCountAt, kEventSizeAt}) {
    for (const uint8_t top : Bytes{0x00, 0x7f, 0xff}) {
      Bytes bytes = whole;
      std::fill_n(bytes.begin() + at, 3, 0xff);
      bytes[at + 3] = top;
      ExpectMalformed(bytes);
    }
  }
}

// A23
TEST(EventLogTest, RejectsABadSpecId) {
  const Bytes whole = fakes::SmallEventLog().Encode();
  Bytes pcr = whole;
  pcr[0] = 1;
  ExpectMalformed(pcr);
  Bytes type = whole;
  type[4] = 4;
  ExpectMalformed(type);
  Bytes signature = whole;
  signature[32] = 's';
  ExpectMalformed(signature);
  Bytes none = whole;
  none[kAlgorithmCountAt] = 0;
  ExpectMalformed(none);
  Bytes vendor_info = whole;
  vendor_info[kHeaderSize - 1] = 1;
  ExpectMalformed(vendor_info);
}

TEST(EventLogTest, RejectsALogWithoutASha256Bank) {
  Bytes bytes = EventLogBuilder().Encode();
  ASSERT_EQ(bytes.size(), kHeaderSize);
  ASSERT_EQ(bytes[kAlgorithmAt], kAlgSha256);
  EXPECT_TRUE(Succeeds(EventLog::Parse(bytes)));
  Bytes other = bytes;
  other[kAlgorithmAt] = kAlgSha384;
  ExpectMalformed(other);
  Bytes size = bytes;
  size[kAlgorithmAt + 2] = 48;
  ExpectMalformed(size);
}

// A23
TEST(EventLogTest, RejectsADigestOfAnAlgorithmThatTheHeaderLacks) {
  Bytes bytes = fakes::SmallEventLog().Encode();
  ASSERT_EQ(bytes[kDigestAlgorithmAt], kAlgSha256);
  bytes[kDigestAlgorithmAt] = kAlgSha1;
  ExpectMalformed(bytes);
}

TEST(EventLogTest, RejectsAnEventWithoutDigests) {
  Bytes bytes = fakes::SmallEventLog().Encode();
  bytes[kDigestCountAt] = 0;
  ExpectMalformed(bytes);
}

TEST(EventLogTest, RejectsAPcrThatDoesNotExist) {
  ExpectMalformed(EventLogBuilder().Add(24, kEvPostCode, {1}).Encode());
  ExpectMalformed(EventLogBuilder().Add(0xffffffff, kEvPostCode, {}).Encode());
  EXPECT_TRUE(Succeeds(EventLog::Parse(
      EventLogBuilder().Add(0xffffffff, kEvNoAction, {}).Encode())));
}

TEST(EventLogTest, RejectsMoreThanItsBounds) {
  ExpectMalformed(Bytes(kMaxEventLogSize + 1));
  EventLogBuilder many;
  for (size_t i = 0; i <= kMaxEvents; ++i) many.Add({0, kEvPostCode, {}, {}});
  ASSERT_LT(kMaxEvents * 46, kMaxEventLogSize);
  ExpectMalformed(many.Encode());
  ExpectMalformed(
      EventLogBuilder().Add(0, kEvPostCode, Bytes(kMaxEventSize + 1)).Encode());
}

}  // namespace
}  // namespace countersign::tpm
