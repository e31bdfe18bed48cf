#include "attest/authz/session_facts.h"

#include <algorithm>

#include "attest/authz/approval.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

Strength StrengthOf(v1::Grade grade) {
  switch (grade) {
    case v1::GRADE_KERNEL:
      return Strength::kKernel;
    case v1::GRADE_OS_SERVICE:
      return Strength::kOsService;
    case v1::GRADE_SAME_USER_SPOOFABLE:
      return Strength::kSameUserSpoofable;
    // The laptop cannot say what the service itself has checked.
    case v1::GRADE_VERIFIED_BY_SERVICE:
    default:
      return Strength::kClaimed;
  }
}

// The weakest observation of `name`: a daemon that saw a fact twice does not
// make it stronger.
template <typename Observations>
Strength StrengthIn(const Observations& observations, std::string_view name,
                    Strength otherwise = Strength::kClaimed) {
  bool found = false;
  Strength strength = Strength::kVerifiedByService;
  for (const v1::Observation& observation : observations) {
    if (observation.name() != name) continue;
    found = true;
    strength = std::max(strength, StrengthOf(observation.grade()));
  }
  return found ? strength : otherwise;
}

Status CheckOptional(const std::string& text, size_t max,
                     std::string_view what) {
  if (text.empty()) return {};
  const Status status = CheckText(text, max, what);
  if (!status) {
    return Fail(ErrorCode::kMalformedStatement, status.error().detail);
  }
  return {};
}

template <typename Observations>
Status CheckObservations(const Observations& observations) {
  if (observations.size() > 64) {
    return Fail(ErrorCode::kMalformedStatement, "more than 64 observations");
  }
  for (const v1::Observation& observation : observations) {
    CS_RETURN_IF_ERROR(CheckOptional(observation.name(), 64, "observation"));
    CS_RETURN_IF_ERROR(CheckOptional(observation.how(), 256, "observation"));
  }
  return {};
}

bool IsOsId(std::string_view id) {
  return !id.empty() && id.size() <= 256 && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '-';
  });
}

}  // namespace

std::string SubjectOf(const v1::SessionBinding& binding,
                      const LoginRow* login) {
  if (login != nullptr) return login->subject;
  if (!binding.user().user_session_id().empty()) return "idp:unknown";
  return "os:" + ToHex(AsBytes(binding.device_id())) + ":" +
         binding.user().os_id();
}

SessionFacts FactsOf(const v1::SessionBinding& binding,
                     const v1::DeviceRecord& device, ByteSpan pcr_digest,
                     const LoginRow* login) {
  const v1::User& user = binding.user();
  const v1::Workload& workload = binding.workload();
  const auto& seen = workload.observations();
  const Strength executable = StrengthIn(seen, "executable_path");
  SessionFacts facts;
  facts.subject = SubjectOf(binding, login);
  facts.os_name = {user.os_name(), StrengthIn(user.observations(), "os_name")};
  facts.uid = {user.os_id(), StrengthIn(user.observations(), "os_id")};
  if (login != nullptr) {
    facts.verification = login->method;
    facts.groups = login->groups;
    facts.acr = login->acr;
  } else if (user.user_session_id().empty()) {
    facts.verification = user.verification();
  }
  facts.spiffe_id = {workload.spiffe_id(),
                     StrengthIn(seen, "spiffe_id", executable)};
  facts.executable = {workload.executable_path(), executable};
  if (!workload.executable_sha256().empty()) {
    facts.executable_sha256 = {ToHex(AsBytes(workload.executable_sha256())),
                               StrengthIn(seen, "executable_sha256")};
  }
  facts.unit = {workload.unit(), StrengthIn(seen, "unit")};
  facts.ek_class = device.ek_class();
  facts.ek_trust = device.ek_trust();
  // The appraisal replayed the log that has this digest, if it is not empty.
  facts.boot = Equal(Sha256(ByteSpan()), AsBytes(binding.event_log_sha256()))
                   ? "pcrs-only"
                   : "event-log";
  facts.pcr_digest = ToHex(pcr_digest);
  return facts;
}

ActionFacts FactsOfAction(const v1::ActionRequest& request,
                          const v1::Approval& approval,
                          const SessionFacts& session) {
  return {.name = request.name(),
          .resource = request.resource(),
          .purpose = request.purpose(),
          .audience = request.grant_audience(),
          .approval = CountedGrade(approval, session)};
}

Status CheckOsId(std::string_view os_id) {
  if (IsOsId(os_id)) return {};
  return Fail(ErrorCode::kMalformedStatement, "user.os_id");
}

Status CheckBindingTexts(const v1::SessionBinding& binding) {
  const v1::User& user = binding.user();
  const v1::Workload& workload = binding.workload();
  CS_RETURN_IF_ERROR(CheckOsId(user.os_id()));
  CS_RETURN_IF_ERROR(CheckOptional(user.os_name(), 256, "user.os_name"));
  CS_RETURN_IF_ERROR(
      CheckOptional(user.os_session_id(), 256, "user.os_session_id"));
  CS_RETURN_IF_ERROR(
      CheckOptional(user.verification(), 64, "user.verification"));
  CS_RETURN_IF_ERROR(CheckObservations(user.observations()));
  CS_RETURN_IF_ERROR(
      CheckOptional(workload.spiffe_id(), 2048, "workload.spiffe_id"));
  CS_RETURN_IF_ERROR(CheckOptional(workload.kind(), 64, "workload.kind"));
  CS_RETURN_IF_ERROR(CheckOptional(workload.executable_path(), 4096,
                                   "workload.executable_path"));
  CS_RETURN_IF_ERROR(CheckOptional(workload.origin(), 2048, "workload.origin"));
  CS_RETURN_IF_ERROR(CheckOptional(workload.unit(), 1024, "workload.unit"));
  CS_RETURN_IF_ERROR(
      CheckOptional(workload.user_unit(), 1024, "workload.user_unit"));
  CS_RETURN_IF_ERROR(
      CheckOptional(workload.package(), 512, "workload.package"));
  CS_RETURN_IF_ERROR(CheckObservations(workload.observations()));
  if (workload.parents_size() > 64) {
    return Fail(ErrorCode::kMalformedStatement, "more than 64 parents");
  }
  for (const std::string& parent : workload.parents()) {
    CS_RETURN_IF_ERROR(CheckOptional(parent, 4096, "workload.parents"));
  }
  return CheckOptional(binding.purpose(), 256, "purpose");
}

}  // namespace countersign::authz
