// What goes wrong with real TPMs, on a software one: each fault is provoked,
// gives its own error within a bound, and everything works again afterwards
// on the same object.

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "attest/base/digest.h"
#include "attest/tpm/attest.h"
#include "platform/esys_tpm.h"
#include "tests/fails_with.h"
#include "tests/fakes/swtpm_rig.h"

namespace countersign::platform {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using tpm::KeyType;

const tpm::PcrSelection kBoot = tpm::PcrSelection::Default();
const EsysTpmOptions kImpatient = {.command_timeout = milliseconds(1000),
                                   .create_timeout = milliseconds(5000)};

Sha256Digest DigestOf(std::string_view text) { return Sha256(AsBytes(text)); }

class EsysTpmFaultsTest : public testing::Test {
 protected:
  // Enrolls an AK through a healthy connection.
  void SetUp() override {
    const auto tpm = EsysTpm::Create(rig_.tcti());
    const auto keys = tpm->EndorsementKeys();
    ASSERT_TRUE(Succeeds(keys));
    auto blob = tpm->CreateAk(keys->front(), KeyType::kEccP256, auth_);
    ASSERT_TRUE(Succeeds(blob));
    blob_ = *std::move(blob);
  }

  // One with the AK loaded. `options` are those of tcti_delay.
  std::unique_ptr<Tpm> Enrolled(const std::string& options = {},
                                const EsysTpmOptions& how = {}) {
    auto tpm = EsysTpm::Create(
        options.empty() ? rig_.tcti() : rig_.tcti_with(options), how);
    EXPECT_TRUE(Succeeds(tpm->LoadAk(blob_, auth_)));
    return tpm;
  }
  auto Quote(Tpm& tpm) { return tpm.QuoteAk(DigestOf("x"), kBoot); }

  // How many transient objects and sessions the TPM holds.
  int Loaded() {
    std::string transient;
    std::string sessions;
    EXPECT_TRUE(
        rig_.Shell("tpm2_getcap handles-transient | wc -l", &transient));
    EXPECT_TRUE(
        rig_.Shell("tpm2_getcap handles-loaded-session | wc -l", &sessions));
    return std::stoi(transient) + std::stoi(sessions);
  }

  fakes::SwtpmRig rig_;
  Secret auth_{RandomBytes(32)};
  AkBlob blob_;
};

TEST_F(EsysTpmFaultsTest, TimesOutWhenTheTpmHangs) {  // F11
  const auto tpm = Enrolled("ms=0", kImpatient);
  ASSERT_TRUE(Succeeds(Quote(*tpm)));
  rig_.Pause();
  const auto start = steady_clock::now();
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kTpmTimeout));
  EXPECT_LT(steady_clock::now() - start, milliseconds(3000));
  // While it hangs, further calls fail at once and leave no threads behind.
  const auto again = steady_clock::now();
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kTpmTimeout));
  EXPECT_LT(steady_clock::now() - again, milliseconds(500));
  rig_.Resume();
  for (int i = 0; i < 100 && !Quote(*tpm).has_value(); ++i) {
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
}

TEST_F(EsysTpmFaultsTest, TimesOutWhenTheTpmHangsAtConnect) {  // F11
  rig_.Pause();
  const auto start = steady_clock::now();
  EXPECT_TRUE(FailsWith(EsysTpm::Open(rig_.tcti(), kImpatient),
                        ErrorCode::kTpmTimeout));
  EXPECT_LT(steady_clock::now() - start, milliseconds(3000));
}

TEST_F(EsysTpmFaultsTest, QuotesAgainAfterTheTpmCrashed) {  // F12
  const auto tpm = Enrolled();
  ASSERT_TRUE(Succeeds(Quote(*tpm)));
  rig_.Kill();
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kTpmUnavailable));
  rig_.Start();
  rig_.Extend();
  const auto after = Quote(*tpm);
  ASSERT_TRUE(Succeeds(after));
  EXPECT_FALSE(tpm::ParseAttest(after->quote.attest)->clock.safe);
}

// F13: asked to come again a few times, it waits longer each time.
TEST_F(EsysTpmFaultsTest, WaitsWhileTheTpmAsksToTryAgain) {
  for (const char* rc : {"0x922", "0x908", "0x90a"}) {
    const auto tpm = Enrolled("count=4:rc=" + std::string(rc));
    const auto start = steady_clock::now();
    EXPECT_TRUE(Succeeds(Quote(*tpm))) << rc;
    EXPECT_GE(steady_clock::now() - start, milliseconds(5 + 10 + 20 + 40));
  }
}

