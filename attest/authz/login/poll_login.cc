#include "attest/authz/login/end_login.h"
#include "attest/authz/login/keep_login.h"
#include "attest/authz/login/login.h"
#include "attest/base/digest.h"
#include "attest/statement/statement.h"

namespace countersign::authz {
namespace {

constexpr int64_t kMaxInterval = 300;

Result<v1::LoginAnswer> Prompt(const PendingLoginRow& row, int64_t now_ms) {
  v1::LoginAnswer answer;
  v1::DevicePrompt& prompt = *answer.mutable_prompt();
  prompt.set_pending_id(AsString(row.id));
  prompt.set_interval_s(static_cast<uint32_t>(row.interval_s));
  prompt.set_expires_s(static_cast<uint32_t>((row.expires_ms - now_ms) / 1000));
  return answer;
}

Result<v1::LoginAnswer> AnswerAgain(const Service& service,
                                    const PendingLoginRow& row) {
  std::optional<LoginRow> login;
  CS_RETURN_IF_ERROR(service.store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(login, view.FindLogin(row.login_id));
    return {};
  }));
  if (!login || login->ended()) return Fail(ErrorCode::kLoginUnknown);
  return AnswerFor(*login, {});
}

// Takes this row's turn to ask the provider: of several who poll at once only
// one does.
Result<std::optional<PendingLoginRow>> TakeTurn(
    const Service& service, const v1::LoginPollRequest& request,
    bool* may_ask) {
  std::optional<PendingLoginRow> row;
  const int64_t now_ms = service.clock.NowMs();
  const auto take = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(
        row, transaction.FindPendingLogin(AsBytes(request.pending_id())));
    if (!row || !Equal(row->device_id, AsBytes(request.device_id())) ||
        row->expires_ms <= now_ms) {
      return Fail(ErrorCode::kLoginUnknown);
    }
    *may_ask = row->login_id.empty() && row->next_poll_ms <= now_ms;
    if (!*may_ask) return {};
    row->next_poll_ms = now_ms + row->interval_s * 1000;
    return transaction.PutPendingLogin(*row);
  };
  CS_RETURN_IF_ERROR(service.store.Write(take));
  return row;
}

// RFC 8628 §3.5.
Status SlowDown(const Service& service, PendingLoginRow& row) {
  row.interval_s = std::min(row.interval_s + 5, kMaxInterval);
  row.next_poll_ms = service.clock.NowMs() + row.interval_s * 1000;
  return service.store.Write([&](StoreTransaction& transaction) {
    return transaction.PutPendingLogin(row);
  });
}

}  // namespace

Result<v1::LoginAnswer> PollLogin(const Service& service,
                                  const v1::LoginPollRequest& request) {
  if (service.provider == nullptr) return Fail(ErrorCode::kNoProvider);
  bool may_ask = false;
  CS_ASSIGN_OR_RETURN(auto row, TakeTurn(service, request, &may_ask));
  if (!row->login_id.empty()) return AnswerAgain(service, *row);
  if (!may_ask) return Prompt(*row, service.clock.NowMs());
  bool slow_down = false;
  CS_ASSIGN_OR_RETURN(
      const std::optional<SignedIn> signed_in,
      service.provider->PollDevice(row->device_code, &slow_down));
  if (!signed_in) {
    if (slow_down) CS_RETURN_IF_ERROR(SlowDown(service, *row));
    return Prompt(*row, service.clock.NowMs());
  }
  v1::LoginEvidence evidence;
  v1::Login login;
  if (!evidence.ParseFromString(AsString(row->evidence)) ||
      !login.ParseFromString(evidence.statement().body())) {
    return Fail(ErrorCode::kStorageCorrupt, "pending login");
  }
  return KeepLogin(service,
                   {.login = login,
                    .evidence = evidence,
                    .attest_sha256 = row->attest_sha256},
                   *signed_in, &*row);
}

}  // namespace countersign::authz
