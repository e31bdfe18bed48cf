#include "attest/authz/storage/sql_rows.h"
#include "attest/authz/storage/sql_unit.h"

namespace countersign::authz {
namespace {

TaskRow ReadTask(const SqlStatement& row) {
  return {.session_id = row.Blob(0),
          .task_id = row.Text(1),
          .actions = Unsigned(row, 2)};
}

}  // namespace

Result<std::optional<TaskRow>> SqlUnit::FindTask(ByteSpan session_id,
                                                 std::string_view task_id) {
  CS_ASSIGN_OR_RETURN(
      auto query, connection_.Use("SELECT session_id, task_id, actions "
                                  "FROM tasks "
                                  "WHERE session_id = ?1 AND task_id = ?2"));
  query->Bind(1, session_id).Bind(2, task_id);
  return FirstRow(query, ReadTask);
}

Status SqlUnit::PutTask(const TaskRow& row) {
  CS_ASSIGN_OR_RETURN(auto insert,
                      connection_.Use("INSERT INTO tasks VALUES(?1,?2,?3) "
                                      "ON CONFLICT(session_id, task_id) "
                                      "DO UPDATE SET actions = ?3"));
  insert->Bind(1, row.session_id)
      .Bind(2, row.task_id)
      .Bind(3, Stored(row.actions));
  return insert->Run();
}

}  // namespace countersign::authz