TEST_F(EsysTpmFaultsTest, StopsWaitingAtTheDeadline) {  // F13
  const auto tpm = Enrolled("count=30:rc=0x922", kImpatient);
  const auto start = steady_clock::now();
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kTpmRetry));
  EXPECT_LT(steady_clock::now() - start, milliseconds(3000));
}

TEST_F(EsysTpmFaultsTest, TellsHowLongALockoutLasts) {  // F14
  const auto tpm = Enrolled("count=1:rc=0x921");
  const auto locked = Quote(*tpm);
  ASSERT_TRUE(FailsWith(locked, ErrorCode::kTpmLockout));
  EXPECT_NE(locked.error().detail.find("seconds"), std::string::npos);
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
}

// F14: our keys are exempt from dictionary-attack protection, so that someone
// else's wrong guesses do not stop us.
TEST_F(EsysTpmFaultsTest, QuotesWhileTheTpmIsLockedOut) {
  ASSERT_TRUE(
      rig_.Shell("tpm2_dictionarylockout -s -n 1 -t 1000 -l 1000 && "
                 "tpm2_createprimary -C o -c primary.ctx -p right && "
                 "tpm2_flushcontext -t; "
                 "! tpm2_create -C primary.ctx -P wrong -u k.pub -r k.priv; "
                 "tpm2_flushcontext -t"));
  const auto tpm = Enrolled();
  const auto info = tpm->Info();
  ASSERT_TRUE(Succeeds(info));
  ASSERT_TRUE(info->locked_out);
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
  const auto key = tpm->CreateSessionKey();
  ASSERT_TRUE(Succeeds(key));
  EXPECT_TRUE(Succeeds(tpm->SignWithSessionKey(key->id, DigestOf("x"))));
}

TEST_F(EsysTpmFaultsTest, SaysThatTheDeviceIsAbsent) {  // F17
  const auto missing = EsysTpm::Open("device:/nonexistent/tpm0");
  EXPECT_TRUE(FailsWith(missing, ErrorCode::kTpmUnavailable));
  EXPECT_NE(missing.error().detail.find("No such file"), std::string::npos);
  EXPECT_TRUE(FailsWith(EsysTpm::Open("swtpm:path=/nonexistent"),
                        ErrorCode::kTpmUnavailable));
  EXPECT_TRUE(
      FailsWith(EsysTpm::Open("nonsense:x"), ErrorCode::kTpmUnavailable));
  EXPECT_TRUE(
      FailsWith(EsysTpm::Open("device:/dev/null"), ErrorCode::kTpmUnavailable));
}

TEST_F(EsysTpmFaultsTest, SaysThatTheDeviceMayNotBeOpened) {  // F17
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string device = rig_.dir() + "/device";
  std::ofstream(device) << "";
  std::filesystem::permissions(device, std::filesystem::perms(0600));
  std::filesystem::permissions(rig_.dir(), std::filesystem::perms(0755));
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setuid(12345) != 0) ::_exit(1);
    const auto opened = EsysTpm::Open("device:" + device);
    ::_exit(FailsWith(opened, ErrorCode::kTpmPermissionDenied) ? 0 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// F17: /dev/tpm0 admits one program at a time.
TEST_F(EsysTpmFaultsTest, SaysThatTheDeviceIsBusy) {
  if (::access("/usr/bin/strace", X_OK) != 0) GTEST_SKIP() << "needs strace";
  const std::string device = rig_.dir() + "/device";
  std::ofstream(device) << "";
  std::string output;
  // strace answers the open of that one file as the driver does.
  rig_.Shell("strace -f -qqq -o /dev/null -P " + device +
                 " -e inject=openat:error=EBUSY " +
                 std::filesystem::read_symlink("/proc/self/exe").string() +
                 " --open-only device:" + device,
             &output);
  EXPECT_EQ(output, "tpm_busy\n");
}

TEST_F(EsysTpmFaultsTest, SaysThatAnotherProgramFillsTheSlots) {  // F18
  // As many primary keys as the TPM holds, left behind by another program.
  const auto fill = [&] {
    rig_.Shell("for i in 1 2 3; do tpm2_createprimary -C n -c p.ctx; done");
  };
  const auto tpm = Enrolled();
  ASSERT_TRUE(Succeeds(Quote(*tpm)));
  fill();
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kTpmSlotsExhausted));
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kTpmSlotsExhausted));
  EXPECT_TRUE(rig_.Shell("tpm2_flushcontext -t"));
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
}

