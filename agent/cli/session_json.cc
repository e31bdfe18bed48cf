#include "agent/cli/session_json.h"

#include <nlohmann/json.hpp>

#include "attest/base/bytes.h"

namespace countersign::agent {

Json LoginJson(const v1::LoginInfo& login) {
  return {{"display_name", login.display_name()},
          {"subject", login.subject()},
          {"method", login.method()},
          {"since_ms", login.since_ms()},
          {"expires_at_ms", login.expires_at_ms()},
          {"ledger_index", login.ledger_index()}};
}

Json SessionJson(const v1::SessionInfo& session) {
  return {{"session_id", ToHex(AsBytes(session.session_id()))},
          {"state", session.state()},
          {"end_reason", session.end_reason()},
          {"purpose", session.purpose()},
          {"task_id", session.task_id()},
          {"user", session.user()},
          {"uid", session.uid()},
          {"user_verification", session.user_verification()},
          {"login",
           session.has_login() ? LoginJson(session.login()) : Json(nullptr)},
          {"workload", session.workload()},
          {"executable", session.executable()},
          {"owner_pid", session.owner_pid()},
          {"opened_at_ms", session.opened_at_ms()},
          {"expires_at_ms", session.expires_at_ms()},
          {"actions", session.actions()},
          {"ledger_index", session.ledger_index()},
          {"lease_left_s", session.lease_left_s()}};
}

}  // namespace countersign::agent
