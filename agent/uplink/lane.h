// One lane: a thread, its client and a short queue. Requests of a lane are
// sent one at a time and in order; two lanes never wait for each other. The
// time that a request waits counts against its timeout.
#ifndef COUNTERSIGN_AGENT_UPLINK_LANE_H_
#define COUNTERSIGN_AGENT_UPLINK_LANE_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "agent/uplink/authz_client.h"

namespace countersign::agent {

class Lane {
 public:
  // Called on the lane's thread, once for each accepted request.
  using Reply = std::function<void(v1::UplinkResponse)>;

  Lane(std::unique_ptr<AuthzClient> client, size_t capacity, Reply reply);
  // Drops what waits, gives up what runs, and waits for the thread.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Any thread. False when `capacity` requests wait already.
  [[nodiscard]] bool Offer(v1::UplinkRequest request);
  // Any thread. The request under way ends with the client it began with;
  // all later ones go through this one.
  void Renew(std::unique_ptr<AuthzClient> client);

 private:
  struct Waiting {
    v1::UplinkRequest request;
    std::chrono::steady_clock::time_point since;
  };

  void Run(const std::stop_token& stop);
  [[nodiscard]] v1::UplinkResponse Serve(Waiting waiting, std::stop_token stop);

  std::unique_ptr<AuthzClient> client_;  // The thread's own.
  const size_t capacity_;
  const Reply reply_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Waiting> queue_;             // Guarded by mutex_.
  std::unique_ptr<AuthzClient> renewed_;  // Likewise; null when taken.
  std::jthread thread_;                   // Last: it uses all of the above.
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_UPLINK_LANE_H_