TEST_F(EsysTpmFaultsTest, FindsAnotherHandleWhenThePersistentOneIsTaken) {
  // F18
  ASSERT_TRUE(rig_.Shell(
      "tpm2_createprimary -C o -c p.ctx && tpm2_flushcontext -t;"
      "tpm2_evictcontrol -C o -c p.ctx 0x81004350 &&"
      "tpm2_evictcontrol -C o -c p.ctx 0x81010002; tpm2_flushcontext -t"));
  const auto tpm = Enrolled();
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
  std::string handles;
  EXPECT_TRUE(rig_.Shell("tpm2_getcap handles-persistent", &handles));
  EXPECT_NE(handles.find("0x81004351"), std::string::npos) << handles;
}

TEST_F(EsysTpmFaultsTest, ReadsAgainWhenThePcrsChanged) {  // F19
  const auto tpm = Enrolled();
  ASSERT_TRUE(Succeeds(Quote(*tpm)));
  ASSERT_TRUE(rig_.Shell("tpm2_pcrextend 5:sha256=" + std::string(64, 'b')));
  const auto quoted = Quote(*tpm);
  ASSERT_TRUE(Succeeds(quoted));
}

// F19: a value that is another one by the time of the quote. TPM2_PCR_Read is
// not authenticated, so a flipped bit in its answer is just that.
TEST_F(EsysTpmFaultsTest, GivesUpWhenThePcrsKeepChanging) {
  const auto patient = Enrolled("cc=0x17e:flip=40:count=4");
  EXPECT_TRUE(Succeeds(Quote(*patient)));
  const auto tpm = Enrolled("cc=0x17e:flip=40:count=5");
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kPcrChanged));
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
}

TEST_F(EsysTpmFaultsTest, ReconnectsAfterACutBeforeOrAfterExecution) {
  for (const char* fault : {"cut=1:skip=1:count=1", "lost=1:skip=1:count=1"}) {
    const auto tpm = Enrolled(fault);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(Succeeds(Quote(*tpm))) << fault;
  }
}

TEST_F(EsysTpmFaultsTest, RetriesACommandThatWasGarbledOnItsWay) {
  // Inside the qualifying data: the TPM sees a wrong HMAC.
  const auto tpm = Enrolled("garble=100:count=1");
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
}

TEST_F(EsysTpmFaultsTest, LeavesNothingLoaded) {
  {
    const auto tpm = Enrolled();
    ASSERT_TRUE(Succeeds(Quote(*tpm)));
    ASSERT_TRUE(Succeeds(tpm->CreateSessionKey()));
    EXPECT_GT(Loaded(), 0);
  }
  EXPECT_EQ(Loaded(), 0);
}

TEST_F(EsysTpmFaultsTest, FlushesWhatADeadConnectionHadLoaded) {
  const auto tpm = Enrolled("flip=40:every=2");
  for (int i = 0; i < 10; ++i) (void)Quote(*tpm);
  EXPECT_LE(Loaded(), 2);  // The session, and the AK if not persistent.
}

// F01: kill -9 again and again must not fill the TPM's slots.
TEST_F(EsysTpmFaultsTest, FlushesWhatAKilledProcessHadLoaded) {
  for (int i = 0; i < 5; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const auto tpm = Enrolled();
      ::_exit(Quote(*tpm).has_value() ? ::kill(::getpid(), SIGKILL) : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "round " << i;
  }
  EXPECT_TRUE(Succeeds(Quote(*Enrolled())));
}

TEST_F(EsysTpmFaultsTest, WorksWhereOwnerAuthorisationIsSet) {
  ASSERT_TRUE(rig_.Shell("tpm2_changeauth -c o secret"));
  const auto tpm = Enrolled();
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
  EXPECT_TRUE(tpm->Info()->owner_auth_set);
  const auto key = tpm->CreateSessionKey();
  ASSERT_TRUE(Succeeds(key));
  EXPECT_TRUE(Succeeds(tpm->CertifySessionKey(key->id, DigestOf("x"))));
  std::string handles;
  EXPECT_TRUE(rig_.Shell("tpm2_getcap handles-persistent", &handles));
  EXPECT_EQ(handles.find("0x8100435"), std::string::npos) << handles;
  rig_.Reboot();
  EXPECT_TRUE(Succeeds(Quote(*tpm)));
}

TEST_F(EsysTpmFaultsTest, SaysThatEndorsementAuthorisationIsNeeded) {
  ASSERT_TRUE(rig_.Shell("tpm2_changeauth -c e secret"));
  const auto tpm = EsysTpm::Create(rig_.tcti());
  EXPECT_TRUE(
      FailsWith(tpm->LoadAk(blob_, auth_), ErrorCode::kTpmOwnerAuthRequired));
  const auto keys = tpm->EndorsementKeys();  // Persistent ones need none.
  ASSERT_TRUE(Succeeds(keys));
  EXPECT_TRUE(FailsWith(tpm->CreateAk(keys->front(), KeyType::kEccP256, auth_),
                        ErrorCode::kTpmOwnerAuthRequired));
}

// F16
TEST_F(EsysTpmFaultsTest, NoticesThatTheEndorsementKeyHasChanged) {
  const auto tpm = Enrolled();
  ASSERT_TRUE(Succeeds(Quote(*tpm)));
  ASSERT_TRUE(rig_.Shell("tpm2_changeeps"));
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kStateBelongsToOtherTpm));
}

