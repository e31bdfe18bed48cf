#include "attest/authz/enroll.h"

#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "attest/authz/revocation.h"
#include "attest/authz/tokens.h"
#include "tests/attest/authz/service_rig.h"
#include "tests/fakes/ek_ca.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

class EnrollTest : public testing::Test {
 protected:
  explicit EnrollTest(const RigOptions& options = {})
      : rig_(options), laptop_(rig_) {}

  Result<v1::EnrollmentAnswer> Begin(const v1::EnrollmentRequest& request) {
    return rig_.enroller->Begin(request, *rig_.admission);
  }
  Result<v1::DeviceRecord> Activate(const v1::EnrollmentAnswer& answer,
                                    const v1::ActivationRequest& request) {
    const auto bytes = rig_.enroller->Activate(AsBytes(answer.enrollment_id()),
                                               request, *rig_.admission);
    if (!bytes) return tl::unexpected<Error>(bytes.error());
    v1::DeviceRecord record;
    record.ParseFromString(*bytes);
    return record;
  }
  // Both steps.
  Result<v1::DeviceRecord> Enroll(const Laptop& laptop,
                                  const std::string& token) {
    return Enroll(laptop, laptop.EnrollmentRequestWith(token), token);
  }
  Result<v1::DeviceRecord> Enroll(const Laptop& laptop,
                                  const v1::EnrollmentRequest& request,
                                  const std::string& token) {
    CS_ASSIGN_OR_RETURN(const auto answer, Begin(request));
    v1::ActivationRequest activation = laptop.ActivationFor(answer, token);
    if (request.eks_size() > 1) {
      Retranscribe(laptop, request, answer, token, activation);
    }
    return Activate(answer, activation);
  }
  // A transcript over several EKs, proven anew.
  static void Retranscribe(const Laptop& laptop,
                           const v1::EnrollmentRequest& request,
                           const v1::EnrollmentAnswer& answer,
                           const std::string& token,
                           v1::ActivationRequest& activation) {
    v1::Enrollment transcript;
    transcript.ParseFromString(activation.transcript().body());
    transcript.clear_ek_sha256();
    for (const auto& ek : request.eks()) {
      transcript.add_ek_sha256(AsString(Sha256(AsBytes(ek.public_area()))));
    }
    transcript.set_token_sha256(AsString(Sha256(AsBytes(token))));
    v1::Statement& statement = *activation.mutable_transcript();
    statement.set_body(AsString(statement::SerializeStatement(transcript)));
    const auto secret = fakes::ActivateCredential(
        laptop.device.ek, laptop.device.ak.area.name(),
        {ToBytes(AsBytes(answer.credential_blob())),
         ToBytes(AsBytes(answer.encrypted_secret()))});
    activation.set_proof(AsString(HmacSha256(
        secret->Expose(),
        statement::Pae(statement.type(), AsBytes(statement.body())))));
    *activation.mutable_quote() =
        laptop.device.Quote(statement::StatementDigest(
            StatementType::kEnrollment, AsBytes(statement.body())));
  }

  int64_t Uses(const std::string& token) {
    const auto key =
        EnrollmentTokenKey(token, rig_.service_key.public_key().thumbprint());
    return rig_.Look([&](StoreView& view) { return view.FindToken(*key); })
        ->uses;
  }
  size_t Devices() {
    return rig_.Look([](StoreView& view) { return view.ListDevices({}, 1000); })
        .size();
  }
  static ErrorCode CodeOf(const Status& status) {
    return status ? ErrorCode{} : status.error().code;
  }
  template <typename T>
  static ErrorCode CodeOf(const Result<T>& result) {
    return result ? ErrorCode{} : result.error().code;
  }

  // Refused, and no trace but the token as it was.
  void ExpectBeginRefused(const v1::EnrollmentRequest& request,
                          ErrorCode code) {
    const size_t ledger = rig_.LedgerSize();
    EXPECT_EQ(CodeOf(Begin(request)), code);
    EXPECT_EQ(rig_.LedgerSize(), ledger);
    EXPECT_EQ(Devices(), 0u);
  }

