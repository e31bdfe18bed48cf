#include "tests/attest/authz/program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <thread>

#include "attest/authz/tls_context.h"

namespace countersign::authz {
namespace {

using statement::StatementType;

constexpr unsigned kLongestRunS = 120;

std::string ProgramPath() {
  const char* bin = std::getenv("COUNTERSIGN_BIN");
  return std::string(bin == nullptr ? "." : bin) + "/countersign-authz";
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

// Starts the program with its output in files.
pid_t Spawn(const std::vector<std::string>& arguments, const std::string& out,
            const std::string& err) {
  std::vector<std::string> words = {ProgramPath()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  // Ends with the test, whatever becomes of that.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::alarm(kLongestRunS);
  const int flags = O_WRONLY | O_CREAT | O_APPEND;
  ::dup2(::open(out.c_str(), flags, 0600), STDOUT_FILENO);
  ::dup2(::open(err.c_str(), flags, 0600), STDERR_FILENO);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

int ExitCodeOf(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

std::string Serialize(const google::protobuf::MessageLite& message) {
  return AsString(statement::SerializeStatement(message));
}

}  // namespace

Program::Program(const std::string& rules) : port_(FreePort()) {
  const Status tls = MakePrivateTls("localhost", ca(), folder_.Path("cert.pem"),
                                    folder_.Path("key.pem"));
  EXPECT_TRUE(tls.has_value());
  const Ran made = RunPlain(
      {"init", "--dir", folder_.Path("service"), "--issuer", verifier::kIssuer,
       "--tenant", verifier::kTenant, "--listen",
       "127.0.0.1:" + std::to_string(port_), "--tls-cert",
       folder_.Path("cert.pem"), "--tls-key", folder_.Path("key.pem")});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  std::string config = Content(Path("authz.toml"));
  const std::string before = "ek_policy = 'certificate'";
  const size_t at = config.find(before);
  EXPECT_NE(at, std::string::npos) << config;
  config.replace(at, before.size(), "ek_policy = 'first-use'");
  std::ofstream(Path("authz.toml")) << config;
  std::ofstream(Path("policy.toml")) << rules;
}

Program::~Program() {
  if (pid_ < 0) return;
  Signal(SIGKILL);
  Wait();
}

Ran Program::Run(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = arguments;
  all.insert(all.end(), {"--config", Path("authz.toml")});
  return RunPlain(all);
}

Ran Program::RunPlain(const std::vector<std::string>& arguments) {
  const TempFolder output;
  const pid_t pid = Spawn(arguments, output.Path("out"), output.Path("err"));
  const int exit_code = ExitCodeOf(pid);
  return {exit_code, Content(output.Path("out")), Content(output.Path("err"))};
}

void Program::Start() {
  pid_ = Spawn({"serve", "--config", Path("authz.toml")}, "/dev/null",
               folder_.Path("log"));
  for (int i = 0; i < 500; ++i) {
    TlsClient client(port_, ca());
    if (client.connected() && client.Ask("GET", "/healthz").status == 200) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  FAIL() << Log();
}

void Program::Signal(int signal) const { ::kill(pid_, signal); }

int Program::Wait() { return ExitCodeOf(std::exchange(pid_, -1)); }

std::string Program::Log() const { return Content(folder_.Path("log")); }

bool HttpsLaptop::Connect() {
  if (client_ != nullptr && client_->connected()) return true;
  client_ = std::make_unique<TlsClient>(program_.port(), program_.ca());
  return client_->connected();
}

template <typename M>
std::optional<M> HttpsLaptop::Ask(const std::string& path,
                                  const std::string& body) {
  if (!Connect()) return std::nullopt;
  const HttpAnswer answer = client_->Ask("POST", path, body);
  v1::ServiceSigned signed_answer;
  M message;
  if (answer.status != 200) client_.reset();
  if (answer.status != 200 || !signed_answer.ParseFromString(answer.body) ||
      !message.ParseFromString(signed_answer.payload())) {
    return std::nullopt;
  }
  return message;
}

bool HttpsLaptop::Enroll(const std::string& token) {
  v1::EnrollmentRequest request;
  request.add_eks()->set_public_area(AsString(device.ek.area.bytes()));
  request.set_ak_public(AsString(device.ak.area.bytes()));
  request.set_token(token);
  request.set_request_nonce(verifier::RandomString(16));
  const auto answer =
      Ask<v1::EnrollmentAnswer>("/v1/enrollments", request.SerializeAsString());
  if (!answer) return false;
  v1::Enrollment transcript;
  transcript.set_issuer(answer->issuer());
  transcript.set_tenant(answer->tenant());
  transcript.set_enrollment_id(answer->enrollment_id());
  transcript.set_nonce(answer->nonce());
  transcript.add_ek_sha256(AsString(Sha256(device.ek.area.bytes())));
  transcript.set_ak_name(AsString(device.ak.area.name()));
  transcript.set_token_sha256(AsString(Sha256(AsBytes(token))));
  v1::ActivationRequest activation;
  v1::Statement& statement = *activation.mutable_transcript();
  statement.set_type(
      std::string(statement::TypeUri(StatementType::kEnrollment)));
  statement.set_body(Serialize(transcript));
  const auto secret =
      fakes::ActivateCredential(device.ek, device.ak.area.name(),
                                {ToBytes(AsBytes(answer->credential_blob())),
                                 ToBytes(AsBytes(answer->encrypted_secret()))});
  if (!secret) return false;
  activation.set_proof(AsString(
      HmacSha256(secret->Expose(),
                 statement::Pae(statement.type(), AsBytes(statement.body())))));
  *activation.mutable_quote() = device.Quote(statement::StatementDigest(
      StatementType::kEnrollment, AsBytes(statement.body())));
  const auto record = Ask<v1::DeviceRecord>(
      "/v1/enrollments/" + ToHex(AsBytes(answer->enrollment_id())) +
          "/activation",
      activation.SerializeAsString());
  if (!record) return false;
  device.device_id = ToBytes(AsBytes(record->device_id()));
  return true;
}

bool HttpsLaptop::OpenSession() {
  v1::ChallengeRequest request;
  request.set_purpose("session");
  request.set_device_id(AsString(device.device_id));
  request.set_request_nonce(verifier::RandomString(16));
  const auto challenge =
      Ask<v1::ChallengeAnswer>("/v1/challenges", request.SerializeAsString());
  if (!challenge) return false;
  verifier::SessionParts parts(device);
  parts.binding.set_nonce(challenge->nonce());
  parts.binding.set_tls_exporter(AsString(client_->Exporter()));
  const auto observe = [](auto& message, const char* name) {
    v1::Observation& observation = *message.add_observations();
    observation.set_name(name);
    observation.set_how("test");
    observation.set_grade(v1::GRADE_KERNEL);
  };
  observe(*parts.binding.mutable_user(), "os_id");
  observe(*parts.binding.mutable_workload(), "executable_path");
  const v1::SessionEvidence evidence = parts.Build();
  const auto answer =
      Ask<v1::SessionAnswer>("/v1/sessions", evidence.SerializeAsString());
  if (!answer) return false;
  session_ = statement::StatementDigest(StatementType::kSessionBinding,
                                        AsBytes(evidence.statement().body()));
  epoch_nonce_ = answer->epoch_nonce();
  return true;
}

v1::BatchEvidence HttpsLaptop::NextBatch(int size) {
  verifier::BatchParts parts(device, 0);
  parts.batch.set_journal_id(AsString(journal_id_));
  parts.batch.set_epoch_nonce(epoch_nonce_);
  parts.batch.set_batch_sequence(next_batch_);
  parts.batch.set_first_action_sequence(next_action_);
  parts.batch.set_previous_batch_digest(AsString(last_batch_));
  v1::ActionRequest request;
  request.set_name("http:POST");
  request.set_resource("https://api.example/orders/1");
  request.set_purpose("test");
  request.set_grant_audience("https://api.example");
  for (int i = 0; i < size; ++i) {
    v1::Action action;
    action.set_action_request(Serialize(request));
    action.set_session_binding_digest(AsString(session_));
    action.set_sequence(next_action_ + static_cast<uint64_t>(i));
    action.set_salt(verifier::RandomString(16));
    parts.actions.push_back(Serialize(action));
  }
  ++device.clock.clock_ms;
  return parts.Build();
}

std::optional<v1::BatchAnswer> HttpsLaptop::Send(
    const v1::BatchEvidence& batch) {
  return Ask<v1::BatchAnswer>("/v1/actions", batch.SerializeAsString());
}

void HttpsLaptop::GoOn(const v1::BatchEvidence& batch,
                       const v1::BatchAnswer& answer) {
  epoch_nonce_ = answer.epoch_nonce();
  ++next_batch_;
  next_action_ += static_cast<uint64_t>(batch.actions_size());
  last_batch_ = statement::StatementDigest(StatementType::kActionBatch,
                                           AsBytes(batch.statement().body()));
}

}  // namespace countersign::authz
