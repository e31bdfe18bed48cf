#include "attest/statement/action_rules.h"

#include <string>
#include <string_view>

#include "attest/base/bytes.h"
#include "attest/base/text.h"
#include "attest/base/uri.h"
#include "attest/statement/limits.h"

namespace countersign::statement {
namespace {

tl::unexpected<Error> Invalid(std::string_view field, std::string_view why) {
  return Fail(ErrorCode::kActionInvalid,
              std::string(field) + " " + std::string(why));
}

Status CheckField(std::string_view field, std::string_view text, size_t max) {
  if (const Status status = CheckText(text, max, field); !status) {
    return Fail(ErrorCode::kActionInvalid, status.error().detail);
  }
  return {};
}

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') ||
         std::string_view("._~-:/+@").find(c) != std::string_view::npos;
}

Status CheckName(std::string_view name) {
  CS_RETURN_IF_ERROR(CheckField("name", name, kMaxNameSize));
  for (char c : name) {
    if (!IsNameCharacter(c)) {
      return Invalid("name", "has a character other than A-Z a-z 0-9 ._~-:/+@");
    }
  }
  const size_t colon = name.find(':');
  if (colon == std::string_view::npos || colon == 0 || name.ends_with(':')) {
    return Invalid("name", "is not of the form protocol:operation");
  }
  return {};
}

Result<Uri> CheckUri(std::string_view field, std::string_view text,
                     size_t max) {
  CS_RETURN_IF_ERROR(CheckField(field, text, max));
  auto uri = ParseUri(text);
  if (!uri) return Invalid(field, "is refused: " + uri.error().detail);
  if (uri->authority.value_or("").find('@') != std::string::npos) {
    return Invalid(field, "has user information");
  }
  return uri;
}

// One resource, one text: what policy matches is then what a server will
// serve, whatever it makes of dot segments, needless escapes and case.
Status CheckNormal(std::string_view field, std::string_view text,
                   const Uri& uri) {
  const std::string normal = NormalizedTarget(uri);
  if (text.substr(0, text.find_first_of("?#")) == normal) return {};
  return Invalid(field, "is not in its normal form, " + Printable(normal));
}

}  // namespace

Status CheckActionRequest(const v1::ActionRequest& request) {
  CS_RETURN_IF_ERROR(CheckName(request.name()));
  CS_ASSIGN_OR_RETURN(
      const Uri resource,
      CheckUri("resource", request.resource(), kMaxResourceSize));
  CS_RETURN_IF_ERROR(CheckNormal("resource", request.resource(), resource));
  CS_RETURN_IF_ERROR(CheckField("purpose", request.purpose(), kMaxPurposeSize));
  if (!request.task_id().empty()) {
    CS_RETURN_IF_ERROR(
        CheckField("task_id", request.task_id(), kMaxTaskIdSize));
  }
  if (!request.request_sha256().empty() &&
      request.request_sha256().size() != sizeof(Sha256Digest)) {
    return Invalid("request_sha256", "is neither empty nor 32 bytes long");
  }
  if (!request.grant_audience().empty()) {
    CS_ASSIGN_OR_RETURN(
        const Uri audience,
        CheckUri("grant_audience", request.grant_audience(), kMaxAudienceSize));
    if (audience.fragment) return Invalid("grant_audience", "has a fragment");
  }
  return {};
}

Status CheckApproval(const v1::Approval& approval,
                     const Sha256Digest& request_digest) {
  if (!Equal(AsBytes(approval.request_digest()), request_digest)) {
    return Invalid("approval", "is of another request");
  }
  if (approval.grade() != "prompt" && approval.grade() != "webauthn" &&
      approval.grade() != "second-person") {
    return Invalid("approval.grade", "is not known");
  }
  CS_RETURN_IF_ERROR(
      CheckField("approval.approver", approval.approver(), kMaxApproverSize));
  return CheckField("approval.reference", approval.reference(),
                    kMaxApprovalReferenceSize);
}

}  // namespace countersign::statement
