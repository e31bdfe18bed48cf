// Tells of every session that ends, whoever ended it: this process, another
// one over the same database, or an administrator's command.
//
// It looks at the store five times a second, for ends behind the last one that
// it saw; the order of the ledger makes that exact. What happened before it
// started, it does not tell.
#ifndef COUNTERSIGN_ATTEST_AUTHZ_SESSION_END_WATCH_H_
#define COUNTERSIGN_ATTEST_AUTHZ_SESSION_END_WATCH_H_

#include <functional>
#include <memory>

#include "attest/authz/store.h"

namespace countersign::authz {

class SessionEndWatch {
 public:
  // Called on the watch's own thread; must not wait.
  using Tell = std::function<void(const SessionRow&)>;

  // `store` outlives it. Errors are those of the store.
  [[nodiscard]] static Result<SessionEndWatch> Start(Store& store, Tell tell);
  SessionEndWatch(SessionEndWatch&&) noexcept;
  SessionEndWatch& operator=(SessionEndWatch&&) noexcept;
  ~SessionEndWatch();

 private:
  struct Impl;
  explicit SessionEndWatch(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace countersign::authz

#endif  // COUNTERSIGN_ATTEST_AUTHZ_SESSION_END_WATCH_H_
