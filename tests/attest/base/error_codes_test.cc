#include "attest/base/error_codes.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace countersign {
namespace {

constexpr ErrorCode kAll[] = {
#define CS_ERROR(number, identifier, name, public_code, message, remedy) \
  ErrorCode::identifier,
#include "attest/base/error_codes.inc"
#undef CS_ERROR
};

TEST(ErrorCodesTest, NumbersAndNamesAreUnique) {
  std::set<uint16_t> numbers;
  std::set<std::string> names;
  for (ErrorCode code : kAll) {
    EXPECT_TRUE(numbers.insert(static_cast<uint16_t>(code)).second)
        << Name(code);
    EXPECT_TRUE(names.insert(std::string(Name(code))).second) << Name(code);
    EXPECT_EQ(ErrorCodeFromName(Name(code)), code);
    EXPECT_EQ(ErrorCodeFromNumber(static_cast<uint32_t>(code)), code);
  }
  EXPECT_FALSE(ErrorCodeFromName("no_such_code"));
  EXPECT_FALSE(ErrorCodeFromNumber(65535));
}

TEST(ErrorCodesTest, EveryCodeTellsAPersonWhatHappenedAndWhatToDo) {
  for (ErrorCode code : kAll) {
    EXPECT_TRUE(Message(code).ends_with('.')) << Name(code);
    EXPECT_TRUE(Remedy(code).ends_with('.')) << Name(code);
  }
}

TEST(ErrorCodesTest, ExitCodesAreThoseOfTheContract) {
  EXPECT_EQ(ExitCode(ErrorCode::kNotEnrolled), 3);
  EXPECT_EQ(ExitCode(ErrorCode::kDaemonNotRunning), 4);
  EXPECT_EQ(ExitCode(ErrorCode::kBadSignature), 5);
  EXPECT_EQ(ExitCode(ErrorCode::kPolicyDenied), 10);
  EXPECT_EQ(ExitCode(ErrorCode::kApprovalRequired), 11);
  EXPECT_EQ(ExitCode(ErrorCode::kSessionEnded), 12);
  EXPECT_EQ(ExitCode(ErrorCode::kServiceUnreachable), 20);
  EXPECT_EQ(ExitCode(ErrorCode::kTpmTimeout), 21);
  EXPECT_EQ(ExitCode(ErrorCode::kBusy), 75);
}

TEST(ErrorCodesTest, HttpStatusesAreThoseOfTheContract) {
  EXPECT_EQ(HttpStatus(ErrorCode::kBadRequest), 400);
  EXPECT_EQ(HttpStatus(ErrorCode::kTooLarge), 413);
  EXPECT_EQ(HttpStatus(ErrorCode::kSequenceConflict), 409);
  EXPECT_EQ(HttpStatus(ErrorCode::kDeviceIdentityConflict), 409);
  EXPECT_EQ(HttpStatus(ErrorCode::kRateLimited), 429);
}

}  // namespace
}  // namespace countersign
