#include "attest/authz/receipts.h"

#include "attest/authz/error_info.h"
#include "attest/authz/grant_life.h"
#include "attest/base/uri.h"
#include "attest/jose/claims.h"
#include "attest/jose/json_object.h"
#include "attest/jose/jws.h"

namespace countersign::authz {
namespace {

struct Receipt {
  std::string jti;
  int64_t expires_s = 0;
  Sha256Digest action{};
};

// Two spellings of one target are the same request (RFC 3986 §6.2.2), but for
// the query, which is part of it.
Result<bool> SameUri(std::string_view a, std::string_view b) {
  CS_ASSIGN_OR_RETURN(const Uri left, ParseUri(a));
  CS_ASSIGN_OR_RETURN(const Uri right, ParseUri(b));
  return NormalizedTarget(left) == NormalizedTarget(right) &&
         left.query == right.query;
}

Status CheckRequest(const jose::JsonObject& claims,
                    const v1::ReceiptVerifyRequest& request) {
  const auto mismatch = [](std::string what) {
    return Fail(ErrorCode::kReceiptMismatch, std::move(what));
  };
  if (claims.Text("htm").value_or("") != request.method()) {
    return mismatch("method");
  }
  const auto same = SameUri(claims.Text("htu").value_or(""), request.uri());
  if (!same || !*same) return mismatch("uri");
  const auto digest = claims.Text("request_sha256");
  if (digest.has_value() &&
      *digest != ToHex(AsBytes(request.request_sha256()))) {
    return mismatch("request_sha256");
  }
  return {};
}

Result<Receipt> Check(const Service& service,
                      const v1::ReceiptVerifyRequest& request) {
  CS_ASSIGN_OR_RETURN(const jose::VerifiedJws jws,
                      jose::VerifyJws(request.receipt(), jose::kTypReceipt,
                                      service.issuer.keys()));
  CS_ASSIGN_OR_RETURN(
      const jose::CheckedClaims checked,
      jose::CheckClaims(jws.claims_json, {.issuer = service.config.issuer,
                                          .audience = request.audience(),
                                          .now_s = service.clock.NowMs() / 1000,
                                          .leeway_s = 0,
                                          .max_lifetime_s = kReceiptTtlS}));
  CS_ASSIGN_OR_RETURN(
      const auto claims,
      jose::JsonObject::Parse(jws.claims_json, jose::kMaxTokenSize));
  CS_RETURN_IF_ERROR(CheckRequest(claims, request));
  CS_ASSIGN_OR_RETURN(const Bytes action,
                      FromHex(claims.Text("action_digest").value_or("")));
  Receipt receipt{
      .jti = checked.jti, .expires_s = checked.expires_at_s, .action = {}};
  CS_ASSIGN_OR_RETURN(receipt.action, DigestFrom(action, "action_digest"));
  return receipt;
}

// Spends the receipt and fills in whose action it was.
Status Consume(const Service& service, StoreTransaction& transaction,
               const Receipt& receipt, v1::ReceiptVerifyAnswer& answer) {
  CS_ASSIGN_OR_RETURN(const bool first,
                      transaction.ConsumeOnce(receipt.jti, receipt.expires_s));
  if (!first) return Fail(ErrorCode::kReceiptUsed);
  CS_ASSIGN_OR_RETURN(const auto action,
                      transaction.FindAction(receipt.action));
  if (!action || action->receipt_jti != receipt.jti) {
    return Fail(ErrorCode::kReceiptMismatch, "no such decision");
  }
  CS_ASSIGN_OR_RETURN(const auto session,
                      transaction.FindSession(action->session_id));
  if (!session) return Fail(ErrorCode::kStorageCorrupt, "session of an action");
  CS_RETURN_IF_ERROR(
      CheckGrantLive(service, transaction, *session, action->ledger_index));
  answer.set_ledger_index(action->ledger_index);
  answer.set_subject(session->subject);
  return {};
}

}  // namespace

Result<v1::ReceiptVerifyAnswer> VerifyReceipt(
    const Service& service, const v1::ReceiptVerifyRequest& request) {
  v1::ReceiptVerifyAnswer answer;
  const auto receipt = Check(service, request);
  Status consumed = receipt ? Status() : tl::unexpected<Error>(receipt.error());
  if (receipt) {
    const auto consume = [&](StoreTransaction& transaction) {
      return Consume(service, transaction, *receipt, answer);
    };
    consumed = service.store.Write(consume);
  }
  if (consumed) {
    answer.set_valid(true);
    answer.set_decision("permit");
    return answer;
  }
  if (Public(consumed.error().code) == PublicCode::kInternal ||
      Public(consumed.error().code) == PublicCode::kBusy) {
    return tl::unexpected<Error>(consumed.error());
  }
  *answer.mutable_error() = ErrorInfoOf(consumed.error());
  return answer;
}

}  // namespace countersign::authz
