#include "tests/bench/load_client.h"

#include <poll.h>

#include <optional>

#include "agent/ipc/messages.h"
#include "countersign/v1/agent.pb.h"

namespace countersign::bench {
namespace {

using agent::FrameDecoder;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kReadSize = 256 * 1024;
constexpr milliseconds kAnswerTimeout{60'000};
constexpr milliseconds kTick{10};

double MillisecondsBetween(TimePoint from, TimePoint to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

struct LoadClient::Link {
  explicit Link(platform::LocalConnection connected)
      : connection(std::move(connected)), decoder(agent::kMaxClientFrame) {}

  platform::LocalConnection connection;
  FrameDecoder decoder;
  std::string nonce;
  std::string authorize;  // A Request without its number, serialised.
  Bytes unsent;
};

LoadClient::LoadClient(const Options& options) : options_(options) {}

LoadClient::~LoadClient() = default;

Result<std::unique_ptr<LoadClient>> LoadClient::Connect(
    const Options& options) {
  std::unique_ptr<LoadClient> client(new LoadClient(options));
  CS_RETURN_IF_ERROR(client->OpenLinks());
  CS_RETURN_IF_ERROR(client->OpenSession());
  return client;
}

Status LoadClient::OpenLinks() {
  for (size_t i = 0; i < options_.connections; ++i) {
    CS_ASSIGN_OR_RETURN(auto connection, platform::LocalConnection::Connect(
                                             options_.socket, kAnswerTimeout));
    links_.push_back(std::make_unique<Link>(std::move(connection)));
  }
  // The daemon greets each with a nonce.
  for (const auto& link : links_) {
    while (link->nonce.empty()) {
      CS_RETURN_IF_ERROR(link->connection.WaitReadable(kAnswerTimeout));
      CS_RETURN_IF_ERROR(ReadFrom(*link));
    }
  }
  return {};
}

Status LoadClient::OpenSession() {
  Link& link = *links_.front();
  v1::Request open;
  open.set_nonce(link.nonce);
  open.mutable_open_session()->set_purpose("measuring");
  CS_ASSIGN_OR_RETURN(const Bytes payload,
                      agent::EncodeRequest(open, agent::Encoding::kProtobuf));
  agent::AppendFrame(payload, link.unsent);
  while (session_id_.empty()) CS_RETURN_IF_ERROR(Turn(kAnswerTimeout));

  for (const auto& each : links_) {
    v1::Request request;
    request.set_nonce(each->nonce);
    v1::AuthorizeRequest& authorize = *request.mutable_authorize();
    authorize.set_session_id(session_id_);
    authorize.set_name("http:POST");
    authorize.set_resource("https://api.example/v1/accounts/42/transfers");
    authorize.set_purpose("measuring");
    authorize.set_request_sha256(std::string(32, '\x5a'));
    authorize.set_grant_audience(options_.audience);
    each->authorize = request.SerializeAsString();
  }
  return {};
}

// Sent by the next Turn(), so that a burst shares its system calls.
void LoadClient::Ask(TimePoint due) {
  v1::Request number;
  number.set_request_id(next_id_);
  const std::string head = number.SerializeAsString();
  Link& link = *links_[next_id_ % links_.size()];
  // Protobuf messages can be concatenated: fields may come in any order.
  agent::AppendFrame(AsBytes(head + link.authorize), link.unsent);
  due_.push_back(due);
  ++next_id_;
  ++asked_;
}

// Writes what is unsent, waits at most `wait` and handles what has arrived.
Status LoadClient::Turn(milliseconds wait) {
  std::vector<pollfd> polled;
  for (const auto& link : links_) {
    if (!link->unsent.empty()) {
      CS_ASSIGN_OR_RETURN(const size_t written,
                          link->connection.Write(link->unsent));
      link->unsent.erase(
          link->unsent.begin(),
          link->unsent.begin() + static_cast<ptrdiff_t>(written));
    }
    const short events =
        static_cast<short>(link->unsent.empty() ? POLLIN : POLLIN | POLLOUT);
    polled.push_back({link->connection.handle(), events, 0});
  }
  const int ready =
      ::poll(polled.data(), polled.size(), static_cast<int>(wait.count()));
  if (ready < 0) return Fail(ErrorCode::kIoError, "poll");
  if (ready == 0 && wait == kAnswerTimeout) {
    return Fail(ErrorCode::kTimeout, "no answer from countersignd");
  }
  for (size_t i = 0; i < polled.size(); ++i) {
    if ((polled[i].revents & (POLLIN | POLLHUP)) != 0) {
      CS_RETURN_IF_ERROR(ReadFrom(*links_[i]));
    }
  }
  return {};
}

Status LoadClient::ReadFrom(Link& link) {
  CS_ASSIGN_OR_RETURN(const auto received, link.connection.Read(kReadSize));
  if (!received.has_value()) return {};
  if (received->bytes.empty()) {
    return Fail(ErrorCode::kDaemonNotRunning, "the daemon closed a connection");
  }
  link.decoder.Feed(received->bytes);
  while (true) {
    CS_ASSIGN_OR_RETURN(const auto payload, link.decoder.Next());
    if (!payload.has_value()) return {};
    if (link.nonce.empty()) {
      CS_ASSIGN_OR_RETURN(const v1::Response hello,
                          agent::DecodeResponse(*payload));
      if (!hello.has_hello())
        return tl::unexpected(agent::FromErrorInfo(hello.error()));
      link.nonce = hello.hello().nonce();
    } else {
      CS_RETURN_IF_ERROR(OnAnswer(*payload));
    }
  }
}

Status LoadClient::OnAnswer(ByteSpan payload) {
  CS_ASSIGN_OR_RETURN(const v1::Response answer,
                      agent::DecodeResponse(payload));
  if (answer.has_error()) {
    return tl::unexpected(agent::FromErrorInfo(answer.error()));
  }
  if (answer.has_open_session()) {
    session_id_ = answer.open_session().session().session_id();
    return {};
  }
  const v1::AuthorizeResponse& decided = answer.authorize();
  if (decided.decision() != "permit") {
    return Fail(ErrorCode::kPolicyDenied, decided.decision() + " " +
                                              decided.reason().reason() + ": " +
                                              decided.reason().detail());
  }
  if (!options_.audience.empty() && decided.grant().empty()) {
    return Fail(ErrorCode::kInternal, "a permit without a grant");
  }
  ++answered_;
  if (!measuring_) return {};
  last_ = steady_clock::now();
  if (latencies_ms_.empty()) first_ = last_;
  latencies_ms_.push_back(
      MillisecondsBetween(due_[answer.request_id() - first_due_], last_));
  return {};
}

Status LoadClient::Drain() {
  measuring_ = false;
  while (under_way() > 0) CS_RETURN_IF_ERROR(Turn(kAnswerTimeout));
  due_.clear();
  first_due_ = next_id_;
  return {};
}

Result<Measurement> LoadClient::Flood(size_t outstanding, Seconds warm_up,
                                      Seconds window) {
  const uint64_t answered_before = answered_;
  const TimePoint start = steady_clock::now();
  const auto fill = [&] {
    const TimePoint now = steady_clock::now();
    while (under_way() < outstanding) Ask(now);
  };
  while (steady_clock::now() - start < warm_up) {
    fill();
    CS_RETURN_IF_ERROR(Turn(kTick));
  }
  latencies_ms_.clear();
  const TimePoint begin = steady_clock::now();
  measuring_ = true;
  while (steady_clock::now() - begin < window) {
    fill();
    CS_RETURN_IF_ERROR(Turn(kTick));
  }
  Measurement seen;
  seen.latencies_ms = latencies_ms_;
  // The first completion starts the clock and is not counted.
  seen.completed = latencies_ms_.empty() ? 0 : latencies_ms_.size() - 1;
  seen.seconds = MillisecondsBetween(first_, last_) / 1000;
  CS_RETURN_IF_ERROR(Drain());
  seen.all = answered_ - answered_before;
  return seen;
}

Result<Measurement> LoadClient::Count(size_t outstanding, size_t count) {
  latencies_ms_.clear();
  measuring_ = true;
  const TimePoint begin = steady_clock::now();
  for (size_t left = count; left > 0;) {
    const TimePoint now = steady_clock::now();
    for (; left > 0 && under_way() < outstanding; --left) Ask(now);
    CS_RETURN_IF_ERROR(Turn(kAnswerTimeout));
  }
  while (under_way() > 0) CS_RETURN_IF_ERROR(Turn(kAnswerTimeout));
  Measurement seen{.completed = latencies_ms_.size(),
                   .seconds = MillisecondsBetween(begin, last_) / 1000,
                   .all = latencies_ms_.size(),
                   .latencies_ms = latencies_ms_};
  CS_RETURN_IF_ERROR(Drain());
  return seen;
}

Result<Measurement> LoadClient::AtRate(double per_second, Seconds window) {
  latencies_ms_.clear();
  measuring_ = true;
  const TimePoint begin = steady_clock::now();
  const auto total = static_cast<size_t>(per_second * window.count());
  const auto due = [&](size_t i) {
    return begin + std::chrono::duration_cast<steady_clock::duration>(
                       Seconds(static_cast<double>(i) / per_second));
  };
  for (size_t sent = 0; sent < total;) {
    const TimePoint now = steady_clock::now();
    for (; sent < total && due(sent) <= now; ++sent) Ask(due(sent));
    const auto until_next =
        std::chrono::ceil<milliseconds>(due(sent) - steady_clock::now());
    CS_RETURN_IF_ERROR(Turn(std::max(milliseconds(0), until_next)));
  }
  while (under_way() > 0) CS_RETURN_IF_ERROR(Turn(kAnswerTimeout));
  Measurement seen{.completed = latencies_ms_.size(),
                   .seconds = MillisecondsBetween(begin, last_) / 1000,
                   .all = latencies_ms_.size(),
                   .latencies_ms = latencies_ms_};
  CS_RETURN_IF_ERROR(Drain());
  return seen;
}

Result<double> LoadClient::One() {
  latencies_ms_.clear();
  measuring_ = true;
  Ask(steady_clock::now());
  while (under_way() > 0) CS_RETURN_IF_ERROR(Turn(kAnswerTimeout));
  const double latency = latencies_ms_.front();
  CS_RETURN_IF_ERROR(Drain());
  return latency;
}

}  // namespace countersign::bench
