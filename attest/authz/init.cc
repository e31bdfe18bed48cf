#include "attest/authz/init.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "attest/authz/config.h"
#include "attest/authz/files.h"
#include "attest/authz/http_server.h"
#include "attest/authz/installation.h"
#include "attest/authz/storage/open_store.h"
#include "attest/authz/tls_context.h"
#include "attest/base/digest.h"
#include "attest/base/uri.h"
#include "attest/jose/jwk_set.h"

namespace countersign::authz {
namespace {

namespace fs = std::filesystem;

constexpr char kFirstPolicy[] =
    R"(# Who may do what, from which program and device. The first rule that matches
# decides; what no rule names is denied. A change takes effect at once; a file
# with an error does not replace the last good one (the log names the line).
#
# [[rule]]
# name = "read-project-files"
# outcome = "permit"                  # or "deny", "approval_required"
# action = ["mcp:tools/call:read_*"]  # * stands for any text
# resource = ["file:///srv/project/*"]
# purpose = ["review"]
# grant_ttl_s = 120
# audiences = ["https://files.example"]
# [rule.user]
# uid = ["1000"]
# [rule.workload]
# executable = ["/usr/bin/python3*"]
# grade = "kernel"                    # the default: who vouches for it
# [rule.device]
# ek_class = ["hardware", "firmware"]
)";

Status MakeFolder(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return Fail(ErrorCode::kIoError, path.string() + ": " + strerror(errno));
}

std::string_view TextOf(const Secret& secret) {
  return {reinterpret_cast<const char*>(secret.Expose().data()),
          secret.Expose().size()};
}

struct HostAndPort {
  std::string host;  // Without brackets.
  std::string port;
};

Result<HostAndPort> AuthorityOf(const std::string& issuer) {
  const auto uri = ParseUri(issuer);
  if (!uri || uri->scheme != "https" || !uri->authority) {
    return Fail(ErrorCode::kConfigInvalid, "issuer must be an https URL");
  }
  std::string host = *uri->authority;
  std::string port = "443";
  const size_t colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']', colon) == host.npos) {
    port = host.substr(colon + 1);
    host.resize(colon);
  }
  if (host.starts_with("[")) host = host.substr(1, host.find(']') - 1);
  return HostAndPort{std::move(host), std::move(port)};
}

// Not port 0: agents must find the service where its issuer says it is.
Status CheckPort(const std::string& listen, std::string_view whose) {
  const Status good = CheckListen(listen);
  if (good && !listen.ends_with(":0")) return {};
  return Fail(
      ErrorCode::kConfigInvalid,
      std::string(whose) + " must have a port from 1 to 65535: " + listen);
}

Status MakeKeys(const Config& config, const fs::path& trust) {
  CS_ASSIGN_OR_RETURN(const jose::Es256Key service, jose::Es256Key::Generate());
  CS_ASSIGN_OR_RETURN(const ledger::LedgerKey ledger,
                      ledger::LedgerKey::Generate(config.ledger_origin));
  CS_RETURN_IF_ERROR(
      CreateFile(config.service_key, TextOf(service.ToPem()), 0600));
  CS_RETURN_IF_ERROR(
      CreateFile(config.ledger_key, TextOf(ledger.ToPem()), 0600));
  jose::KeySet keys;
  keys.Add(service.public_key());
  CS_RETURN_IF_ERROR(
      CreateFile(trust / "service.jwks.json", keys.ToJson() + "\n", 0644));
  return CreateFile(trust / "ledger.vkey", ledger.verifier().ToVkey() + "\n",
                    0644);
}

// A server's database is looked at before anything is made: it is the part
// that may be out of reach, or somebody's.
Status CheckEmpty(const std::string& uri) {
  CS_RETURN_IF_ERROR(CheckDatabaseName(uri));
  const auto store = OpenStore(uri, SqlStore::Mode::kMustExist);
  if (store || store.error().code == ErrorCode::kSchemaTooOld) {
    return Fail(ErrorCode::kBadRequest,
                uri +
                    " holds a ledger already; a further host joins it with "
                    "'countersign-authz store join'");
  }
  if (store.error().code == ErrorCode::kStorageCorrupt) return {};
  return tl::unexpected<Error>(store.error());
}

