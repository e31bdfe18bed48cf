#include "attest/verifier/event_log_verifier.h"

#include "tests/attest/verifier/evidence.h"
#include "tests/fails_with.h"

namespace countersign::verifier {
namespace {

using fakes::EventLogBuilder;
using fakes::LogEvent;

// What a TPM quotes after these measurements.
QuotedPcrs QuoteAfter(const EventLogBuilder& log) {
  Device device;
  device.log = log;
  const Sha256Digest digest{};
  return VerifyQuote(
             fakes::SignAttest(device.ak, device.QuoteFields(digest)),
             device.PcrValues(), device.ak.area,
             {.qualifying_data = digest,
              .qualified_signer = fakes::QualifiedSigner(device.ek, device.ak)})
      .value();
}

EventLogBuilder FromEvents(const std::vector<LogEvent>& events) {
  EventLogBuilder log;
  for (const LogEvent& event : events) log.Add(event);
  return log;
}

// The small log as it was measured; tests present another one.
class VerifyEventLogTest : public testing::Test {
 protected:
  const QuotedPcrs pcrs_ = QuoteAfter(fakes::SmallEventLog());
  std::vector<LogEvent> events_ = fakes::SmallEventLog().events();

  Status Verify() const {
    return VerifyEventLog(FromEvents(events_).Encode(), pcrs_);
  }
};

TEST_F(VerifyEventLogTest, AcceptsTheLogThatWasMeasured) {
  EXPECT_TRUE(Succeeds(Verify()));
}

// A23
TEST_F(VerifyEventLogTest, RejectsNoLog) {
  EXPECT_TRUE(
      FailsWith(VerifyEventLog({}, pcrs_), ErrorCode::kEventLogMalformed));
}

// A22
TEST_F(VerifyEventLogTest, RejectsARemovedEvent) {
  for (size_t i = 0; i < events_.size(); ++i) {
    auto fewer = events_;
    fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_TRUE(FailsWith(VerifyEventLog(FromEvents(fewer).Encode(), pcrs_),
                          ErrorCode::kEventLogMismatch));
  }
}

// A22
TEST_F(VerifyEventLogTest, RejectsADuplicatedEvent) {
  events_.insert(events_.begin(), events_.front());
  EXPECT_TRUE(FailsWith(Verify(), ErrorCode::kEventLogMismatch));
}

// A22
TEST_F(VerifyEventLogTest, RejectsReorderedEvents) {
  std::swap(events_[0], events_[1]);  // Both of PCR 0.
  EXPECT_TRUE(FailsWith(Verify(), ErrorCode::kEventLogMismatch));
}

// A22
TEST_F(VerifyEventLogTest, RejectsAForgedStartupLocality) {
  Bytes data = ToBytes(AsBytes("StartupLocality"));
  data.push_back(0);
  data.push_back(3);
  events_.insert(events_.begin(), {0, tpm::kEvNoAction, data, {}});
  EXPECT_TRUE(FailsWith(Verify(), ErrorCode::kEventLogMismatch));
}

// A21
TEST_F(VerifyEventLogTest, RejectsEventDataThatIsNotWhatWasMeasured) {
  auto secure_boot = std::ranges::find(events_, tpm::kEvEfiVariableDriverConfig,
                                       &LogEvent::type);
  ASSERT_NE(secure_boot, events_.end());
  secure_boot->data.back() ^= 1;  // "Secure Boot was on" made "off".
  EXPECT_TRUE(FailsWith(Verify(), ErrorCode::kEventDataMismatch));
}

// A20: what an event is called proves nothing: renaming one to a type whose
// data must match is refused, and nothing else follows from a name.
TEST_F(VerifyEventLogTest, RejectsABootLoaderRenamedToAnAction) {
  auto loader = std::ranges::find(events_, tpm::kEvEfiBootServicesApplication,
                                  &LogEvent::type);
  ASSERT_NE(loader, events_.end());
  loader->type = tpm::kEvEfiAction;
  EXPECT_TRUE(FailsWith(Verify(), ErrorCode::kEventDataMismatch));
  loader->type = tpm::kEvEfiGptEvent;
  EXPECT_TRUE(Succeeds(Verify()));
}

// A06, A20: a separator under another name is missing.
TEST_F(VerifyEventLogTest, RejectsAPcrWithoutASeparator) {
  for (LogEvent& event : events_) {
    if (event.type != tpm::kEvSeparator) continue;
    event.type = tpm::kEvPostCode;
    EXPECT_TRUE(FailsWith(Verify(), ErrorCode::kPcrBankUnmeasured));
    event.type = tpm::kEvSeparator;
  }
}

TEST_F(VerifyEventLogTest, RejectsASecondSeparator) {
  EventLogBuilder twice = fakes::SmallEventLog();
  twice.Add(2, tpm::kEvSeparator, Bytes(4));
  EXPECT_TRUE(FailsWith(VerifyEventLog(twice.Encode(), QuoteAfter(twice)),
                        ErrorCode::kPcrBankUnmeasured));
}

TEST_F(VerifyEventLogTest, RejectsASeparatorThatReportsAnError) {
  for (LogEvent& event : events_) {
    if (event.type != tpm::kEvSeparator || event.pcr != 3) continue;
    event.data = {1, 0, 0, 0};
    event.digest = Sha256(event.data);
  }
  const EventLogBuilder failed = FromEvents(events_);
  EXPECT_TRUE(FailsWith(VerifyEventLog(failed.Encode(), QuoteAfter(failed)),
                        ErrorCode::kPcrBankUnmeasured));
}

TEST_F(VerifyEventLogTest, IgnoresEventsOfPcrsThatWereNotQuoted) {
  EventLogBuilder more = FromEvents(events_);
  more.Add({14, tpm::kEvEfiAction, {1, 2, 3}, {}});
  EXPECT_TRUE(Succeeds(VerifyEventLog(more.Encode(), pcrs_)));
}

}  // namespace
}  // namespace countersign::verifier
