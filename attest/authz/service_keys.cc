#include "attest/authz/service_keys.h"

#include <sys/stat.h>

#include <cstring>

#include "attest/authz/files.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxKeyFile = 16 * 1024;

Result<Secret> ReadKeyFile(const std::string& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) {
    return Fail(ErrorCode::kIoError, path + ": " + std::strerror(errno));
  }
  if (!S_ISREG(info.st_mode) || (info.st_mode & 077) != 0) {
    return Fail(ErrorCode::kUnsafePath,
                path + ": must be a plain file with mode 0600");
  }
  CS_ASSIGN_OR_RETURN(std::string pem, ReadTrustedFile(path, kMaxKeyFile));
  Secret key(ToBytes(AsBytes(pem)));
  explicit_bzero(pem.data(), pem.size());
  return key;
}

std::string_view TextOf(const Secret& pem) {
  return {reinterpret_cast<const char*>(pem.Expose().data()),
          pem.Expose().size()};
}

Error Named(const std::string& path, Error error) {
  error.detail = path + ": " + error.detail;
  return error;
}

}  // namespace

Result<ServiceKeys> LoadServiceKeys(const Config& config) {
  CS_ASSIGN_OR_RETURN(const Secret service_pem,
                      ReadKeyFile(config.service_key));
  CS_ASSIGN_OR_RETURN(const Secret ledger_pem, ReadKeyFile(config.ledger_key));
  auto service = jose::Es256Key::FromPem(TextOf(service_pem));
  if (!service) {
    return tl::unexpected<Error>(
        Named(config.service_key, std::move(service).error()));
  }
  auto ledger =
      ledger::LedgerKey::FromPem(config.ledger_origin, TextOf(ledger_pem));
  if (!ledger) {
    return tl::unexpected<Error>(
        Named(config.ledger_key, std::move(ledger).error()));
  }
  return ServiceKeys{*std::move(service), *std::move(ledger)};
}

}  // namespace countersign::authz
