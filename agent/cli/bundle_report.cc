#include "agent/cli/bundle_report.h"

#include <algorithm>
#include <array>

namespace countersign::agent {
namespace {

struct Row {
  std::string_view id;
  std::string_view title;
};

constexpr std::array<Row, kParts> kRows{{
    {"device_record", "Device record, signed by the service"},
    {"ek_chain", "TPM certificate, up to its manufacturer"},
    {"session_quote", "TPM quote over the session"},
    {"session_binding", "Session: user, workload and device"},
    {"boot_log", "Boot event log explains the quoted boot"},
    {"session_key", "Session key is the quoted one"},
    {"client_attestation", "Session, as the service attested it"},
    {"action_quote", "TPM quote over the batch"},
    {"action_tree", "Action is in the quoted batch"},
    {"action_session", "Action belongs to the session"},
    {"checkpoint", "Ledger checkpoint"},
    {"session_entry", "Session is in the ledger"},
    {"decision_entry", "Decision is in the ledger"},
    {"order", "Session was logged before the decision"},
    {"grant", "Grant is for this action"},
    {"receipt", "Receipt is for this action"},
}};

// Without these a bundle does not show that anything was done and decided. The
// others depend on the device (a certificate), or on what was asked for.
constexpr std::array kRequired{
    Part::kDeviceRecord,  Part::kSessionQuote, Part::kSessionBinding,
    Part::kSessionKey,    Part::kActionQuote,  Part::kActionTree,
    Part::kActionSession, Part::kCheckpoint,   Part::kSessionEntry,
    Part::kDecisionEntry, Part::kOrder};

}  // namespace

std::string_view PartId(Part part) {
  return kRows[static_cast<size_t>(part)].id;
}

std::string_view PartTitle(Part part) {
  return kRows[static_cast<size_t>(part)].title;
}

std::string_view Name(PartState state) {
  switch (state) {
    case PartState::kAbsent:
      return "absent";
    case PartState::kHolds:
      return "holds";
    case PartState::kFailed:
      return "failed";
    case PartState::kNotJudged:
      break;
  }
  return "not_judged";
}

void BundleReport::Holds(Part part, std::string detail) {
  parts_[static_cast<size_t>(part)] = {PartState::kHolds, ErrorCode::kInternal,
                                       std::move(detail)};
}

void BundleReport::Fails(Part part, const Error& error) {
  parts_[static_cast<size_t>(part)] = {PartState::kFailed, error.code,
                                       error.detail};
}

void BundleReport::NotJudged(Part part, std::string why) {
  parts_[static_cast<size_t>(part)] = {PartState::kNotJudged,
                                       ErrorCode::kInternal, std::move(why)};
}

bool BundleReport::sound() const {
  const auto is = [](PartState state) {
    return [state](const PartReport& part) { return part.state == state; };
  };
  return std::ranges::any_of(parts_, is(PartState::kHolds)) &&
         std::ranges::none_of(parts_, is(PartState::kFailed)) &&
         std::ranges::none_of(parts_, is(PartState::kNotJudged));
}

bool BundleReport::complete() const {
  return std::ranges::all_of(kRequired,
                             [this](Part part) { return holds(part); });
}

Error BundleReport::FirstError() const {
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].state != PartState::kFailed) continue;
    std::string detail(kRows[i].id);
    if (!parts_[i].detail.empty()) detail += ": " + parts_[i].detail;
    return {parts_[i].reason, std::move(detail)};
  }
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].state != PartState::kNotJudged) continue;
    return {ErrorCode::kMalformedEvidence,
            std::string(kRows[i].id) + ": " + parts_[i].detail};
  }
  if (!sound()) {
    return {ErrorCode::kMalformedEvidence, "the bundle holds no evidence"};
  }
  std::string absent;
  for (const Part part : kRequired) {
    if (holds(part)) continue;
    absent += absent.empty() ? "absent: " : ", ";
    absent += PartId(part);
  }
  return {ErrorCode::kEvidenceIncomplete, std::move(absent)};
}

}  // namespace countersign::agent