  ServiceRig rig_;
  Laptop laptop_;
};

TEST_F(EnrollTest, MakesADeviceOfAProvenTpm) {
  const std::string token = rig_.NewToken();
  const auto record = Enroll(laptop_, token);
  ASSERT_TRUE(record.has_value()) << record.error().detail;
  EXPECT_EQ(record->device_id().size(), 16u);
  EXPECT_EQ(record->ek_trust(), "first-use");
  EXPECT_EQ(record->ek_class(), "unknown");
  EXPECT_EQ(record->ak_name(), AsString(laptop_.device.ak.area.name()));
  EXPECT_TRUE(verifier::KnownDeviceFrom(*record).has_value());
  EXPECT_EQ(Uses(token), 1);
  const auto entry = rig_.LastEntry();
  EXPECT_EQ(entry.kind(), v1::ENTRY_KIND_ENROLLMENT);
  EXPECT_EQ(entry.device_id(), record->device_id());
  EXPECT_EQ(record->ledger_index(), rig_.LedgerSize() - 1);
}

TEST_F(EnrollTest, NeedsATokenForANewChip) {
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(""),
                     ErrorCode::kEkNotTrusted);
}

// A53
TEST_F(EnrollTest, RejectsAGuessedToken) {
  ExpectBeginRefused(
      laptop_.EnrollmentRequestWith(
          MintEnrollmentToken(rig_.service_key.public_key().thumbprint(), 1,
                              rig_.clock.NowMs(), 60)
              .text),
      ErrorCode::kTokenInvalid);
}

// A53
TEST_F(EnrollTest, RejectsATokenOfAnotherService) {
  std::string token = rig_.NewToken();
  token.back() = token.back() == 'A' ? 'B' : 'A';
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(token),
                     ErrorCode::kTokenInvalid);
}

// A53
TEST_F(EnrollTest, RejectsAnExpiredToken) {
  const std::string token = rig_.NewToken(1, 60);
  rig_.clock.Advance(60'000);
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(token),
                     ErrorCode::kTokenExpired);
}

// A known EK needs no token; one that is given must still be good.
TEST_F(EnrollTest, RejectsABadTokenOfAKnownDevice) {
  laptop_.Enroll();
  const auto begin = [this](const std::string& token) {
    return CodeOf(Begin(laptop_.EnrollmentRequestWith(token)));
  };
  const std::string expired = rig_.NewToken(1, 60);
  rig_.clock.Advance(60'000);
  EXPECT_EQ(begin(expired), ErrorCode::kTokenExpired);
  EXPECT_EQ(
      begin(MintEnrollmentToken(rig_.service_key.public_key().thumbprint(), 1,
                                rig_.clock.NowMs(), 60)
                .text),
      ErrorCode::kTokenInvalid);
  EXPECT_EQ(begin(rig_.NewToken()), ErrorCode{});
}

TEST_F(EnrollTest, RejectsAnAdministratorsToken) {
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(rig_.NewAdminToken()),
                     ErrorCode::kTokenInvalid);
}

// A38
TEST_F(EnrollTest, RejectsTokensThatAreNoTokens) {
  for (const char* token : {"' OR 1=1 --", "cs1.", "cs1..", "cs1.\xff.\xff"}) {
    ExpectBeginRefused(laptop_.EnrollmentRequestWith(token),
                       ErrorCode::kTokenInvalid);
  }
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(std::string(513, 'x')),
                     ErrorCode::kBadRequest);
}

// A53
TEST_F(EnrollTest, RejectsATokenThatWasUsed) {
  const std::string token = rig_.NewToken();
  ASSERT_TRUE(Enroll(laptop_, token).has_value());
  const Laptop other(rig_);
  EXPECT_EQ(CodeOf(Enroll(other, token)), ErrorCode::kTokenUsed);
  EXPECT_EQ(Devices(), 1u);
}

