// bench-stand-in: countersign-uplink and the service in one, as cheap as can
// be, so that the agent is measured by itself.
//
//   bench-stand-in --socket UPLINK_SOCKET --key SERVICE_KEY_PEM --issuer URL
//
// Permits everything without looking at evidence; keeps no ledger and issues
// no grant. Its answers are signed with the service's key, since the daemon
// believes no other.
#include <getopt.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>

#include "agent/ipc/frame.h"
#include "attest/base/digest.h"
#include "attest/jose/jws.h"
#include "attest/jose/signed_answer.h"
#include "attest/statement/limits.h"
#include "countersign/v1/service.pb.h"
#include "countersign/v1/statements.pb.h"
#include "countersign/v1/uplink.pb.h"
#include "platform/local_socket.h"

namespace countersign::bench {
namespace {

constexpr std::chrono::hours kForever{24};
constexpr uint32_t kEpochSeconds = 300;
constexpr uint32_t kLeaseSeconds = 120;

class StandIn {
 public:
  StandIn(platform::LocalConnection connection, jose::Es256Key key,
          std::string issuer)
      : connection_(std::move(connection)),
        key_(std::move(key)),
        issuer_(std::move(issuer)) {}

  Status Serve();

 private:
  Status Answer(ByteSpan payload);
  Result<v1::ServiceSigned> AnswerTo(const v1::UplinkRequest& request);
  Result<std::string> OnChallenge(const std::string& body);
  Result<std::string> OnSession(const std::string& body);
  Result<std::string> OnActions(const std::string& body);