TEST_F(EsysTpmFaultsTest, RejectsAnUnmeasuredTpm) {
  rig_.Reboot();
  ASSERT_TRUE(rig_.Shell("tpm2_pcrallocate sha256:none+sha1:all"));
  rig_.Reboot();
  const auto tpm = Enrolled();
  EXPECT_TRUE(FailsWith(Quote(*tpm), ErrorCode::kPcrBankUnmeasured));
}

TEST_F(EsysTpmFaultsTest, FindsTheCertificatesAndTheirIssuer) {
  const auto tpm = EsysTpm::Create(rig_.tcti());
  const auto keys = tpm->EndorsementKeys();
  ASSERT_TRUE(Succeeds(keys));
  ASSERT_EQ(keys->size(), 2u);
  const auto read = [&](const std::string& name) {
    std::ifstream file(rig_.dir() + "/" + name, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
  };
  const Bytes issuer = read("ca/issuercert.der");
  EXPECT_EQ((*keys)[0].certificates,
            (std::vector<Bytes>{read("ekcerts/ek-secp256r1.crt"), issuer}));
  EXPECT_EQ((*keys)[1].certificates,
            (std::vector<Bytes>{read("ekcerts/ek-rsa2048.crt"), issuer}));
  EXPECT_EQ(PreferredEk(*keys).type, KeyType::kEccP256);
}

// The requirement "another process with TPM access and the blob cannot quote".
TEST_F(EsysTpmFaultsTest, AnotherProgramWithTheBlobCannotQuote) {
  const auto write = [&](const std::string& name, ByteSpan content) {
    std::ofstream file(rig_.dir() + "/" + name, std::ios::binary);
    const Bytes sized = BigEndianWriter().Sized16(content).bytes();
    file << AsString(sized);
  };
  write("ak.pub", blob_.public_area);
  write("ak.priv", blob_.private_area);
  const std::string load =
      "tpm2_startauthsession --policy-session -S s.ctx && "
      "tpm2_policysecret -S s.ctx -c e && "
      "tpm2_load -C 0x81010002 -P session:s.ctx -u ak.pub -r ak.priv "
      "-c ak.ctx";
  // Loading takes no secret: it is the authorisation value that protects.
  ASSERT_TRUE(rig_.Shell(load));
  EXPECT_TRUE(rig_.Shell("tpm2_flushcontext -t; tpm2_flushcontext s.ctx"));
  const std::string quote =
      "tpm2_quote -c ak.ctx -l sha256:0,1 -q 00 -m m -s s -o o ";
  EXPECT_FALSE(rig_.Shell(quote));
  EXPECT_FALSE(rig_.Shell(quote + "-p guess"));
  // The same command with the value works: nothing else was in the way.
  EXPECT_TRUE(rig_.Shell("tpm2_flushcontext -t; " + quote +
                         "-p hex:" + ToHex(auth_.Expose())));
  // Nor does the persistent copy help that the daemon makes.
  { ASSERT_TRUE(Succeeds(Quote(*Enrolled()))); }
  EXPECT_TRUE(
      rig_.Shell("tpm2_flushcontext -t; tpm2_readpublic -c 0x81004350"));
  EXPECT_FALSE(rig_.Shell(
      "tpm2_quote -c 0x81004350 -l sha256:0,1 -q 00 -m m -s s -o o"));
}

}  // namespace
}  // namespace countersign::platform

// Beside the tests: `--open-only TCTI` prints the name of the error.
int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--open-only") {
    const auto opened = countersign::platform::EsysTpm::Open(argv[2]);
    std::puts(opened.has_value()
                  ? "ok"
                  : std::string(Name(opened.error().code)).c_str());
    return 0;
  }
  countersign::platform::SilenceTssLog();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
