// Evidence bundles: hostile fields over a bundle that is otherwise valid, so
// that every check is reached. Whatever comes in, nothing but the action that
// the TPM quoted ever counts as proven.
#include "agent/cli/tpm2_tools_export.h"
#include "agent/cli/verify_bundle.h"
#include "attest/proto/silence.h"
#include "tests/agent/cli/bundle_maker.h"
#include "tests/fuzz/fuzz_input.h"

namespace countersign::agent {
namespace {

struct Fixture {
  Fixture() : bundle(maker.Build()), trust(maker.Trust()) {
    const BundleReport report = VerifyBundle(bundle, trust);
    FuzzCheck(report.ok());
    facts = report.facts;
  }

  BundleMaker maker;
  v1::EvidenceBundle bundle;
  TrustFolder trust;
  BundleFacts facts;
};

void CheckReport(const BundleReport& report, const BundleFacts& expected) {
  if (report.holds(Part::kDeviceRecord)) {
    FuzzCheck(report.facts.device_id == expected.device_id);
  }
  if (report.holds(Part::kSessionBinding)) {
    FuzzCheck(report.facts.session_id == expected.session_id);
  }
  if (report.holds(Part::kActionTree)) {
    FuzzCheck(report.facts.action_digest == expected.action_digest);
  }
  if (report.holds(Part::kDecisionEntry)) {
    FuzzCheck(report.facts.decision_index == expected.decision_index);
  }
}

}  // namespace
}  // namespace countersign::agent

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  using namespace countersign::agent;
  SilenceProtobufLog();
  static const auto* fixture = new Fixture;
  v1::EvidenceBundle hostile;
  if (!hostile.ParseFromArray(data, static_cast<int>(size))) {
    (void)CertificatesFromPem(FuzzText(data, size));
    return 0;
  }
  CheckReport(VerifyBundle(hostile, fixture->trust), fixture->facts);
  v1::EvidenceBundle mixed = fixture->bundle;
  mixed.MergeFrom(hostile);
  CheckReport(VerifyBundle(mixed, fixture->trust), fixture->facts);
  for (const auto which : {ExportedQuote::kAction, ExportedQuote::kSession}) {
    const auto files = ExportForTpm2Tools(mixed, which);
    if (files.has_value()) FuzzCheck(files->qualification.size() == 64);
  }
  return 0;
}
