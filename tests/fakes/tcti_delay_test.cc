// What tcti_delay promises, asked of it with TPM2_GetRandom on a software TPM.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tss2/tss2_tctildr.h>

#include <chrono>

#include "attest/base/bytes.h"
#include "tests/fakes/swtpm_rig.h"

namespace countersign::fakes {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::Ge;
using testing::Lt;
using testing::SizeIs;

// Tag, size, code, bytesRequested: 8 random bytes make an answer of 20.
constexpr uint8_t kGetRandom[] = {0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8};
constexpr size_t kAnswerSize = 20;
constexpr TSS2_RC kFine = TSS2_RC_SUCCESS;

class TctiDelayTest : public testing::Test {
 protected:
  ~TctiDelayTest() override { Close(); }

  static SwtpmRig& Rig() {
    static SwtpmRig rig;
    return rig;
  }

  // Options also tell the strings of different tests apart: counts go on over
  // reconnects with the same string.
  void Open(const std::string& options) {
    Close();
    ASSERT_EQ(Tss2_TctiLdr_Initialize(Rig().tcti_with(options).c_str(), &tcti_),
              kFine);
  }
  void Close() {
    if (tcti_ != nullptr) Tss2_TctiLdr_Finalize(&tcti_);
  }

  TSS2_RC Send() {
    sent_ = std::chrono::steady_clock::now();
    return Tss2_Tcti_Transmit(tcti_, sizeof(kGetRandom), kGetRandom);
  }
  TSS2_RC Receive(int32_t timeout = TSS2_TCTI_TIMEOUT_BLOCK) {
    answer_.assign(4096, 0);
    size_t size = answer_.size();
    const TSS2_RC rc = Tss2_Tcti_Receive(tcti_, &size, answer_.data(), timeout);
    answer_.resize(rc == kFine ? size : 0);
    return rc;
  }
  TSS2_RC Exchange() {
    const TSS2_RC rc = Send();
    return rc == kFine ? Receive() : rc;
  }
  milliseconds SinceSent() const {
    return std::chrono::duration_cast<milliseconds>(
        std::chrono::steady_clock::now() - sent_);
  }

  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  Bytes answer_;
  std::chrono::steady_clock::time_point sent_;
};

TEST_F(TctiDelayTest, AnswersNoSoonerThanAsked) {
  Open("ms=150:cc=0x17b");
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(SinceSent(), Ge(milliseconds(150)));
  EXPECT_THAT(answer_, SizeIs(kAnswerSize));
}

TEST_F(TctiDelayTest, LeavesOtherCommandsAlone) {
  Open("ms=10000:rc=0x922");
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(SinceSent(), Lt(milliseconds(5000)));
  EXPECT_THAT(answer_, SizeIs(kAnswerSize));
}

TEST_F(TctiDelayTest, SaysTryAgainUntilTheAnswerIsDue) {
  Open("ms=300:cc=0");
  ASSERT_EQ(Send(), kFine);
  EXPECT_EQ(Receive(TSS2_TCTI_TIMEOUT_NONE), TSS2_TCTI_RC_TRY_AGAIN);
  EXPECT_EQ(Receive(50), TSS2_TCTI_RC_TRY_AGAIN);
  EXPECT_THAT(SinceSent(), Ge(milliseconds(50)));
  TSS2_RC rc = TSS2_TCTI_RC_TRY_AGAIN;
  while (rc == TSS2_TCTI_RC_TRY_AGAIN) rc = Receive(20);
  EXPECT_EQ(rc, kFine);
  EXPECT_THAT(SinceSent(), Ge(milliseconds(300)));
  EXPECT_THAT(answer_, SizeIs(kAnswerSize));
}

TEST_F(TctiDelayTest, AnswersEachThirdWithACodeOfItsOwn) {
  Open("cc=0x17b:every=3:rc=0x922");
  std::vector<size_t> sizes;
  for (int i = 0; i < 6; ++i) {
    ASSERT_EQ(Exchange(), kFine);
    sizes.push_back(answer_.size());
  }
  EXPECT_THAT(sizes, ElementsAre(20, 20, 10, 20, 20, 10));
  EXPECT_THAT(answer_, ElementsAre(0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x22));
}

TEST_F(TctiDelayTest, CountsGoOnOverReconnects) {
  Open("cc=0x17b:skip=1:count=1:rc=0x921");
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(answer_, SizeIs(kAnswerSize));
  Open("cc=0x17b:skip=1:count=1:rc=0x921");
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(answer_, SizeIs(10));
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(answer_, SizeIs(kAnswerSize));
}

TEST_F(TctiDelayTest, CutsTheConnectionBeforeTheTpmSeesTheCommand) {
  Open("cc=0x17b:count=1:cut=1");
  EXPECT_EQ(Send(), TSS2_TCTI_RC_IO_ERROR);
  Open("cc=0x17b:count=1:cut=1");
  EXPECT_EQ(Exchange(), kFine);
}

TEST_F(TctiDelayTest, LosesTheAnswerOfAnExecutedCommand) {
  Open("cc=0x17b:count=1:lost=1");
  ASSERT_EQ(Send(), kFine);
  EXPECT_EQ(Receive(), TSS2_TCTI_RC_IO_ERROR);
  EXPECT_EQ(Exchange(), kFine);
}

TEST_F(TctiDelayTest, SpoilsAnswersAndCommands) {
  Open("cc=0x17b:flip=5");  // The size, 20.
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_EQ(answer_[5], 21);
  Open("cc=0x17b:poke=2.ffffffff");
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(Bytes(answer_.begin() + 2, answer_.begin() + 6),
              ElementsAre(0xff, 0xff, 0xff, 0xff));
  Open("cc=0x17b:short=7");
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(answer_, SizeIs(7));
  Open("cc=0x17b:garble=11");  // Asks for 9 bytes.
  ASSERT_EQ(Exchange(), kFine);
  EXPECT_THAT(answer_, SizeIs(kAnswerSize + 1));
}

TEST_F(TctiDelayTest, SaysWhetherItCanBePolledAsTheRealOneDoes) {
  Open("ms=1");
  TSS2_TCTI_CONTEXT* inner = nullptr;
  Close();
  ASSERT_EQ(Tss2_TctiLdr_Initialize(Rig().tcti().c_str(), &inner), kFine);
  size_t count = 0;
  const TSS2_RC expected = Tss2_Tcti_GetPollHandles(inner, nullptr, &count);
  Tss2_TctiLdr_Finalize(&inner);
  Open("ms=1");
  EXPECT_EQ(Tss2_Tcti_GetPollHandles(tcti_, nullptr, &count), expected);
}

TEST_F(TctiDelayTest, RefusesToOpenWithoutARealOne) {
  const std::string tcti = Rig().tcti_with("ms=1");
  const std::string broken = tcti.substr(0, tcti.rfind("swtpm:")) + "nothing:";
  EXPECT_NE(Tss2_TctiLdr_Initialize(broken.c_str(), &tcti_), kFine);
  tcti_ = nullptr;
}

}  // namespace
}  // namespace countersign::fakes
