#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <nlohmann/json.hpp>

#include "attest/authz/audit/action_report.h"
#include "attest/authz/audit/ledger_check.h"
#include "attest/authz/audit/trail.h"
#include "attest/authz/revocation.h"
#include "attest/authz/session_facts.h"
#include "tests/attest/authz/service_rig.h"
#include "tests/fakes/ek_ca.h"

namespace countersign::authz {
namespace {

using testing::HasSubstr;

class AuditTest : public testing::Test {
 protected:
  AuditTest() : laptop_(rig_) {
    laptop_.Enroll();
    session_ = laptop_.OpenSession();
  }

  Result<ActionReport> Report(const std::string& which) {
    ActionReport report;
    const Status status = rig_.store->Read([&](StoreView& view) -> Status {
      CS_ASSIGN_OR_RETURN(
          report,
          ReportAction(view, rig_.config, rig_.ledger_key.verifier(), which));
      return {};
    });
    if (!status) return tl::unexpected<Error>(status.error());
    return report;
  }
  Result<ActionReport> Report(const v1::ActionDecision& decision) {
    return Report(std::to_string(decision.ledger_index()));
  }
  static std::map<std::string, CheckedLine> Lines(const ActionReport& report) {
    std::map<std::string, CheckedLine> lines;
    for (const auto* part : {&report.who, &report.what, &report.valid_then}) {
      for (const CheckedLine& line : *part) lines[line.key] = line;
    }
    return lines;
  }
  static std::string Failed(const ActionReport& report) {
    std::string failed;
    for (const auto& [key, line] : Lines(report)) {
      if (line.mark == Mark::kFailed) failed += key + ": " + line.proof + "; ";
    }
    return failed;
  }

  // Changes the store behind the service's back.
  void Tamper(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(rig_.config.database.c_str(), &db), SQLITE_OK);
    char* error = nullptr;
    ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &error),
              SQLITE_OK)
        << error;
    EXPECT_GT(sqlite3_changes(db), 0) << sql;
    sqlite3_close(db);
  }
  ledger::LedgerAudit Verify() {
    ledger::LedgerAudit audit;
    const Status status = rig_.store->Read([&](StoreView& view) -> Status {
      CS_ASSIGN_OR_RETURN(
          audit, CheckLedger(view, rig_.config, rig_.ledger_key.verifier()));
      return {};
    });
    EXPECT_TRUE(status.has_value()) << status.error().detail;
    return audit;
  }

  ServiceRig rig_;
  Laptop laptop_;
  LaptopSession session_;
};

TEST_F(AuditTest, GivesTheThreeAnswersOfAPermit) {
  const auto decision = laptop_.Authorize(session_);
  const auto report = Report(decision);
  ASSERT_TRUE(report.has_value()) << report.error().detail;
  EXPECT_TRUE(report->holds()) << Failed(*report);
  EXPECT_EQ(report->decision, "permit");
  EXPECT_EQ(report->name, "http:POST");
  const auto lines = Lines(*report);
  EXPECT_EQ(lines.at("user").mark, Mark::kOk);
  EXPECT_THAT(lines.at("user").fact, HasSubstr("ada (uid 1000)"));
  EXPECT_THAT(lines.at("user").proof, HasSubstr("SO_PEERCRED"));
  EXPECT_EQ(lines.at("pseudonym").mark, Mark::kOk);
  EXPECT_THAT(lines.at("workload").fact, HasSubstr("/usr/bin/agent"));
  EXPECT_THAT(lines.at("boot").fact, HasSubstr("sha256:0-7"));
  EXPECT_EQ(lines.at("boot").mark, Mark::kOk);
  // Nothing but a token vouches for this TPM, and the report says so.
  EXPECT_EQ(lines.at("ek").mark, Mark::kAbsent);
  for (const char* key : {"action", "device", "session", "session_end",
                          "revocation", "policy", "grant", "checkpoint"}) {
    EXPECT_EQ(lines.at(key).mark, Mark::kOk) << key;
  }
  // No server has said that it was used.
  EXPECT_EQ(lines.at("use").mark, Mark::kAbsent);
  EXPECT_EQ(lines.at("use").fact, "granted, use unreported");
  // The same action by its digest.
  EXPECT_EQ(Report(report->action_digest)->ledger_index,
            decision.ledger_index());
}