  platform::LocalConnection connection_;
  jose::Es256Key key_;
  std::string issuer_;
  std::string device_id_;
  std::string session_id_;
  std::string epoch_nonce_ = AsString(RandomBytes(32));
};

Status StandIn::Serve() {
  agent::FrameDecoder decoder(agent::kMaxUplinkFrame);
  while (true) {
    CS_RETURN_IF_ERROR(connection_.WaitReadable(kForever));
    CS_ASSIGN_OR_RETURN(const auto received, connection_.Read(256 * 1024));
    if (!received.has_value()) continue;
    if (received->bytes.empty()) return {};
    decoder.Feed(received->bytes);
    while (true) {
      CS_ASSIGN_OR_RETURN(const auto payload, decoder.Next());
      if (!payload.has_value()) break;
      CS_RETURN_IF_ERROR(Answer(*payload));
    }
  }
}

Status StandIn::Answer(ByteSpan payload) {
  v1::UplinkRequest request;
  if (!request.ParseFromArray(payload.data(),
                              static_cast<int>(payload.size()))) {
    return Fail(ErrorCode::kFrameMalformed, "not an UplinkRequest");
  }
  CS_ASSIGN_OR_RETURN(const v1::ServiceSigned answer, AnswerTo(request));
  v1::UplinkResponse response;
  response.set_id(request.id());
  response.set_http_status(200);
  response.set_body(answer.SerializeAsString());
  response.set_tls_exporter(std::string(32, '\0'));
  Bytes frame;
  agent::AppendFrame(AsBytes(response.SerializeAsString()), frame);
  return connection_.WriteAll(frame, kForever);
}

Result<v1::ServiceSigned> StandIn::AnswerTo(const v1::UplinkRequest& request) {
  std::string_view kind;
  Result<std::string> payload = Fail(ErrorCode::kNotFound, request.path());
  if (request.path() == "/v1/actions") {
    kind = jose::kKindDecisions;
    payload = OnActions(request.body());
  } else if (request.path() == "/v1/challenges") {
    kind = jose::kKindChallenge;
    payload = OnChallenge(request.body());
  } else if (request.path() == "/v1/sessions") {
    kind = jose::kKindSession;
    payload = OnSession(request.body());
  }
  if (!payload.has_value()) return tl::unexpected(payload.error());
  const jose::AnswerAddress address{issuer_, ToHex(AsBytes(device_id_)),
                                    std::string(kind)};
  return jose::SignAnswer(key_, address, AsBytes(request.body()),
                          *std::move(payload), std::time(nullptr));
}

Result<std::string> StandIn::OnChallenge(const std::string& body) {
  v1::ChallengeRequest request;
  if (!request.ParseFromString(body)) return Fail(ErrorCode::kBadRequest);
  device_id_ = request.device_id();
  v1::ChallengeAnswer answer;
  answer.set_nonce(epoch_nonce_);
  answer.set_ttl_s(request.purpose() == "epoch" ? kEpochSeconds
                                                : kLeaseSeconds);
  for (const std::string& id : request.session_ids()) {
    v1::Lease& lease = *answer.add_leases();
    lease.set_session_id(id);
    lease.set_ttl_s(kLeaseSeconds);
  }
  return answer.SerializeAsString();
}

Result<std::string> StandIn::OnSession(const std::string& body) {
  v1::SessionEvidence evidence;
  v1::SessionBinding binding;
  if (!evidence.ParseFromString(body) ||
      !binding.ParseFromString(evidence.statement().body())) {
    return Fail(ErrorCode::kBadRequest);
  }
  session_id_ = binding.session_id();
  CS_ASSIGN_OR_RETURN(
      const auto session_key,
      jose::Es256PublicKey::FromCoordinates(AsBytes(evidence.pop_x()),
                                            AsBytes(evidence.pop_y())));
  v1::SessionAnswer answer;
  CS_ASSIGN_OR_RETURN(
      *answer.mutable_client_attestation(),
      jose::SignJws(key_, jose::kTypClientAttestation,
                    R"({"iss":")" + issuer_ + R"(","cnf":{"jwk":)" +
                        session_key.ToJwkJson() + "}}"));
  answer.mutable_lease()->set_session_id(session_id_);
  answer.mutable_lease()->set_ttl_s(kLeaseSeconds);
  answer.set_epoch_nonce(epoch_nonce_);
  answer.set_epoch_ttl_s(kEpochSeconds);
  answer.set_expires_at_ms(binding.expires_at_ms());
  return answer.SerializeAsString();
}

Result<std::string> StandIn::OnActions(const std::string& body) {
  v1::BatchEvidence evidence;
  if (!evidence.ParseFromString(body)) return Fail(ErrorCode::kBadRequest);
  v1::BatchAnswer answer;
  for (int i = 0; i < evidence.actions_size(); ++i) {
    answer.add_decisions()->set_decision("permit");
  }
  answer.set_epoch_nonce(epoch_nonce_);
  answer.set_epoch_ttl_s(kEpochSeconds);
  v1::Lease& lease = *answer.add_leases();
  lease.set_session_id(session_id_);
  lease.set_ttl_s(kLeaseSeconds);
  return answer.SerializeAsString();
}

Status Run(const std::string& socket, const std::string& key_file,
           const std::string& issuer) {
  std::ifstream file(key_file);
  const std::string pem{std::istreambuf_iterator<char>(file), {}};
  CS_ASSIGN_OR_RETURN(jose::Es256Key key, jose::Es256Key::FromPem(pem));
  CS_ASSIGN_OR_RETURN(auto connection, platform::LocalConnection::Connect(
                                           socket, std::chrono::seconds(10)));
  return StandIn(std::move(connection), std::move(key), issuer).Serve();
}

}  // namespace
}  // namespace countersign::bench

int main(int argc, char** argv) {
  const option options[] = {{"socket", required_argument, nullptr, 's'},
                            {"key", required_argument, nullptr, 'k'},
                            {"issuer", required_argument, nullptr, 'i'},
                            {nullptr, 0, nullptr, 0}};
  std::string socket;
  std::string key;
  std::string issuer;
  int given = 0;
  while ((given = getopt_long(argc, argv, "", options, nullptr)) != -1) {
    if (given == '?') return 2;
    (given == 's' ? socket : given == 'k' ? key : issuer) = optarg;
  }
  const countersign::Status status =
      countersign::bench::Run(socket, key, issuer);
  if (status.has_value()) return 0;
  std::fprintf(stderr, "bench-stand-in: %s: %s\n",
               std::string(Name(status.error().code)).c_str(),
               status.error().detail.c_str());
  return 1;
}
