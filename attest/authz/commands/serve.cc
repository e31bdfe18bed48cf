// countersign-authz serve: the service itself.
//
// SIGTERM and SIGINT stop it in good order, within 20 s. SIGHUP reads policy,
// EK roots, allow-list and TLS certificate again; what is wrong with one of
// them is logged, and the last good one stays.
#include <pthread.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <csignal>

#include "attest/authz/api.h"
#include "attest/authz/commands/commands.h"
#include "attest/authz/events.h"
#include "attest/authz/login/provider.h"
#include "attest/authz/policy/policy_record.h"
#include "attest/authz/session_end_watch.h"
#include "attest/base/digest.h"

namespace countersign::authz {
namespace {

constexpr std::chrono::seconds kGrace{15};
constexpr timespec kLookAtPolicyEvery{.tv_sec = 1, .tv_nsec = 0};

void LogProblem(std::string_view what, const Error& error) {
  spdlog::error("{}: {}: {} {}", what, Name(error.code), Message(error.code),
                error.detail);
}

// Idle connections cost a descriptor each.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    spdlog::warn("the limit of open files stays at {}", limit.rlim_cur);
  }
}

// Held back in every thread, so that only Wait below sees them.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

class Server {
 public:
  explicit Server(Installation& installation) : installation_(installation) {}

  Status Start() {
    const Config& config = installation_.config();
    CS_RETURN_IF_ERROR(installation_.ledger().CheckHead());
    CS_ASSIGN_OR_RETURN(policy_, PolicyHolder::Load(config.policy));
    CS_RETURN_IF_ERROR(RecordPolicy(installation_.store(),
                                    installation_.ledger(), *policy_->Get()));
    if (!config.decision_point.url.empty()) {
      CS_ASSIGN_OR_RETURN(
          decision_point_,
          DecisionPoint::Create(config.decision_point, installation_.clock()));
    }
    CS_ASSIGN_OR_RETURN(Secret epoch_key, installation_.EpochKey());
    // Two keys of one: a nonce is never a token.
    event_tokens_.emplace(
        Secret(ToBytes(HmacSha256(epoch_key.Expose(), AsBytes("events")))),
        kEventTokenTtlS);
    epochs_.emplace(std::move(epoch_key), config.sessions.epoch_ttl_s);
    issuer_.emplace(installation_.keys().service, config.issuer,
                    config.ledger_origin);
    CS_ASSIGN_OR_RETURN(EkAdmission admission,
                        EkAdmission::Load(config.enrollment));
    if (!config.login.oidc.issuer.empty()) {
      CS_ASSIGN_OR_RETURN(provider_, Provider::Create(config.login.oidc,
                                                      installation_.clock()));
    }
    api_.emplace(Service{config, installation_.store(), installation_.ledger(),
                         *policy_, decision_point_.get(), *epochs_,
                         *event_tokens_, *issuer_, installation_.keys().service,
                         installation_.clock(), provider_.get()},
                 std::move(admission));
    CS_ASSIGN_OR_RETURN(TlsContext tls, LoadTls());
    CS_ASSIGN_OR_RETURN(
        http_,
        HttpServer::Start(
            {.listen = config.listen,
             .connections = config.limits.connections,
             .workers = config.limits.workers,
             .queue = config.limits.queue,
             .idle_timeout = std::chrono::seconds(config.limits.idle_timeout_s),
             .read_timeout =
                 std::chrono::seconds(config.limits.read_timeout_s)},
            std::move(tls), *api_));
    CS_ASSIGN_OR_RETURN(
        watch_, SessionEndWatch::Start(
                    installation_.store(), [this](const SessionRow& session) {
                      http_->Wake(EventTopic(session.device_id));
                    }));
    spdlog::info("{} listens on {} (port {}), policy {}", config.issuer,
                 config.listen, http_->port(), policy_->Get()->version());
    return {};
  }

  void ReloadAll() {
    ReloadPolicy();
    auto admission = EkAdmission::Load(installation_.config().enrollment);
    if (admission) {
      api_->ReplaceAdmission(*std::move(admission));
    } else {
      LogProblem("EK roots stay as they were", admission.error());
    }
    auto tls = LoadTls();
    if (tls) {
      http_->ReplaceTls(*std::move(tls));
    } else {
      LogProblem("the TLS certificate stays as it was", tls.error());
    }
    spdlog::info("reloaded");
  }

  void FollowLedger() {
    const Status followed = installation_.ledger().Follow();
    if (!followed && following_) {
      LogProblem("looking at the ledger's head", followed.error());
    }
    following_ = followed.has_value();
  }

  void ReloadPolicyIfChanged() {
    if (policy_->Changed()) ReloadPolicy();
  }

  void Stop() {
    watch_.reset();
    http_->Stop(kGrace);
  }

 private:
  Result<TlsContext> LoadTls() const {
    return TlsContext::Load(installation_.config().tls_certificate,
                            installation_.config().tls_key);
  }

  void ReloadPolicy() {
    const auto accept = [this](const Policy& policy) {
      return RecordPolicy(installation_.store(), installation_.ledger(),
                          policy);
    };
    const Result<bool> changed = policy_->Reload(accept);
    if (!changed) {
      LogProblem("the policy stays as it was", changed.error());
    } else if (*changed) {
      spdlog::info("policy {} is in force", policy_->Get()->version());
    }
  }

  Installation& installation_;
  std::unique_ptr<PolicyHolder> policy_;
  std::unique_ptr<DecisionPoint> decision_point_;
  std::optional<EpochNonces> epochs_;
  std::optional<EpochNonces> event_tokens_;
  std::optional<GrantIssuer> issuer_;
  std::unique_ptr<Provider> provider_;
  std::optional<Api> api_;
  std::unique_ptr<HttpServer> http_;
  bool following_ = true;  // Else it was logged why not.
  std::optional<SessionEndWatch> watch_;
};

Result<int> Serve(Installation& installation, const sigset_t& signals) {
  Server server(installation);
  CS_RETURN_IF_ERROR(server.Start());
  while (true) {
    const int signal = sigtimedwait(&signals, nullptr, &kLookAtPolicyEvery);
    if (signal == SIGHUP) {
      server.ReloadAll();
    } else if (signal > 0) {
      break;
    } else {
      server.ReloadPolicyIfChanged();
      server.FollowLedger();
    }
  }
  spdlog::info("stopping");
  server.Stop();
  return 0;
}

}  // namespace

void AddServe(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("serve", "Run the service");
  command->footer(
      "countersign-authz serve --config /etc/countersign/authz/authz.toml");
  command->callback([&context] {
    const sigset_t signals = BlockSignals();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>(
        "countersign-authz",
        std::make_shared<spdlog::sinks::stderr_sink_mt>()));
    RaiseDescriptorLimit();
    context.Run([&](Installation& installation) {
      return Serve(installation, signals);
    });
  });
}

}  // namespace countersign::authz
