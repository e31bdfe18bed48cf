#include "attest/authz/login/login.h"

#include "attest/authz/challenge_store.h"
#include "attest/authz/login/end_login.h"
#include "attest/authz/login/keep_login.h"
#include "attest/authz/login/provider.h"
#include "attest/authz/session_facts.h"
#include "attest/base/digest.h"
#include "attest/base/text.h"
#include "attest/statement/limits.h"
#include "attest/verifier/appraise_login.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxCode = 4096;  // Entra ID's are long.
constexpr size_t kMaxRedirect = 256;

Result<verifier::AppraisedLogin> Appraise(const Service& service,
                                          const v1::LoginEvidence& evidence,
                                          const StoredDevice& device) {
  const verifier::ExpectedLogin expected{
      .last_clock = device.ak.clock,
      .consume_challenge = [&](const v1::Login& login) {
        return SpendLoginChallenge(service, AsBytes(login.challenge()),
                                   device.row.id);
      }};
  CS_ASSIGN_OR_RETURN(const auto result, verifier::AppraiseLogin(
                                             evidence, device.known, expected));
  if (!result.trusted()) return tl::unexpected<Error>(result.refusal());
  return result.claims();
}

Status CheckTexts(const v1::Login& login) {
  CS_RETURN_IF_ERROR(CheckOsId(login.os_id()));
  for (const std::string* text : {&login.os_name(), &login.os_session_id()}) {
    if (!text->empty() && !CheckText(*text, 256, "user")) {
      return Fail(ErrorCode::kMalformedStatement, "user");
    }
  }
  return {};
}

// RFC 8252 §7.3: the loopback interface alone, so that a code is never sent
// over a network by what a laptop says.
bool IsLoopbackRedirect(std::string_view uri) {
  return uri.size() <= kMaxRedirect && IsServerUrl(uri) &&
         (uri.starts_with("http://127.0.0.1:") ||
          uri.starts_with("http://[::1]:"));
}

Result<Provider::Code> CodeOf(const v1::LoginEvidence& evidence) {
  if (evidence.code().empty() || evidence.code().size() > kMaxCode ||
      evidence.code_verifier().size() < 43 ||
      evidence.code_verifier().size() > 128 ||
      !IsLoopbackRedirect(evidence.redirect_uri())) {
    return Fail(ErrorCode::kBadRequest, "code, code_verifier or redirect_uri");
  }
  return Provider::Code{evidence.code(), evidence.code_verifier(),
                        evidence.redirect_uri()};
}

Result<v1::LoginAnswer> LogOut(const Service& service, const v1::Login& login) {
  CS_ASSIGN_OR_RETURN(const Bytes id, LoginIdFrom(login.user_session_id()));
  uint64_t index = 0;
  const auto end = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(auto row, transaction.FindLogin(id));
    if (!row || !Equal(row->device_id, AsBytes(login.device_id())) ||
        row->os_id != login.os_id()) {
      return Fail(ErrorCode::kLoginEnded, "unknown user_session_id");
    }
    // Who signs out of an account means all of it, also what an earlier
    // sign-in of theirs left open.
    CS_ASSIGN_OR_RETURN(auto live, transaction.LiveLogins(row->device_id));
    for (LoginRow& login_row : live) {
      if (login_row.os_id != row->os_id) continue;
      CS_RETURN_IF_ERROR(EndLogin(service.ledger, transaction, login_row,
                                  service.clock.NowMs(), kEndLoggedOut));
    }
    CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, transaction.LedgerHead());
    index = head.size - 1;
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Write(end));
  CS_RETURN_IF_ERROR(service.ledger.Publish(index));
  return v1::LoginAnswer();
}

Result<v1::LoginAnswer> Begin(const Service& service,
                              const v1::LoginEvidence& evidence,
                              const StoredDevice& device) {
  CS_ASSIGN_OR_RETURN(const verifier::AppraisedLogin appraised,
                      Appraise(service, evidence, device));
  const v1::Login& login = appraised.login;
  CS_RETURN_IF_ERROR(CheckTexts(login));
  if (login.method() == "logout") return LogOut(service, login);
  VerifiedLogin verified{.login = login,
                         .evidence = evidence,
                         .attest_sha256 = appraised.attest_sha256};
  if (login.method() == "device") {
    CS_ASSIGN_OR_RETURN(const DeviceAuthorization started,
                        service.provider->StartDevice());
    return KeepPending(service, verified, started);
  }
  if (login.method() != "code") {
    return Fail(ErrorCode::kMalformedStatement, "method");
  }
  CS_ASSIGN_OR_RETURN(const Provider::Code code, CodeOf(evidence));
  CS_ASSIGN_OR_RETURN(
      const SignedIn signed_in,
      service.provider->Redeem(code, ToBase64Url(appraised.digest)));
  return KeepLogin(service, verified, signed_in, nullptr);
}

}  // namespace

Result<v1::LoginAnswer> PostLogin(const Service& service, Findings& findings,
                                  const v1::LoginEvidence& evidence) {
  if (service.provider == nullptr) return Fail(ErrorCode::kNoProvider);
  // Only to learn which device to look up.
  CS_ASSIGN_OR_RETURN(
      const auto claimed,
      statement::ParseStatement<v1::Login>(AsBytes(evidence.statement().body()),
                                           statement::kMaxLoginSize));
  std::optional<StoredDevice> device;
  CS_RETURN_IF_ERROR(service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(device, FindStoredDevice(service.config, view,
                                                 AsBytes(claimed.device_id()),
                                                 AsBytes(claimed.ak_name())));
    return {};
  }));
  if (claimed.method() != "logout") {
    // So that a sign-in is not lost to a provider that is away.
    CS_RETURN_IF_ERROR(service.provider->Facts());
  }
  auto answer = Begin(service, evidence, *device);
  if (!answer && verifier::IsRefusal(answer.error().code)) {
    v1::LedgerEntry subject;
    subject.set_device_id(claimed.device_id());
    subject.set_attest_sha256(
        AsString(Sha256(AsBytes(evidence.quote().attest()))));
    findings.Record(std::move(subject), answer.error());
  }
  return answer;
}

Status PostProviderLogout(const Service& service, std::string_view token) {
  if (service.provider == nullptr) return Fail(ErrorCode::kNoProvider);
  CS_ASSIGN_OR_RETURN(const LogoutClaims claims,
                      service.provider->CheckLogout(token));
  uint64_t index = 0;
  const auto end = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(
        const bool first,
        transaction.ConsumeOnce("oidc-logout:" + claims.jti_sha256,
                                claims.remember_until_s));
    if (!first) return Fail(ErrorCode::kTokenUsed, "a logout token");
    CS_ASSIGN_OR_RETURN(
        auto logins,
        transaction.LiveLoginsOf(claims.subject, claims.provider_session));
    for (LoginRow& login : logins) {
      CS_RETURN_IF_ERROR(EndLogin(service.ledger, transaction, login,
                                  service.clock.NowMs(), kEndProviderLogout));
    }
    CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, transaction.LedgerHead());
    index = head.size - 1;
    return {};
  };
  CS_RETURN_IF_ERROR(service.store.Write(end));
  return service.ledger.Publish(index);
}

}  // namespace countersign::authz
