#include "attest/verifier/action_proof_verifier.h"

#include "tests/attest/verifier/evidence.h"
#include "tests/fails_with.h"

namespace countersign::verifier {
namespace {

class VerifyActionProofTest : public testing::Test {
 protected:
  void ExpectRefused(const v1::ActionProof& proof, ErrorCode code) const {
    EXPECT_TRUE(FailsWith(VerifyActionProof(proof, known_), code));
  }

  const Device& device_ = SharedDevice();
  const KnownDevice known_ = device_.Known();
  BatchParts parts_{device_, 5};
};

TEST_F(VerifyActionProofTest, AcceptsTheProofOfEachLeaf) {
  for (const uint32_t size : {1u, 2u, 5u, 8u}) {
    const BatchParts parts(device_, size);
    for (uint32_t i = 0; i < size; ++i) {
      const auto proven = VerifyActionProof(parts.Prove(i), known_);
      ASSERT_TRUE(Succeeds(proven)) << i << " of " << size;
      EXPECT_EQ(proven->leaf.action.sequence(), 100 + i);
      EXPECT_EQ(proven->batch.tree_size(), size);
    }
  }
}

// A29
TEST_F(VerifyActionProofTest, RejectsAnotherAction) {
  v1::ActionProof proof = parts_.Prove(2);
  BatchParts other(device_, 5);
  proof.set_action(other.actions[2]);
  ExpectRefused(proof, ErrorCode::kInclusionProofInvalid);
}

TEST_F(VerifyActionProofTest, RejectsAnotherIndex) {
  for (const uint32_t index : {0u, 1u, 3u, 5u, 0xffffffffu}) {
    v1::ActionProof proof = parts_.Prove(2);
    proof.set_leaf_index(index);
    ExpectRefused(proof, ErrorCode::kLeafIndexMismatch);
  }
}

TEST_F(VerifyActionProofTest, RejectsANumberThatIsNotItsPlace) {
  parts_.Change(2, [](auto& action) { action.set_sequence(103); });
  ExpectRefused(parts_.Prove(2), ErrorCode::kLeafIndexMismatch);
  parts_.Change(2, [](auto& action) { action.set_sequence(99); });
  ExpectRefused(parts_.Prove(2), ErrorCode::kLeafIndexMismatch);
}

// Leaf 0 of a tree of 4 has a path that fits a tree of 3 just as well. The
// size is taken from the quoted statement, which its sender cannot change.
TEST_F(VerifyActionProofTest, RejectsTreeSizesThatTheRootAlsoFits) {
  const BatchParts four(device_, 4);
  v1::ActionProof proof = four.Prove(0);
  v1::ActionBatch batch;
  ASSERT_TRUE(batch.ParseFromString(proof.batch().body()));
  batch.set_tree_size(3);
  proof.mutable_batch()->set_body(
      AsString(statement::SerializeStatement(batch)));
  ExpectRefused(proof, ErrorCode::kDigestMismatch);
}

// Quoted sizes that the path does not fit.
TEST_F(VerifyActionProofTest, RejectsAPathOfAnotherTreeSize) {
  for (const uint32_t size : {1u, 2u, 8u, 2048u}) {
    BatchParts four(device_, 4);
    four.batch.set_tree_size(size);
    ExpectRefused(four.Prove(0), ErrorCode::kInclusionProofInvalid);
  }
  BatchParts four(device_, 4);
  four.batch.set_tree_size(2);
  ExpectRefused(four.Prove(2), ErrorCode::kLeafIndexMismatch);
}

TEST_F(VerifyActionProofTest, RejectsAnotherPath) {
  v1::ActionProof changed = parts_.Prove(2);
  changed.mutable_path(0)->front() ^= 1;
  ExpectRefused(changed, ErrorCode::kInclusionProofInvalid);
  v1::ActionProof shorter = parts_.Prove(2);
  shorter.mutable_path()->RemoveLast();
  ExpectRefused(shorter, ErrorCode::kInclusionProofInvalid);
  v1::ActionProof longer = parts_.Prove(2);
  longer.add_path(std::string(32, 'h'));
  ExpectRefused(longer, ErrorCode::kInclusionProofInvalid);
  v1::ActionProof odd = parts_.Prove(2);
  odd.set_path(0, "short");
  ExpectRefused(odd, ErrorCode::kInclusionProofInvalid);
}

TEST_F(VerifyActionProofTest, RejectsAnotherBatch) {
  v1::ActionProof proof = parts_.Prove(2);
  *proof.mutable_batch() = BatchParts(device_, 5).Build().statement();
  ExpectRefused(proof, ErrorCode::kDigestMismatch);
}

TEST_F(VerifyActionProofTest, RejectsAQuoteByAnotherDevice) {
  const Device other;
  EXPECT_TRUE(FailsWith(VerifyActionProof(parts_.Prove(2), other.Known()),
                        ErrorCode::kAkNotBound));
}

TEST_F(VerifyActionProofTest, RejectsAnotherIssuer) {
  parts_.batch.set_issuer("https://other.example");
  ExpectRefused(parts_.Prove(0), ErrorCode::kWrongIssuer);
}

TEST_F(VerifyActionProofTest, RejectsOtherPcrValues) {
  v1::ActionProof proof = parts_.Prove(0);
  proof.mutable_quote()->mutable_pcr_values(0)->front() ^= 1;
  ExpectRefused(proof, ErrorCode::kPcrDigestMismatch);
}

TEST_F(VerifyActionProofTest, RejectsAnActionThatIsNotWellFormed) {
  parts_.Change(2, [](auto& action) { action.set_salt(""); });
  ExpectRefused(parts_.Prove(2), ErrorCode::kActionInvalid);
}

}  // namespace
}  // namespace countersign::verifier
