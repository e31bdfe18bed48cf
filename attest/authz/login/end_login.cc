#include "attest/authz/login/end_login.h"

#include "attest/authz/session_end.h"
#include "attest/base/text.h"

namespace countersign::authz {
namespace {

constexpr size_t kIdSize = 16;

}  // namespace

Status EndLogin(const LedgerWriter& ledger, StoreTransaction& transaction,
                LoginRow& login, int64_t now_ms, std::string_view reason) {
  if (login.ended()) return {};
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_LOGIN);
  entry.set_device_id(AsString(login.device_id));
  entry.set_refers_to(login.ledger_index + 1);
  entry.set_detail(Printable(reason, 64));
  CS_ASSIGN_OR_RETURN(login.end_index, ledger.Append(transaction, {&entry, 1}));
  login.end_reason = reason;
  login.ended_ms = now_ms;
  CS_RETURN_IF_ERROR(transaction.PutLogin(login));
  const std::string name = ToBase64Url(login.id);
  const auto why = [&](const SessionRow& session) -> std::string_view {
    v1::SessionBinding binding;
    const bool of_login =
        binding.ParseFromArray(session.binding.data(),
                               static_cast<int>(session.binding.size())) &&
        binding.user().user_session_id() == name;
    return of_login ? reason : "";
  };
  return EndSessions(ledger, transaction, login.device_id, now_ms, why);
}

Result<std::optional<LoginRow>> LoginOf(StoreView& view,
                                        const v1::SessionBinding& binding) {
  const std::string& name = binding.user().user_session_id();
  if (name.empty()) return std::optional<LoginRow>();
  CS_ASSIGN_OR_RETURN(const Bytes id, LoginIdFrom(name));
  return view.FindLogin(id);
}

Result<Bytes> LoginIdFrom(std::string_view user_session_id) {
  auto id = FromBase64Url(user_session_id);
  if (!id || id->size() != kIdSize) {
    return Fail(ErrorCode::kLoginEnded, "unknown user_session_id");
  }
  return id;
}

}  // namespace countersign::authz
