#include "agent/native_host/relay.h"

#include <utility>

namespace countersign::agent {
namespace {

constexpr size_t kReadChunk = 64 * 1024;

// Writes what `stream` takes now and drops it from `waiting`.
template <typename Stream>
Status WriteSome(Stream& stream, Bytes& waiting) {
  size_t written = 0;
  Status status;
  while (written < waiting.size()) {
    const auto taken = stream.Write(ByteSpan(waiting).subspan(written));
    if (!taken.has_value()) {
      status = tl::unexpected(taken.error());
      break;
    }
    if (*taken == 0) break;
    written += *taken;
  }
  waiting.erase(waiting.begin(),
                waiting.begin() + static_cast<ptrdiff_t>(written));
  return status;
}

}  // namespace

Relay::Relay(platform::EventLoop& loop, platform::PipePair browser,
             std::string socket_path)
    : loop_(loop),
      browser_(std::move(browser)),
      socket_path_(std::move(socket_path)) {}

Relay::~Relay() {
  for (const auto timer : {greeting_timer_, parting_timer_}) {
    if (timer != 0) loop_.Cancel(timer);
  }
  if (daemon_.has_value()) loop_.Remove(daemon_->handle());
  loop_.Remove(browser_.input());
  loop_.Remove(browser_.output());
}

Status Relay::Start() {
  CS_RETURN_IF_ERROR(
      loop_.Add(browser_.input(), [this] { OnBrowserReadable(); }));
  // An output is readable when nobody reads it any more.
  return loop_.Add(
      browser_.output(), [this] { Stop(); }, [this] { FlushBrowser(); });
}

void Relay::OnBrowserReadable() {
  auto bytes = browser_.Read(kReadChunk);
  if (!bytes.has_value()) {
    ended_ = tl::unexpected(std::move(bytes).error());
    Stop();
    return;
  }
  if (!bytes->has_value()) return;
  if ((*bytes)->empty()) {
    if (from_browser_.mid_frame()) {
      ended_ = Fail(ErrorCode::kFrameMalformed, "the end within a frame");
    }
    Stop();
    return;
  }
  from_browser_.Feed(**bytes);
  TakeMessages();
  FlushDaemon();
  FlushBrowser();
}

void Relay::TakeMessages() {
  while (!parting_) {
    auto message = from_browser_.Next();
    if (!message.has_value()) {
      Part(tl::unexpected(std::move(message).error()));
      return;
    }
    if (!message->has_value()) return;
    Forward(**message);
  }
}

void Relay::Forward(ByteSpan message) {
  if (!daemon_.has_value()) {
    const Status connected = Connect();
    if (!connected.has_value()) {
      SendRefusal(connected.error());
      return;
    }
  }
  if (!nonce_.has_value()) {
    AppendFrame(message, unsent_);
    return;
  }
  const auto whole = WithNonce(message, *nonce_);
  if (whole.has_value()) {
    AppendFrame(*whole, to_daemon_);
  } else {
    SendRefusal(whole.error());
  }
}

Status Relay::Connect() {
  CS_ASSIGN_OR_RETURN(auto connection,
                      platform::LocalConnection::Connect(
                          socket_path_, std::chrono::milliseconds(0)));
  daemon_.emplace(std::move(connection));
  from_daemon_ = FrameDecoder(kMaxClientFrame);
  Status watched = loop_.Add(
      daemon_->handle(), [this] { OnDaemonReadable(); },
      [this] { FlushDaemon(); });
  if (!watched.has_value()) {
    daemon_.reset();
    return watched;
  }
  greeting_timer_ = loop_.RunAfter(kGreetingTimeout, [this] {
    greeting_timer_ = 0;
    LoseDaemon({ErrorCode::kTimeout, "the daemon did not greet"});
    FlushBrowser();
  });
  return {};
}

void Relay::OnDaemonReadable() {
  auto received = daemon_->Read(kReadChunk);
  Status status;
  if (!received.has_value()) {
    status = tl::unexpected(std::move(received).error());
  } else if (!received->has_value()) {
    return;
  } else if ((*received)->bytes.empty()) {
    status = Fail(ErrorCode::kDaemonNotRunning, "it closed the connection");
  } else {
    from_daemon_.Feed((*received)->bytes);
    status = TakeFrames();
  }
  if (!status.has_value()) LoseDaemon(status.error());
  FlushDaemon();
  FlushBrowser();
}

Status Relay::TakeFrames() {
  while (true) {
    CS_ASSIGN_OR_RETURN(const auto frame, from_daemon_.Next());
    if (!frame.has_value()) return {};
    if (!nonce_.has_value()) {
      auto nonce = NonceOfGreeting(*frame);
      if (!nonce.has_value()) {
        return Fail(ErrorCode::kBusy, "the daemon refused the connection");
      }
      Greeted(*std::move(nonce));
    } else if (frame->front() != '{') {
      // It answers JSON with JSON; anything else is about the whole stream,
      // and would break the browser's.
      return Fail(ErrorCode::kFrameMalformed, "the daemon gave up");
    } else {
      AppendFrame(*frame, to_browser_);
    }
  }
}

void Relay::Greeted(std::string nonce) {
  loop_.Cancel(std::exchange(greeting_timer_, 0));
  nonce_ = std::move(nonce);
  FrameDecoder waiting(kMaxMessage);
  waiting.Feed(std::exchange(unsent_, {}));
  // These are whole frames that passed the same decoder before.
  for (auto message = waiting.Next();
       message.has_value() && message->has_value(); message = waiting.Next()) {
    Forward(**message);
  }
}

void Relay::LoseDaemon(const Error& error) {
  if (!daemon_.has_value()) return;
  if (greeting_timer_ != 0) loop_.Cancel(std::exchange(greeting_timer_, 0));
  loop_.Remove(daemon_->handle());
  daemon_.reset();
  nonce_.reset();
  unsent_.clear();
  to_daemon_.clear();
  SendRefusal(error);
}

void Relay::SendRefusal(const Error& error) {
  AppendFrame(Refusal(error), to_browser_);
}

void Relay::FlushBrowser() {
  if (!WriteSome(browser_, to_browser_).has_value() ||
      (parting_ && to_browser_.empty())) {
    Stop();
    return;
  }
  loop_.WatchWritable(browser_.output(), !to_browser_.empty());
  Throttle();
}

void Relay::FlushDaemon() {
  if (!daemon_.has_value()) return;
  const Status status = WriteSome(*daemon_, to_daemon_);
  if (!status.has_value()) {
    LoseDaemon(status.error());
    FlushBrowser();
    return;
  }
  loop_.WatchWritable(daemon_->handle(), !to_daemon_.empty());
  Throttle();
}

void Relay::Throttle() {
  const bool browser_slow = to_browser_.size() > kMaxWaiting;
  const bool daemon_slow = to_daemon_.size() + unsent_.size() > kMaxWaiting;
  loop_.WatchReadable(browser_.input(),
                      !parting_ && !browser_slow && !daemon_slow);
  if (daemon_.has_value()) {
    loop_.WatchReadable(daemon_->handle(), !browser_slow);
  }
}

// Nothing after this point of the stream can be understood: says why, and goes.
void Relay::Part(Status why) {
  parting_ = true;
  SendRefusal(why.error());
  ended_ = std::move(why);
  parting_timer_ = loop_.RunAfter(kPartingTimeout, [this] {
    parting_timer_ = 0;
    Stop();
  });
}

void Relay::Stop() { loop_.Stop(); }

}  // namespace countersign::agent