TEST_F(EnrollTest, SpendsATokenOnceAmongManyAtOnce) {
  const std::string token = rig_.NewToken();
  std::vector<std::unique_ptr<Laptop>> laptops;
  std::vector<v1::EnrollmentAnswer> answers;
  for (int i = 0; i < 4; ++i) {
    laptops.push_back(std::make_unique<Laptop>(rig_));
    answers.push_back(*Begin(laptops[i]->EnrollmentRequestWith(token)));
  }
  std::atomic<int> won{0};
  std::atomic<int> used{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        const auto record =
            Activate(answers[i], laptops[i]->ActivationFor(answers[i], token));
        won += record.has_value();
        used += CodeOf(record) == ErrorCode::kTokenUsed;
      });
    }
  }
  EXPECT_EQ(won, 1);
  EXPECT_EQ(used, 3);
  EXPECT_EQ(Devices(), 1u);
}

TEST_F(EnrollTest, DoesNotTrustAFleetTokenAlone) {
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(rig_.NewToken(100)),
                     ErrorCode::kEkNotTrusted);
}

// F10: each answer is lost once.
TEST_F(EnrollTest, CanBeRepeatedAfterEveryLostAnswer) {
  const std::string token = rig_.NewToken();
  const auto request = laptop_.EnrollmentRequestWith(token);
  ASSERT_TRUE(Begin(request).has_value());
  const auto answer = Begin(request);
  ASSERT_TRUE(answer.has_value());
  const auto activation = laptop_.ActivationFor(*answer, token);
  const auto first = Activate(*answer, activation);
  ASSERT_TRUE(first.has_value());
  const size_t ledger = rig_.LedgerSize();
  // The same activation again, and the whole from the start.
  const auto second = Activate(*answer, activation);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->device_id(), first->device_id());
  const auto third = Enroll(laptop_, token);
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->device_id(), first->device_id());
  EXPECT_EQ(Uses(token), 1);
  EXPECT_EQ(rig_.LedgerSize(), ledger);
  EXPECT_EQ(Devices(), 1u);
}

TEST_F(EnrollTest, ForgetsAnAttemptThatTimedOut) {
  const std::string token = rig_.NewToken();
  const auto answer = Begin(laptop_.EnrollmentRequestWith(token));
  rig_.clock.Advance(rig_.config.enrollment.pending_ttl_s * 1000);
  EXPECT_EQ(CodeOf(Activate(*answer, laptop_.ActivationFor(*answer, token))),
            ErrorCode::kEnrollmentUnknown);
  EXPECT_TRUE(Enroll(laptop_, token).has_value());
}

TEST_F(EnrollTest, KeepsNoRowOfAnAttemptThatTimedOut) {
  const auto answer = Begin(laptop_.EnrollmentRequestWith(rig_.NewToken()));
  ASSERT_TRUE(answer.has_value());
  const Laptop other(rig_);
  const std::string token = rig_.NewToken();
  const auto done = Begin(other.EnrollmentRequestWith(token));
  ASSERT_TRUE(Activate(*done, other.ActivationFor(*done, token)).has_value());
  const auto kept = [&](const v1::EnrollmentAnswer& which) {
    return rig_
        .Look([&](StoreView& view) {
          return view.FindEnrollment(AsBytes(which.enrollment_id()));
        })
        .has_value();
  };
  const auto drop = [&] {
    return rig_.store
        ->Write([&](StoreTransaction& transaction) {
          return transaction.DropExpired(rig_.clock.NowMs());
        })
        .has_value();
  };
  rig_.clock.Advance(rig_.config.enrollment.pending_ttl_s * 1000);
  ASSERT_TRUE(drop());
  EXPECT_TRUE(kept(*answer)) << "a clock may be set back a little";
  rig_.clock.Advance(10 * 60 * 1000 + 1);
  ASSERT_TRUE(drop());
  EXPECT_FALSE(kept(*answer));
  EXPECT_TRUE(kept(*done)) << "its answer may have to be repeated";
}

