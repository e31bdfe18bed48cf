#include "attest/authz/storage/migrations.h"

#include "attest/authz/storage/sql_unit.h"

namespace countersign::authz {

Status CheckSchema(int64_t version, const std::string& name) {
  if (version == kSchemaVersion) return {};
  if (version == 0) {
    return Fail(ErrorCode::kStorageCorrupt,
                name + " is not a countersign-authz database");
  }
  const bool newer = version > kSchemaVersion;
  return Fail(newer ? ErrorCode::kSchemaTooNew : ErrorCode::kSchemaTooOld,
              name + " has schema version " + std::to_string(version) +
                  "; this program " + (newer ? "knows up to " : "needs ") +
                  std::to_string(kSchemaVersion));
}

Status MigrateFrom(int64_t version, SqlConnection& connection) {
  for (int64_t next = version; next < kSchemaVersion; ++next) {
    for (const char* statements : kVersions[next]) {
      CS_RETURN_IF_ERROR(connection.Define(statements));
    }
  }
  if (version == 0) {
    CS_RETURN_IF_ERROR(SqlUnit(connection).PutLedgerHead({}));
  }
  return connection.SetSchemaVersion(kSchemaVersion);
}

}  // namespace countersign::authz