TEST_F(AuditTest, WritesJsonWithStableKeys) {
  const auto report = Report(laptop_.Authorize(session_));
  const auto json = nlohmann::json::parse(ToJson(*report));
  for (const char* key :
       {"action_digest", "ledger_index", "decided_at_ms", "decision", "reason",
        "name", "resource", "purpose", "holds", "complete", "missing", "who",
        "what", "valid_then"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_EQ(json["who"][0]["check"], "user");
  EXPECT_EQ(json["who"][0]["result"], "holds");
}

TEST_F(AuditTest, ExplainsDenials) {
  const auto denied = Report(laptop_.Authorize(session_, "http:PUT"));
  EXPECT_TRUE(denied->holds()) << Failed(*denied);
  EXPECT_EQ(denied->reason, "policy_denied");
  EXPECT_THAT(Lines(*denied).at("policy").fact, HasSubstr("no rule matches"));
  v1::Action stranger = laptop_.NewAction(session_);
  stranger.set_session_binding_digest(verifier::RandomString(32));
  const auto unknown = Report(laptop_.Decide(laptop_.NewBatch({stranger}))[0]);
  EXPECT_TRUE(unknown->holds()) << Failed(*unknown);
  EXPECT_EQ(Lines(*unknown).at("user").mark, Mark::kAbsent);
  EXPECT_EQ(Lines(*unknown).at("policy").mark, Mark::kAbsent);
}

TEST_F(AuditTest, StaysTrueAfterTheSessionEndedAndTheDeviceWasRevoked) {
  const auto decision = laptop_.Authorize(session_);
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  const auto report = Report(decision);
  EXPECT_TRUE(report->holds()) << Failed(*report);
  const auto lines = Lines(*report);
  EXPECT_THAT(lines.at("session_end").fact, HasSubstr("device_revoked"));
  EXPECT_THAT(lines.at("revocation").fact, HasSubstr("revoked later"));
}

TEST_F(AuditTest, StaysTrueAfterTheDeviceEnrolledAgain) {
  const auto decision = laptop_.Authorize(session_);
  laptop_.device.ak = fakes::NewAk(tpm::KeyType::kEccP256);
  laptop_.Enroll();
  const auto report = Report(decision);
  EXPECT_TRUE(report->holds()) << Failed(*report);
}

TEST_F(AuditTest, NamesTheEnrollmentThatWasInForce) {
  const auto enrolled = [this] {
    const auto row = rig_.Look([&](StoreView& view) {
      return view.FindDevice(laptop_.device.device_id);
    });
    return "entry " + std::to_string(row->enrolled_index) + ",";
  };
  const auto device_line = [this](const v1::ActionDecision& decision) {
    const auto report = Report(decision);
    EXPECT_TRUE(report->holds()) << Failed(*report);
    return Lines(*report).at("device").proof;
  };
  const std::string first = enrolled();
  const auto before = laptop_.Authorize(session_);
  laptop_.Enroll();  // With the same AK.
  const std::string second = enrolled();
  ASSERT_NE(first, second);
  const auto after = laptop_.Authorize(session_);
  EXPECT_THAT(device_line(before), HasSubstr(first));
  EXPECT_THAT(device_line(after), HasSubstr(second));
}

TEST_F(AuditTest, StaysTrueUnderTheRulesOfThatTime) {
  const auto decision = laptop_.Authorize(session_);
  rig_.SetRules("");
  const auto report = Report(decision);
  EXPECT_TRUE(report->holds()) << Failed(*report);
  EXPECT_EQ(Lines(*report).at("policy").mark, Mark::kOk);
}

TEST_F(AuditTest, SaysWhatCannotBeCheckedAfterErasure) {
  const auto decision = laptop_.Authorize(session_);
  Tamper("DELETE FROM evidence WHERE length(bytes) > 2000");
  Tamper("UPDATE subjects SET key = NULL");
  const auto report = Report(decision);
  EXPECT_EQ(Failed(*report), "");
  EXPECT_FALSE(report->complete());
  EXPECT_FALSE(report->holds());
  EXPECT_THAT(report->KeysOf(Mark::kErased),
              testing::IsSupersetOf({"user", "workload", "boot", "policy"}));
  const auto json = nlohmann::json::parse(ToJson(*report));
  EXPECT_EQ(json["complete"], false);
  EXPECT_EQ(json["holds"], false);
  EXPECT_EQ(json["missing"].size(), report->KeysOf(Mark::kErased).size());
  // What the ledger alone shows is still shown.
  const auto lines = Lines(*report);
  for (const char* key : {"session", "session_end", "revocation"}) {
    EXPECT_EQ(lines.at(key).mark, Mark::kOk) << key;
  }
  EXPECT_FALSE(Verify().finding.has_value());

  Tamper("DELETE FROM evidence");
  const auto bare = Report(decision);
  EXPECT_EQ(Failed(*bare), "");
  EXPECT_THAT(bare->KeysOf(Mark::kErased),
              testing::IsSupersetOf({"action", "device", "user", "policy"}));
}

TEST_F(AuditTest, TellsAnErasedEnrollmentFromTheOneThatIsWanted) {
  const auto newest = [this] {
    return rig_.Look([&](StoreView& view) {
      return view.FindDevice(laptop_.device.device_id);
    });
  };
  const auto first = newest();
  laptop_.device.ak = fakes::NewAk(tpm::KeyType::kEccP256);
  laptop_.Enroll();
  const auto second = newest();
  const auto session = laptop_.OpenSession();
  const auto decision = laptop_.Authorize(session);
  Tamper("DELETE FROM evidence WHERE sha256 = x'" +
         ToHex(Sha256(second->record)) + "'");
  const auto find = [&](ByteSpan ak_name) -> Result<TrailReader::Enrolled> {
    std::optional<Result<TrailReader::Enrolled>> found;
    (void)rig_.store->Read([&](StoreView& view) -> Status {
      const ledger::NoteVerifier log = rig_.ledger_key.verifier();
      const auto trail = TrailReader::Open(view, rig_.config, log).value();
      const auto entry = trail.Entry(decision.ledger_index()).value();
      const auto history = trail.History(entry, std::nullopt).value();
      found = trail.Enrollment(history, first->id, ak_name, entry.index);
      return {};
    });
    return *found;
  };
  const auto wanted = find(first->ak_name);
  ASSERT_TRUE(wanted.has_value()) << wanted.error().detail;
  EXPECT_EQ(wanted->index, first->enrolled_index);
  EXPECT_EQ(wanted->newer_erased, second->enrolled_index);
  const auto erased = find(second->ak_name);
  ASSERT_FALSE(erased.has_value());
  EXPECT_EQ(erased.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(erased.error().detail,
              HasSubstr("entry " + std::to_string(second->enrolled_index)));
}

TEST_F(AuditTest, ShowsUsersWhosePseudonymWasErased) {
  const auto decision = laptop_.Authorize(session_);
  Tamper("UPDATE subjects SET key = NULL");
  const auto report = Report(decision);
  EXPECT_THAT(report->KeysOf(Mark::kErased), testing::ElementsAre("pseudonym"));
}

TEST_F(AuditTest, NoticesEvidenceThatWasChanged) {
  const auto decision = laptop_.Authorize(session_);
  Tamper("UPDATE evidence SET bytes = CAST(bytes || x'00' AS BLOB)");
  const auto report = Report(decision);
  EXPECT_FALSE(report->holds());
}

// A52: the rows beside the ledger are believed in nothing.
TEST_F(AuditTest, ReadsEndAndRevocationFromTheLedger) {
  const auto decision = laptop_.Authorize(session_);
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  const auto expect_contradiction = [&](const char* key) {
    const CheckedLine line = Lines(*Report(decision)).at(key);
    EXPECT_EQ(line.mark, Mark::kFailed) << key;
    EXPECT_THAT(line.proof, HasSubstr("the database says"));
    return line.fact;
  };
  Tamper("UPDATE sessions SET end_index = ledger_index");
  EXPECT_THAT(expect_contradiction("session_end"), HasSubstr("by entry"));
  Tamper("UPDATE sessions SET end_reason = '', end_index = 0");
  EXPECT_THAT(expect_contradiction("session_end"), HasSubstr("by entry"));
  Tamper("UPDATE devices SET revoked = 0");
  EXPECT_THAT(expect_contradiction("revocation"), HasSubstr("by entry"));
}

TEST_F(AuditTest, NoticesAnEndThatOnlyARowClaims) {
  const auto decision = laptop_.Authorize(session_);
  Tamper("UPDATE sessions SET end_reason = 'expired', end_index = 1");
  EXPECT_EQ(Lines(*Report(decision)).at("session_end").mark, Mark::kFailed);
}

TEST_F(AuditTest, NoticesThatTheEntryOfAnEndWasRemoved) {
  const auto decision = laptop_.Authorize(session_);
  ASSERT_TRUE(RevokeDevice(*rig_.store, *rig_.ledger, rig_.clock,
                           laptop_.device.device_id, "lost")
                  .has_value());
  const auto entries = rig_.Ledger();
  Tamper("UPDATE sessions SET end_reason = '', end_index = 0");
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].kind() != v1::ENTRY_KIND_SESSION_END) continue;
    Tamper("DELETE FROM ledger_entries WHERE idx = " + std::to_string(i));
  }
  const CheckedLine line = Lines(*Report(decision)).at("session_end");
  EXPECT_EQ(line.mark, Mark::kFailed);
  EXPECT_THAT(line.proof, HasSubstr("not the one in the tree"));
}

