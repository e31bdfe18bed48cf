#include "tests/agent/daemon/test_uplink.h"

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "agent/ipc/frame.h"
#include "platform/local_socket.h"

namespace countersign::agent {
namespace {

using platform::LocalConnection;
using std::chrono::milliseconds;

// One lane: its requests, in order, on a thread of their own.
class Lane {
 public:
  using Send = std::function<void(const v1::UplinkResponse&)>;

  Lane(TestService& service, Send send)
      : service_(service), send_(std::move(send)), thread_([this] { Run(); }) {}
  ~Lane() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void Push(v1::UplinkRequest request) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(request));
    }
    wake_.notify_one();
  }

 private:
  void Run() {
    while (true) {
      v1::UplinkRequest request;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        request = std::move(queue_.front());
        queue_.pop_front();
      }
      if (const auto response = service_.Handle(request)) send_(*response);
    }
  }

  TestService& service_;
  Send send_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<v1::UplinkRequest> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace

TestUplink::TestUplink(std::string socket, TestService& service)
    : socket_(std::move(socket)), service_(service) {}

void TestUplink::Start() {
  stopping_ = false;
  thread_ = std::thread([this] { Run(); });
}

void TestUplink::Stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  service_.Release();
  thread_.join();
}

void TestUplink::Run() {
  while (!stopping_) {
    auto connection =
        LocalConnection::Connect(socket_, std::chrono::seconds(1));
    if (!connection.has_value()) {
      std::this_thread::sleep_for(milliseconds(5));
      continue;
    }
    std::mutex write_mutex;
    const auto send = [&](const v1::UplinkResponse& response) {
      Bytes frame;
      AppendFrame(AsBytes(response.SerializeAsString()), frame);
      const std::lock_guard lock(write_mutex);
      (void)connection->WriteAll(frame, std::chrono::seconds(10));
    };
    std::map<std::string, std::unique_ptr<Lane>> lanes;
    FrameDecoder decoder(kMaxUplinkFrame);
    bool open = true;
    while (open && !stopping_) {
      if (!connection->WaitReadable(milliseconds(20)).has_value()) continue;
      const auto received = connection->Read(64 * 1024);
      if (!received.has_value() ||
          (received->has_value() && (*received)->bytes.empty())) {
        break;
      }
      if (!received->has_value()) continue;
      decoder.Feed((*received)->bytes);
      while (true) {
        const auto payload = decoder.Next();
        if (!payload.has_value()) open = false;
        if (!payload.has_value() || !payload->has_value()) break;
        v1::UplinkRequest request;
        if (!request.ParseFromString(AsString(**payload))) continue;
        auto& lane = lanes[request.lane()];
        if (lane == nullptr) lane = std::make_unique<Lane>(service_, send);
        lane->Push(std::move(request));
      }
    }
  }
}

}  // namespace countersign::agent
