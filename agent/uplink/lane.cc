#include "agent/uplink/lane.h"

#include <utility>

namespace countersign::agent {

Lane::Lane(std::unique_ptr<AuthzClient> client, size_t capacity, Reply reply)
    : client_(std::move(client)),
      capacity_(capacity),
      reply_(std::move(reply)),
      thread_([this](std::stop_token stop) { Run(std::move(stop)); }) {}

Lane::~Lane() {
  thread_.request_stop();
  thread_.join();
}

bool Lane::Offer(v1::UplinkRequest request) {
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(request));
  }
  changed_.notify_one();
  return true;
}

void Lane::Run(std::stop_token stop) {
  while (true) {
    v1::UplinkRequest request;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !queue_.empty(); })) {
        return;
      }
      if (stop.stop_requested()) return;
      request = std::move(queue_.front());
      queue_.pop_front();
    }
    v1::UplinkResponse response = client_->Exchange(request, stop);
    if (stop.stop_requested()) return;
    reply_(std::move(response));
  }
}

}  // namespace countersign::agent