TEST_F(AuditTest, NoticesStoredLeavesThatWereChangedWithTheirEntries) {
  const auto decision = laptop_.Authorize(session_);
  laptop_.Authorize(session_);
  Tamper(
      "UPDATE ledger_tiles SET hashes = CAST(substr(hashes, 1, length(hashes) "
      "- 32) || randomblob(32) AS BLOB) WHERE level = 0");
  EXPECT_FALSE(Report(decision)->KeysOf(Mark::kFailed).empty());
}

TEST_F(AuditTest, SaysThatTheEntryOfADecisionWasTamperedWith) {
  const auto decision = laptop_.Authorize(session_);
  Tamper(
      "UPDATE ledger_entries SET entry = CAST(entry || x'00' AS BLOB) "
      "WHERE idx = " +
      std::to_string(decision.ledger_index()));
  const auto report = Report(decision);
  const CheckedLine line = Lines(*report).at("decision");
  EXPECT_EQ(line.mark, Mark::kFailed);
  EXPECT_THAT(line.proof, HasSubstr("not the one in the tree"));
  EXPECT_EQ(report->decision, "");
}

TEST_F(AuditTest, ExplainsADenialAfterAReboot) {
  ++laptop_.device.clock.reset_count;
  const auto decision = laptop_.Authorize(session_);
  const auto report = Report(decision);
  EXPECT_EQ(report->reason, "stale_boot");
  EXPECT_TRUE(report->holds()) << Failed(*report);
  EXPECT_THAT(Lines(*report).at("boot").proof,
              testing::AllOf(HasSubstr("another boot"),
                             HasSubstr("why the action was denied")));
}