// A12
TEST_F(EnrollTest, RejectsAWrongActivationSecret) {
  const std::string token = rig_.NewToken();
  const auto answer = Begin(laptop_.EnrollmentRequestWith(token));
  v1::ActivationRequest activation = laptop_.ActivationFor(*answer, token);
  activation.mutable_proof()->at(0) ^= 1;
  EXPECT_EQ(CodeOf(Activate(*answer, activation)),
            ErrorCode::kCredentialActivationFailed);
  activation.clear_proof();
  EXPECT_EQ(CodeOf(Activate(*answer, activation)),
            ErrorCode::kCredentialActivationFailed);
  EXPECT_EQ(Uses(token), 0);
  EXPECT_EQ(Devices(), 0u);
}

// A12: the proof of another enrollment.
TEST_F(EnrollTest, RejectsTheProofOfAnotherEnrollment) {
  const std::string token = rig_.NewToken();
  const Laptop other(rig_);
  const std::string other_token = rig_.NewToken();
  const auto theirs = Begin(other.EnrollmentRequestWith(other_token));
  const auto ours = Begin(laptop_.EnrollmentRequestWith(token));
  v1::ActivationRequest activation = laptop_.ActivationFor(*ours, token);
  activation.set_proof(other.ActivationFor(*theirs, other_token).proof());
  EXPECT_EQ(CodeOf(Activate(*ours, activation)),
            ErrorCode::kCredentialActivationFailed);
  // A transcript of the other enrollment, signed by this AK.
  v1::EnrollmentAnswer mixed = *ours;
  mixed.set_nonce(theirs->nonce());
  EXPECT_EQ(CodeOf(Activate(*ours, laptop_.ActivationFor(mixed, token))),
            ErrorCode::kCredentialActivationFailed);
}

TEST_F(EnrollTest, RejectsATranscriptForAnotherServiceOrTenant) {
  const std::string token = rig_.NewToken();
  const auto answer = Begin(laptop_.EnrollmentRequestWith(token));
  v1::EnrollmentAnswer other = *answer;
  other.set_issuer("https://other.example");
  EXPECT_EQ(CodeOf(Activate(*answer, laptop_.ActivationFor(other, token))),
            ErrorCode::kWrongIssuer);
  other = *answer;
  other.set_tenant("other");
  EXPECT_EQ(CodeOf(Activate(*answer, laptop_.ActivationFor(other, token))),
            ErrorCode::kWrongTenant);
  EXPECT_EQ(CodeOf(Activate(*answer, laptop_.ActivationFor(*answer, "x"))),
            ErrorCode::kCredentialActivationFailed);
}

// A11: an AK that is not the one of this record signs.
TEST_F(EnrollTest, RejectsAQuoteByAnotherAk) {
  const std::string token = rig_.NewToken();
  const auto answer = Begin(laptop_.EnrollmentRequestWith(token));
  v1::ActivationRequest activation = laptop_.ActivationFor(*answer, token);
  const Laptop other(rig_);
  *activation.mutable_quote() = other.device.Quote(statement::StatementDigest(
      StatementType::kEnrollment, AsBytes(activation.transcript().body())));
  EXPECT_EQ(CodeOf(Activate(*answer, activation)), ErrorCode::kAkNotBound);
}

// A10
TEST_F(EnrollTest, RejectsAnAkThatCouldSignAnything) {
  laptop_.device.ak = fakes::NewSigningKey(
      tpm::KeyType::kEccP256, tpm::kAkAttributes & ~tpm::kRestricted);
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(rig_.NewToken()),
                     ErrorCode::kAkAttributes);
}

