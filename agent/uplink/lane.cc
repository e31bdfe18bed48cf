#include "agent/uplink/lane.h"

#include <utility>

#include "agent/ipc/messages.h"

namespace countersign::agent {

Lane::Lane(std::unique_ptr<AuthzClient> client, size_t capacity, Reply reply)
    : client_(std::move(client)),
      capacity_(capacity),
      reply_(std::move(reply)),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

Lane::~Lane() {
  thread_.request_stop();
  thread_.join();
}

bool Lane::Offer(v1::UplinkRequest request) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= capacity_) return false;
    queue_.push_back({std::move(request), std::chrono::steady_clock::now()});
  }
  changed_.notify_one();
  return true;
}

void Lane::Renew(std::unique_ptr<AuthzClient> client) {
  const std::lock_guard lock(mutex_);
  renewed_ = std::move(client);
}

void Lane::Run(const std::stop_token& stop) {
  while (true) {
    Waiting waiting;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !queue_.empty(); })) {
        return;
      }
      if (stop.stop_requested()) return;
      waiting = std::move(queue_.front());
      queue_.pop_front();
      if (renewed_) client_ = std::move(renewed_);
    }
    v1::UplinkResponse response = Serve(std::move(waiting), stop);
    if (stop.stop_requested()) return;
    reply_(std::move(response));
  }
}

v1::UplinkResponse Lane::Serve(Waiting waiting, std::stop_token stop) {
  v1::UplinkRequest& request = waiting.request;
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - waiting.since);
  if (request.timeout_ms() != 0) {
    if (waited.count() >= request.timeout_ms()) {
      v1::UplinkResponse late;
      late.set_id(request.id());
      *late.mutable_error() = ToErrorInfo(
          {ErrorCode::kTimeout, "its turn came too late in the uplink"});
      return late;
    }
    request.set_timeout_ms(request.timeout_ms() -
                           static_cast<uint32_t>(waited.count()));
  }
  return client_->Exchange(request, std::move(stop));
}

}  // namespace countersign::agent