// The ledger's first entry says that it begins, and under which name.
Status BeginLedger(const Config& config, const ServiceKeys& keys) {
  CS_ASSIGN_OR_RETURN(const auto store,
                      OpenStore(config.database, SqlStore::Mode::kCreate));
  const SystemClock clock;
  LedgerWriter ledger(*store, keys.ledger, config.head_file, clock);
  v1::LedgerEntry entry;
  entry.set_kind(v1::ENTRY_KIND_ADMIN);
  entry.set_detail("ledger begun by " + config.issuer);
  const auto begin = [&](StoreTransaction& transaction) -> Status {
    CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, transaction.LedgerHead());
    if (head.size != 0) {
      return Fail(ErrorCode::kBadRequest,
                  config.database + " holds a ledger already");
    }
    CS_RETURN_IF_ERROR(ledger.Append(transaction, {&entry, 1}));
    return transaction.PutSecret(kEpochKeyName, RandomBytes(32));
  };
  CS_RETURN_IF_ERROR(store->Write(begin));
  return ledger.PublishFirst();
}

}  // namespace

Status InitService(const InitOptions& options) {
  CS_ASSIGN_OR_RETURN(const HostAndPort at, AuthorityOf(options.issuer));
  const std::string beside = "127.0.0.1:" + at.port;
  CS_RETURN_IF_ERROR(CheckPort(beside, "the issuer"));
  const std::string listen = options.listen.empty() ? beside : options.listen;
  CS_RETURN_IF_ERROR(CheckPort(listen, "--listen"));
  const fs::path dir = options.dir;
  const fs::path config_path = dir / "authz.toml";
  std::error_code ignored;
  if (fs::exists(config_path, ignored)) {
    return Fail(ErrorCode::kBadRequest,
                config_path.string() + ": there is a service here already");
  }
  if (IsDatabaseUri(options.database)) {
    CS_RETURN_IF_ERROR(CheckEmpty(options.database));
  }
  fs::create_directories(fs::absolute(dir).parent_path(), ignored);
  CS_RETURN_IF_ERROR(MakeFolder(dir, 0755));
  for (const char* name : {"keys", "tls"}) {
    CS_RETURN_IF_ERROR(MakeFolder(dir / name, 0700));
  }
  // What is read back below would be refused only then.
  CS_RETURN_IF_ERROR(CheckTrustedPath(dir / "keys"));
  for (const char* name : {"ek-roots", "trust", "trust/ek-roots"}) {
    CS_RETURN_IF_ERROR(MakeFolder(dir / name, 0755));
  }
  Config draft;
  draft.issuer = options.issuer;
  draft.tenant = options.tenant;
  draft.listen = listen;
  if (!options.database.empty()) draft.database = options.database;
  if (options.tls_certificate.empty()) {
    CS_RETURN_IF_ERROR(MakePrivateTls(at.host, dir / "tls/ca.pem",
                                      dir / "tls/cert.pem",
                                      dir / "tls/key.pem"));
  } else {
    draft.tls_certificate = fs::absolute(options.tls_certificate).string();
    draft.tls_key = fs::absolute(options.tls_key).string();
    CS_RETURN_IF_ERROR(TlsContext::Load(draft.tls_certificate, draft.tls_key));
  }
  CS_RETURN_IF_ERROR(CreateFile(dir / "policy.toml", kFirstPolicy, 0644));
  // Written last, so that a half-made folder is not taken for a service, and
  // read back by the same reader that `serve` uses.
  const fs::path unfinished = dir / "authz.toml.new";
  CS_RETURN_IF_ERROR(ReplaceFile(unfinished, ConfigText(draft), 0644));
  CS_ASSIGN_OR_RETURN(const Config config, LoadConfig(unfinished));
  CS_RETURN_IF_ERROR(MakeKeys(config, dir / "trust"));
  CS_ASSIGN_OR_RETURN(const ServiceKeys keys, LoadServiceKeys(config));
  CS_RETURN_IF_ERROR(BeginLedger(config, keys));
  fs::rename(unfinished, config_path, ignored);
  if (ignored) return Fail(ErrorCode::kIoError, ignored.message());
  return {};
}

}  // namespace countersign::authz
