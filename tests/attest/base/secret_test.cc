#include "attest/base/secret.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace countersign {
namespace {

TEST(SecretTest, CannotBeCopiedByAccident) {
  EXPECT_FALSE(std::is_copy_constructible_v<Secret>);
  EXPECT_FALSE(std::is_copy_assignable_v<Secret>);
}

TEST(SecretTest, MovesAndClonesItsBytes) {
  Secret first(ToBytes(AsBytes("hush")));
  const Secret clone = first.Clone();
  const Secret second = std::move(first);
  EXPECT_EQ(AsString(second.Expose()), "hush");
  EXPECT_EQ(AsString(clone.Expose()), "hush");
}

}  // namespace
}  // namespace countersign