TEST_F(EnrollTest, RejectsAnEkThatIsNoStorageKey) {
  v1::EnrollmentRequest request =
      laptop_.EnrollmentRequestWith(rig_.NewToken());
  request.mutable_eks(0)->set_public_area(
      AsString(fakes::NewSessionKey().area.bytes()));
  ExpectBeginRefused(request, ErrorCode::kEkNotTrusted);
}

TEST_F(EnrollTest, RejectsRequestsOutOfShape) {
  const auto good = laptop_.EnrollmentRequestWith(rig_.NewToken());
  const auto with = [&](auto change) {
    v1::EnrollmentRequest request = good;
    change(request);
    ExpectBeginRefused(request, ErrorCode::kBadRequest);
  };
  with([](auto& r) { r.clear_eks(); });
  with([](auto& r) { *r.add_eks() = r.eks(0); });
  with([](auto& r) {
    for (int i = 0; i < 4; ++i) *r.add_eks() = r.eks(0);
  });
  with([](auto& r) { r.set_certified_ek(1); });
  with([](auto& r) { r.set_certified_ek(UINT32_MAX); });
  with([](auto& r) { r.clear_request_nonce(); });
  // A33
  with([](auto& r) { r.mutable_host()->set_hostname("a\nb"); });
  with([](auto& r) { r.mutable_host()->set_hostname("\u202egood"); });
  with([](auto& r) { r.mutable_host()->set_hostname(std::string(300, 'x')); });
}

TEST_F(EnrollTest, KeepsTheDeviceWhenItsAkIsReplaced) {
  laptop_.Enroll();
  const Bytes device_id = laptop_.device.device_id;
  const LaptopSession session = laptop_.OpenSession();
  const Bytes old_ak = laptop_.device.ak.area.name();
  laptop_.device.ak = fakes::NewAk(tpm::KeyType::kEccP256);
  // The chip is known, so no token is needed: a re-imaged machine.
  const auto record = Enroll(laptop_, "");
  ASSERT_TRUE(record.has_value()) << record.error().detail;
  EXPECT_EQ(record->device_id(), AsString(device_id));
  EXPECT_EQ(Devices(), 1u);
  const auto row = rig_.Look([&](StoreView& view) {
    return view.FindSession(AsBytes(session.binding.session_id()));
  });
  EXPECT_EQ(row->end_reason, "ak_retired");
  EXPECT_TRUE(
      rig_.Look([&](StoreView& view) { return view.FindAk(old_ak); })->retired);
}

// A07: the clock that an AK has shown is remembered from its enrollment on.
TEST_F(EnrollTest, RejectsAnAkWhoseTpmClockWentBack) {
  laptop_.Enroll();
  const auto ak = rig_.Look([&](StoreView& view) {
    return view.FindAk(laptop_.device.ak.area.name());
  });
  ASSERT_TRUE(ak->clock.has_value());
  EXPECT_EQ(ak->clock->reset_count, laptop_.device.clock.reset_count);
  laptop_.device.clock.reset_count -= 1;
  EXPECT_EQ(CodeOf(Enroll(laptop_, rig_.NewToken())),
            ErrorCode::kTpmClockRollback);
}

TEST_F(EnrollTest, KeepsARevokedChipOut) {
  laptop_.Enroll();
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  laptop_.device.ak = fakes::NewAk(tpm::KeyType::kEccP256);
  EXPECT_EQ(CodeOf(Enroll(laptop_, rig_.NewToken())),
            ErrorCode::kDeviceRevoked);
}

// One chip with two EKs, of which each enrollment names both.
class TwoEksTest : public EnrollTest {
 protected:
  v1::EnrollmentRequest Both(const Laptop& laptop, const fakes::SoftKey& other,
                             const std::string& token) const {
    v1::EnrollmentRequest request = laptop.EnrollmentRequestWith(token);
    request.add_eks()->set_public_area(AsString(other.area.bytes()));
    return request;
  }
  // The same chip, enrolling under its other EK with another AK.
  static void Swap(Laptop& laptop, fakes::SoftKey& other) {
    std::swap(laptop.device.ek, other);
    laptop.device.ak = fakes::NewAk(tpm::KeyType::kEccP256);
  }

