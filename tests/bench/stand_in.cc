// bench-stand-in: countersign-uplink and the service in one, as cheap as can
// be, so that the agent is measured by itself.
//
//   bench-stand-in --key PEM --jwks       prints the JWK Set to pin
//   bench-stand-in --key PEM --issuer URL --socket UPLINK_SOCKET
//
// Enrolls one device and permits everything without looking at evidence; keeps
// no ledger and issues no grant. Its answers are signed, since the daemon
// believes no others.
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
#include "attest/tpm/constants.h"
#include "attest/tpm/make_credential.h"
#include "attest/tpm/pcr_selection.h"
#include "attest/tpm/public_area.h"
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
  Result<std::string> OnEnrollment(const std::string& body);
  Result<std::string> OnActivation();
  Result<std::string> OnChallenge(const std::string& body);
  Result<std::string> OnSession(const std::string& body);
  Result<std::string> OnActions(const std::string& body);

  platform::LocalConnection connection_;
  jose::Es256Key key_;
  std::string issuer_;
  v1::DeviceRecord record_;
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
  jose::AnswerAddress address{issuer_, ToHex(AsBytes(record_.device_id())), ""};
  Result<std::string> payload = Fail(ErrorCode::kNotFound, request.path());
  if (request.path() == "/v1/actions") {
    address.kind = jose::kKindDecisions;
    payload = OnActions(request.body());
  } else if (request.path() == "/v1/challenges") {
    address.kind = jose::kKindChallenge;
    payload = OnChallenge(request.body());
  } else if (request.path() == "/v1/sessions") {
    address.kind = jose::kKindSession;
    payload = OnSession(request.body());
  } else if (request.path() == "/v1/enrollments") {
    address = {issuer_, "", std::string(jose::kKindEnrollment)};
    payload = OnEnrollment(request.body());
  } else if (request.path().ends_with("/activation")) {
    address = {issuer_, "", std::string(jose::kKindDeviceRecord)};
    payload = OnActivation();
  }
  if (!payload.has_value()) return tl::unexpected(payload.error());
  return jose::SignAnswer(key_, address, AsBytes(request.body()),
                          *std::move(payload), std::time(nullptr));
}

Result<std::string> StandIn::OnEnrollment(const std::string& body) {
  v1::EnrollmentRequest request;
  if (!request.ParseFromString(body)) return Fail(ErrorCode::kBadRequest);
  CS_ASSIGN_OR_RETURN(const auto ak,
                      tpm::PublicArea::Parse(AsBytes(request.ak_public())));
  record_.set_issuer(issuer_);
  record_.set_device_id(AsString(RandomBytes(16)));
  record_.set_certified_ek(request.certified_ek());
  record_.set_ak_public(request.ak_public());
  record_.set_ak_name(AsString(ak.name()));
  record_.set_pcr_selection(tpm::PcrSelection::Default().ToText());
  v1::EnrollmentAnswer answer;
  for (const v1::EkMaterial& material : request.eks()) {
    const bool is_parent =
        record_.eks_size() == static_cast<int>(request.certified_ek());
    v1::EkRecord& ek = *record_.add_eks();
    ek.set_public_area(material.public_area());
    CS_ASSIGN_OR_RETURN(const auto area,
                        tpm::PublicArea::Parse(AsBytes(ek.public_area())));
    ek.set_name(AsString(area.name()));
    if (!is_parent) continue;
    CS_ASSIGN_OR_RETURN(
        const Bytes parent,
        tpm::QualifiedNameOfPrimary(tpm::kRhEndorsement, area.name()));
    CS_ASSIGN_OR_RETURN(const Bytes signer,
                        tpm::QualifiedName(parent, ak.name()));
    record_.set_qualified_signer(AsString(signer));
    CS_ASSIGN_OR_RETURN(
        const auto credential,
        tpm::MakeCredential(area, ak.name(), Secret(RandomBytes(32))));
    answer.set_credential_blob(AsString(credential.id_object));
    answer.set_encrypted_secret(AsString(credential.encrypted_secret));
  }
  answer.set_enrollment_id(AsString(RandomBytes(16)));
  answer.set_nonce(AsString(RandomBytes(32)));
  answer.set_issuer(issuer_);
  answer.set_pcr_selection(record_.pcr_selection());
  return answer.SerializeAsString();
}

Result<std::string> StandIn::OnActivation() {
  return record_.SerializeAsString();
}

Result<std::string> StandIn::OnChallenge(const std::string& body) {
  v1::ChallengeRequest request;
  if (!request.ParseFromString(body)) return Fail(ErrorCode::kBadRequest);
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
  // Said as the service says it, so that batches are counted alike.
  std::fprintf(stderr, "POST /v1/actions 200\n");
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

struct Flags {
  std::string key;
  std::string issuer;
  std::string socket;
  bool jwks = false;
};

Status Run(const Flags& flags) {
  std::ifstream file(flags.key);
  const std::string pem{std::istreambuf_iterator<char>(file), {}};
  CS_ASSIGN_OR_RETURN(jose::Es256Key key, jose::Es256Key::FromPem(pem));
  if (flags.jwks) {
    jose::KeySet keys;
    keys.Add(key.public_key());
    std::puts(keys.ToJson().c_str());
    return {};
  }
  CS_ASSIGN_OR_RETURN(auto connection,
                      platform::LocalConnection::Connect(
                          flags.socket, std::chrono::seconds(10)));
  return StandIn(std::move(connection), std::move(key), flags.issuer).Serve();
}

}  // namespace
}  // namespace countersign::bench

int main(int argc, char** argv) {
  using namespace countersign;
  const option options[] = {{"socket", required_argument, nullptr, 's'},
                            {"key", required_argument, nullptr, 'k'},
                            {"issuer", required_argument, nullptr, 'i'},
                            {"jwks", no_argument, nullptr, 'j'},
                            {nullptr, 0, nullptr, 0}};
  bench::Flags flags;
  int given = 0;
  while ((given = getopt_long(argc, argv, "", options, nullptr)) != -1) {
    if (given == '?') return 2;
    if (given == 's') flags.socket = optarg;
    if (given == 'k') flags.key = optarg;
    if (given == 'i') flags.issuer = optarg;
    if (given == 'j') flags.jwks = true;
  }
  const Status status = bench::Run(flags);
  if (status.has_value()) return 0;
  std::fprintf(stderr, "bench-stand-in: %s: %s\n",
               std::string(Name(status.error().code)).c_str(),
               status.error().detail.c_str());
  return 1;
}
