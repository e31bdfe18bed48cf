// Requests that wait for something to happen, by topic.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_WAITING_ROOM_H_
#define COUNTERSIGN_ATTEST_AUTHZ_WAITING_ROOM_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace countersign::authz {

class Waiter {
 public:
  virtual ~Waiter() = default;
  // Returns at once. Called from any thread, and also after Leave.
  virtual void Wake() = 0;
};

// Thread-safe. Holds no waiter alive.
class WaitingRoom {
 public:
  // `key` is the waiter itself; it waits for one topic at a time.
  void Enter(const std::string& topic, std::weak_ptr<Waiter> waiter,
             const Waiter* key);
  // Does nothing for one that has not entered.
  void Leave(const Waiter* key);

  // Each stays until it leaves.
  void Wake(const std::string& topic);
  void WakeAll();

 private:
  using Topics = std::multimap<std::string, std::weak_ptr<Waiter>>;
  std::mutex mutex_;
  Topics topics_;
  std::unordered_map<const Waiter*, Topics::iterator> entered_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_WAITING_ROOM_H_