  fakes::SoftKey second_ = fakes::NewEk(tpm::KeyType::kEccP256);
};

// A13
TEST_F(TwoEksTest, JoinTheSameDevice) {
  std::string token = rig_.NewToken();
  const auto first = Enroll(laptop_, Both(laptop_, second_, token), token);
  ASSERT_TRUE(first.has_value()) << first.error().detail;
  Swap(laptop_, second_);
  const auto joined = Enroll(laptop_, Both(laptop_, second_, ""), "");
  ASSERT_TRUE(joined.has_value()) << joined.error().detail;
  EXPECT_EQ(joined->device_id(), first->device_id());
  EXPECT_EQ(Devices(), 1u);
}

// A13: the other EK does not get around a revocation.
TEST_F(TwoEksTest, AreRevokedTogether) {
  std::string token = rig_.NewToken();
  const auto first = Enroll(laptop_, Both(laptop_, second_, token), token);
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           AsBytes(first->device_id()), "lost")
                  .has_value());
  Swap(laptop_, second_);
  token = rig_.NewToken();
  EXPECT_EQ(CodeOf(Enroll(laptop_, Both(laptop_, second_, token), token)),
            ErrorCode::kDeviceRevoked);
  EXPECT_EQ(CodeOf(Enroll(laptop_, token)), ErrorCode::kDeviceIdentityConflict);
  EXPECT_EQ(Devices(), 1u);
}

// A13: naming another chip's EK does not lead into its device.
TEST_F(TwoEksTest, OfAnotherChipAreAConflictAndAFinding) {
  laptop_.Enroll();
  Laptop thief(rig_);
  const std::string token = rig_.NewToken();
  const auto request = Both(thief, laptop_.device.ek, token);
  const size_t before = rig_.LedgerSize();
  EXPECT_EQ(CodeOf(Begin(request)), ErrorCode::kDeviceIdentityConflict);
  EXPECT_EQ(HttpStatus(ErrorCode::kDeviceIdentityConflict), 409);
  const auto ledger = rig_.Ledger();
  ASSERT_EQ(ledger.size(), before + 1);
  EXPECT_EQ(ledger.back().kind(), v1::ENTRY_KIND_FINDING);
  EXPECT_EQ(ledger.back().device_id(), AsString(laptop_.device.device_id));
  EXPECT_EQ(Devices(), 1u);
  EXPECT_EQ(Uses(token), 0);
}

// A13: an EK that was claimed by somebody else, without proof.
TEST_F(TwoEksTest, ClaimedWithoutProofDoNotLeadToTheClaimant) {
  Laptop thief(rig_);
  std::string token = rig_.NewToken();
  ASSERT_TRUE(
      Enroll(thief, Both(thief, laptop_.device.ek, token), token).has_value());
  // Its owner is not taken for the thief's device.
  token = rig_.NewToken();
  EXPECT_EQ(CodeOf(Enroll(laptop_, token)), ErrorCode::kDeviceIdentityConflict);
  EXPECT_EQ(Devices(), 1u);
}

// A13: an AK of one device in the enrollment of another.
TEST_F(EnrollTest, RejectsAnotherDevicesAk) {
  laptop_.Enroll();
  const Laptop thief(rig_);
  v1::EnrollmentRequest request = thief.EnrollmentRequestWith(rig_.NewToken());
  request.set_ak_public(AsString(laptop_.device.ak.area.bytes()));
  EXPECT_EQ(CodeOf(Begin(request)), ErrorCode::kDeviceIdentityConflict);
}

