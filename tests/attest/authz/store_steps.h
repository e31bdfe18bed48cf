// Steps of the store's tests: one small thing to write and to find again.
#ifndef COUNTERSIGN_TESTS_ATTEST_AUTHZ_STORE_STEPS_H_
#define COUNTERSIGN_TESTS_ATTEST_AUTHZ_STORE_STEPS_H_

#include <gtest/gtest.h>

#include "attest/authz/store.h"

namespace countersign::authz {

[[nodiscard]] inline Status PutSecret(Store& store, std::string_view name) {
  return store.Write([&](StoreTransaction& transaction) {
    return transaction.PutSecret(name, AsBytes(name));
  });
}

[[nodiscard]] inline bool HasSecret(Store& store, std::string_view name) {
  bool found = false;
  const Status status = store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const auto value, view.FindSecret(name));
    found = value.has_value();
    return {};
  });
  EXPECT_TRUE(status.has_value());
  return found;
}

}  // namespace countersign::authz

#endif  // COUNTERSIGN_TESTS_ATTEST_AUTHZ_STORE_STEPS_H_
