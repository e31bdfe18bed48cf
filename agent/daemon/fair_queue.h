// A queue in which every user gets a turn: one user's thousand entries do not
// keep another's one waiting.
#ifndef COUNTERSIGN_AGENT_DAEMON_FAIR_QUEUE_H_
#define COUNTERSIGN_AGENT_DAEMON_FAIR_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <utility>

namespace countersign::agent {

// Whoever pushes bounds it. Not thread-safe.
template <typename T>
class FairQueue {
 public:
  void Push(uint32_t uid, T item) { Lane(uid).push_back(std::move(item)); }
  // Puts back what was popped too early; it is that user's next.
  void PushFront(uint32_t uid, T item) {
    Lane(uid).push_front(std::move(item));
  }

  // The next item of the user whose turn it is. Requires !empty().
  [[nodiscard]] T Pop() {
    const uint32_t uid = turns_.front();
    turns_.pop_front();
    const auto lane = lanes_.find(uid);
    T item = std::move(lane->second.front());
    lane->second.pop_front();
    --size_;
    if (lane->second.empty()) {
      lanes_.erase(lane);
    } else {
      turns_.push_back(uid);
    }
    return item;
  }

  // Moves out all of which `predicate(item)` is true, in no promised order.
  template <typename Predicate>
  [[nodiscard]] std::deque<T> TakeIf(Predicate predicate) {
    std::deque<T> taken;
    for (auto lane = lanes_.begin(); lane != lanes_.end();) {
      std::deque<T> kept;
      for (T& item : lane->second) {
        (predicate(item) ? taken : kept).push_back(std::move(item));
      }
      lane->second = std::move(kept);
      if (lane->second.empty()) {
        std::erase(turns_, lane->first);
        lane = lanes_.erase(lane);
      } else {
        ++lane;
      }
    }
    size_ -= taken.size();
    return taken;
  }

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t size_of(uint32_t uid) const {
    const auto lane = lanes_.find(uid);
    return lane == lanes_.end() ? 0 : lane->second.size();
  }

 private:
  std::deque<T>& Lane(uint32_t uid) {
    ++size_;
    const auto [lane, is_new] = lanes_.try_emplace(uid);
    if (is_new) turns_.push_back(uid);
    return lane->second;
  }

  std::unordered_map<uint32_t, std::deque<T>> lanes_;  // None is empty.
  std::deque<uint32_t> turns_;  // Each user of lanes_ once.
  size_t size_ = 0;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_FAIR_QUEUE_H_
