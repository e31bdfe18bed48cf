// The open connections of a server, and which of them makes room when there
// are too many: the one that has idled longest.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_CONNECTION_REGISTRY_H_
#define COUNTERSIGN_ATTEST_AUTHZ_CONNECTION_REGISTRY_H_

#include <chrono>
#include <condition_variable>
#include <list>
#include <map>
#include <memory>
#include <mutex>

namespace countersign::authz {

class Closable {
 public:
  virtual ~Closable() = default;
  // Begins to close; returns at once. Called from any thread.
  virtual void Close() = 0;
};

// Thread-safe. Holds no connection alive.
class ConnectionRegistry {
 public:
  explicit ConnectionRegistry(size_t max) : max_(max) {}

  // Takes `connection` in, closing the longest idle one if there are `max`.
  // False if none of them idles.
  [[nodiscard]] bool Admit(const std::shared_ptr<Closable>& connection);
  // For the connection's destructor.
  void Leave(const Closable* connection);
  // Idle: between two requests. Begins not idle.
  void SetIdle(const Closable* connection, bool idle);
  // Closes all that idle; with `all`, every one.
  void Close(bool all);
  // True once no connection is left; false at `deadline`.
  [[nodiscard]] bool WaitEmpty(std::chrono::steady_clock::time_point deadline);

 private:
  struct Entry {
    std::weak_ptr<Closable> connection;
    bool idle = false;
    std::list<const Closable*>::iterator place;  // In idle_, if idle.
  };

  const size_t max_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::map<const Closable*, Entry> open_;
  std::list<const Closable*> idle_;  // Longest idle first.
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_CONNECTION_REGISTRY_H_