TEST_F(AuditTest, ExplainsADenialAfterTheAkWasReplaced) {
  laptop_.device.ak = fakes::NewAk(tpm::KeyType::kEccP256);
  laptop_.Enroll();
  laptop_.journal_id = RandomBytes(16);
  laptop_.epoch_nonce =
      rig_.epochs.Mint(laptop_.device.device_id, rig_.clock.NowMs());
  const auto report = Report(laptop_.Authorize(session_));
  EXPECT_EQ(report->reason, "session_ended");
  EXPECT_TRUE(report->holds()) << Failed(*report);
}

TEST_F(AuditTest, ExplainsADenialOfAnotherDevicesSession) {
  Laptop other(rig_);
  other.Enroll();
  other.OpenSession();
  const auto report = Report(other.Authorize(session_));
  EXPECT_EQ(report->reason, "session_of_other_device");
  EXPECT_TRUE(report->holds()) << Failed(*report);
}

TEST_F(AuditTest, FindsNoActionWhereThereIsNone) {
  EXPECT_EQ(Report("0").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Report("99999").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(Report(std::string(64, 'a')).error().code, ErrorCode::kNotFound);
  for (const char* which : {"", "x", "-1", "1 ", "99999999999999999999999"}) {
    EXPECT_EQ(Report(which).error().code, ErrorCode::kBadRequest) << which;
  }
}

TEST(AuditEkTest, ChecksTheCertificateChainAgain) {
  const fakes::EkCa ca("Maker Root");
  ServiceRig rig({.ek_policy = EkPolicy::kCertificate,
                  .ek_roots = {{"root.pem", ca.certificate()}}});
  rig.clock.now_ms = fakes::kCaNowMs;
  Laptop laptop(rig);
  const std::string token = rig.NewToken();
  v1::EnrollmentRequest request = laptop.EnrollmentRequestWith(token);
  request.mutable_eks(0)->add_certificates(
      AsString(ca.Issue(laptop.device.ek.key.get())));
  const auto answer = rig.enroller->Begin(request, *rig.admission);
  ASSERT_TRUE(answer.has_value()) << answer.error().detail;
  v1::DeviceRecord record;
  record.ParseFromString(*rig.enroller->Activate(
      AsBytes(answer->enrollment_id()), laptop.ActivationFor(*answer, token),
      *rig.admission));
  laptop.device.device_id = ToBytes(AsBytes(record.device_id()));
  const auto decision = laptop.Authorize(laptop.OpenSession());
  // Years later the certificate has expired; it was good on that day.
  rig.clock.Advance(int64_t{3} * 365 * 86'400'000);
  const auto report = rig.Look([&](StoreView& view) {
    return ReportAction(view, rig.config, rig.ledger_key.verifier(),
                        std::to_string(decision.ledger_index()));
  });
  EXPECT_TRUE(report.holds());
  bool checked = false;
  for (const CheckedLine& line : report.what) {
    if (line.key != "ek") continue;
    checked = line.mark == Mark::kOk;
    EXPECT_THAT(line.fact, HasSubstr("Maker Root"));
  }
  EXPECT_TRUE(checked);
}

// A52
TEST_F(AuditTest, NamesTheFirstEntryThatWasTamperedWith) {
  for (int i = 0; i < 5; ++i) laptop_.Authorize(session_);
  EXPECT_FALSE(Verify().finding.has_value());
  const uint64_t last = rig_.LedgerSize() - 1;

  Tamper(
      "UPDATE ledger_entries SET entry = CAST(entry || x'00' AS BLOB) "
      "WHERE idx = 4");
  auto audit = Verify();
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_EQ(audit.finding->code, ErrorCode::kLedgerEntryMismatch);
  EXPECT_EQ(audit.finding->first_bad_index, 4u);
  Tamper(
      "UPDATE ledger_entries SET entry = substr(entry, 1, length(entry) - 1) "
      "WHERE idx = 4");
  EXPECT_FALSE(Verify().finding.has_value());

  // Reordered.
  Tamper("UPDATE ledger_entries SET idx = idx + 100 WHERE idx IN (5, 6)");
  Tamper("UPDATE ledger_entries SET idx = 111 - idx WHERE idx IN (105, 106)");
  audit = Verify();
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_EQ(audit.finding->first_bad_index, 5u);
  Tamper("UPDATE ledger_entries SET idx = 111 - idx WHERE idx IN (5, 6)");
  Tamper("UPDATE ledger_entries SET idx = idx - 100 WHERE idx IN (105, 106)");
  EXPECT_FALSE(Verify().finding.has_value());

  Tamper("DELETE FROM ledger_entries WHERE idx = " + std::to_string(last));
  audit = Verify();
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_EQ(audit.finding->code, ErrorCode::kLedgerTruncated);
  EXPECT_EQ(audit.finding->first_bad_index, last);
}

// A52: an old signed head, with the newer checkpoints gone.
TEST_F(AuditTest, NoticesAnOldHead) {
  for (int i = 0; i < 3; ++i) laptop_.Authorize(session_);
  const size_t size = rig_.LedgerSize();
  Tamper("DELETE FROM checkpoints WHERE size = " + std::to_string(size));
  const auto audit = Verify();
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_EQ(audit.finding->code, ErrorCode::kLedgerRolledBack);
}

// A52: without the head that is kept elsewhere nothing shows a cut.
TEST_F(AuditTest, NoticesThatTheKeptHeadIsMissing) {
  laptop_.Authorize(session_);
  std::filesystem::remove(rig_.config.head_file);
  const auto audit = Verify();
  ASSERT_TRUE(audit.finding.has_value());
  EXPECT_EQ(audit.finding->code, ErrorCode::kLedgerRolledBack);
  EXPECT_THAT(audit.finding->detail, HasSubstr("is missing"));
}

TEST_F(AuditTest, ListsEntriesSinceATime) {
  rig_.clock.Advance(3'600'000);
  laptop_.epoch_nonce =
      rig_.epochs.Mint(laptop_.device.device_id, rig_.clock.NowMs());
  const auto decision = laptop_.Authorize(session_);
  std::vector<uint64_t> indices;
  const Status listed = rig_.store->Read([&](StoreView& view) {
    return ListEntries(view, rig_.clock.NowMs() - 1,
                       [&](uint64_t index, const v1::LedgerEntry&) {
                         indices.push_back(index);
                       });
  });
  EXPECT_TRUE(listed.has_value());
  EXPECT_THAT(indices, testing::ElementsAre(decision.ledger_index()));
}

TEST(ParseSinceTest, ReadsTimesAsPeopleWriteThem) {
  const int64_t now = 1'750'000'000'000;
  EXPECT_EQ(ParseSince("2025-06-15", now).value(), 1'749'945'600'000);
  EXPECT_EQ(ParseSince("2025-06-15T10:00:00Z", now).value(), 1'749'981'600'000);
  EXPECT_EQ(ParseSince("90m", now).value(), now - 90 * 60'000);
  EXPECT_EQ(ParseSince("7d", now).value(), now - 7 * 86'400'000);
  for (const char* text : {"", "x", "7", "7w", "-1d", "2025-13-01",
                           "9999999999d", "2025-06-15 10:00"}) {
    EXPECT_FALSE(ParseSince(text, now).has_value()) << text;
  }
}

}  // namespace
}  // namespace countersign::authz