class CertificatePolicyTest : public EnrollTest {
 protected:
  CertificatePolicyTest()
      : EnrollTest({.ek_policy = EkPolicy::kCertificate,
                    .ek_roots = {{"root.pem", Ca().certificate()}}}) {
    rig_.clock.now_ms = fakes::kCaNowMs;
  }
  static const fakes::EkCa& Ca() {
    static const auto* ca = new fakes::EkCa("Maker Root");
    return *ca;
  }
  v1::EnrollmentRequest Certified(const fakes::EkCa& ca,
                                  const std::string& token) const {
    v1::EnrollmentRequest request = laptop_.EnrollmentRequestWith(token);
    request.mutable_eks(0)->add_certificates(
        AsString(ca.Issue(laptop_.device.ek.key.get())));
    return request;
  }
};

TEST_F(CertificatePolicyTest, TakesAFleetTokenWithACertificate) {
  const std::string token = rig_.NewToken(100);
  const auto record = Enroll(laptop_, Certified(Ca(), token), token);
  ASSERT_TRUE(record.has_value()) << record.error().detail;
  EXPECT_EQ(record->ek_trust(), "certificate");
  EXPECT_NE(record->ek_root().find("Maker Root"), std::string::npos);
}

TEST_F(CertificatePolicyTest, NeedsATokenBesideTheCertificate) {
  ExpectBeginRefused(Certified(Ca(), ""), ErrorCode::kEkNotTrusted);
}

TEST_F(CertificatePolicyTest, RejectsAChipWithoutCertificate) {
  ExpectBeginRefused(laptop_.EnrollmentRequestWith(rig_.NewToken()),
                     ErrorCode::kEkCertMissing);
}

TEST_F(CertificatePolicyTest, RejectsAnotherManufacturer) {
  const fakes::EkCa other("Nobody");
  ExpectBeginRefused(Certified(other, rig_.NewToken()),
                     ErrorCode::kEkCertUntrusted);
}

// A26: with the manufacturer's list beside its root, in either form.
TEST_F(CertificatePolicyTest, RejectsARevokedCertificate) {
  const Bytes der = Ca().Crl(7);
  const std::string pem = "-----BEGIN X509 CRL-----\n" + ToBase64(der) +
                          "\n-----END X509 CRL-----\n";
  v1::EnrollmentRequest request =
      laptop_.EnrollmentRequestWith(rig_.NewToken());
  const Bytes certificate =
      Ca().Issue(laptop_.device.ek.key.get(), {.serial = 7});
  request.mutable_eks(0)->add_certificates(AsString(certificate));
  for (const std::string& list : {AsString(der), pem}) {
    std::ofstream(rig_.config.enrollment.ek_roots + "/maker.crl",
                  std::ios::binary | std::ios::trunc)
        << list;
    *rig_.admission = EkAdmission::Load(rig_.config.enrollment).value();
    ExpectBeginRefused(request, ErrorCode::kEkCertRevoked);
    // For an auditor, who looks back.
    EXPECT_TRUE(rig_.admission
                    ->VerifyChain(laptop_.device.ek.area, {{certificate}},
                                  fakes::kCaNowMs)
                    .has_value());
  }
  const std::string token = rig_.NewToken();
  EXPECT_TRUE(Enroll(laptop_, Certified(Ca(), token), token).has_value());
}

// A09
TEST_F(CertificatePolicyTest, RejectsTheCertificateOfAnotherEk) {
  v1::EnrollmentRequest request =
      laptop_.EnrollmentRequestWith(rig_.NewToken());
  request.mutable_eks(0)->add_certificates(
      AsString(Ca().Issue(fakes::NewEk(tpm::KeyType::kEccP256).key.get())));
  ExpectBeginRefused(request, ErrorCode::kEkCertMismatch);
}

// A15
TEST_F(CertificatePolicyTest, RejectsAHeapOfCertificates) {
  v1::EnrollmentRequest request = Certified(Ca(), rig_.NewToken());
  for (int i = 0; i < 1000; ++i) {
    request.mutable_eks(0)->add_certificates(request.eks(0).certificates(0));
  }
  ExpectBeginRefused(request, ErrorCode::kTooLarge);
}

