// EXPECT_TRUE(FailsWith(result, code)): shows what came instead.
#ifndef COUNTERSIGN_TESTS_FAILS_WITH_H_
#define COUNTERSIGN_TESTS_FAILS_WITH_H_

#include <gtest/gtest.h>

#include "attest/base/result.h"

namespace countersign {

template <typename T>
testing::AssertionResult FailsWith(const Result<T>& result, ErrorCode code) {
  if (result.has_value()) {
    return testing::AssertionFailure() << "succeeded instead of " << Name(code);
  }
  if (result.error().code == code) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << Name(result.error().code) << " (" << result.error().detail
         << ") instead of " << Name(code);
}

template <typename T>
testing::AssertionResult Succeeds(const Result<T>& result) {
  if (result.has_value()) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << Name(result.error().code) << ": " << result.error().detail;
}

}  // namespace countersign

#endif  // COUNTERSIGN_TESTS_FAILS_WITH_H_