TEST(AllowListTest, TakesAListedChipWithoutToken) {
  const fakes::SoftKey ek = fakes::NewEk(tpm::KeyType::kEccP256);
  ServiceRig rig({.ek_policy = EkPolicy::kAllowlist,
                  .allow_list = "# remarks\n" + ToHex(Sha256(ek.area.bytes())) +
                                "  rack 4\n"});
  Laptop laptop(rig);
  EXPECT_EQ(
      rig.enroller
          ->Begin(laptop.EnrollmentRequestWith(rig.NewToken()), *rig.admission)
          .error()
          .code,
      ErrorCode::kEkNotTrusted);
  // The very chip.
  laptop.device.ek.area = ek.area;
  laptop.device.ek.key.reset();
  EVP_PKEY_up_ref(ek.key.get());
  laptop.device.ek.key.reset(ek.key.get());
  const auto answer =
      rig.enroller->Begin(laptop.EnrollmentRequestWith(""), *rig.admission);
  ASSERT_TRUE(answer.has_value()) << answer.error().detail;
  const auto record =
      rig.enroller->Activate(AsBytes(answer->enrollment_id()),
                             laptop.ActivationFor(*answer, ""), *rig.admission);
  ASSERT_TRUE(record.has_value()) << record.error().detail;
}

TEST(EkAdmissionTest, NamesTheFileOfWhatIsNoRootOrRevocationList) {
  const TempFolder folder;
  EnrollmentConfig config;
  config.ek_roots = folder.Path("roots");
  std::filesystem::create_directory(config.ek_roots);
  const std::string list = AsString(fakes::EkCa("Maker").Crl(7));
  const std::string pem = "-----BEGIN X509 CRL-----\n" +
                          ToBase64(AsBytes(list)) +
                          "\n-----END X509 CRL-----\n";
  const auto complaint = [&](const std::string& name,
                             const std::string& content) {
    const std::string path = config.ek_roots + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    const auto loaded = EkAdmission::Load(config);
    std::filesystem::remove(path);
    if (loaded) return std::string("taken");
    EXPECT_EQ(loaded.error().code, ErrorCode::kConfigInvalid);
    return loaded.error().detail.substr(0, path.size() + 4);
  };
  const auto blamed = [&](const std::string& name) {
    return config.ek_roots + "/" + name + ":1: ";
  };
  EXPECT_EQ(complaint("a.crl", list), "taken");
  EXPECT_EQ(complaint("a.crl", pem + pem), "taken");
  EXPECT_EQ(complaint("a.crl.old", "x"), "taken") << "not a name that counts";
  for (const std::string& bad :
       {std::string(), std::string("x"), list + "x", list.substr(1),
        list.substr(0, list.size() - 1), pem + pem.substr(0, 60),
        std::string(17 * 1024 * 1024, 'x')}) {
    EXPECT_EQ(complaint("a.crl", bad), blamed("a.crl"));
  }
  EXPECT_EQ(complaint("a.pem", pem), blamed("a.pem"));
}

TEST(EkAdmissionTest, NamesFileAndLineOfABadAllowList) {
  const TempFolder folder;
  EnrollmentConfig config;
  config.ek_roots = folder.Path("roots");
  std::filesystem::create_directory(config.ek_roots);
  config.ek_allowlist = folder.Path("list.txt");
  FILE* file = std::fopen(config.ek_allowlist.c_str(), "w");
  std::fputs("\n# fine\nzz\n", file);
  std::fclose(file);
  const auto loaded = EkAdmission::Load(config);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, ErrorCode::kConfigInvalid);
  EXPECT_NE(loaded.error().detail.find("list.txt:3:"), std::string::npos);
}

}  // namespace
}  // namespace countersign::authz
