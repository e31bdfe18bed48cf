#include "attest/authz/session_end_watch.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace countersign::authz {
namespace {

constexpr std::chrono::milliseconds kLookEvery{200};
constexpr int kPage = 256;

}  // namespace

struct SessionEndWatch::Impl {
  Store& store;
  Tell tell;
  uint64_t seen = 0;  // Index of the last end that was told.
  bool failing = false;
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::jthread thread;  // Last: it uses all of the above.

  Impl(Store& from, Tell to) : store(from), tell(std::move(to)) {}

  Status LookOnce() {
    std::vector<SessionRow> ended;
    do {
      CS_RETURN_IF_ERROR(store.Read([&](StoreView& view) -> Status {
        CS_ASSIGN_OR_RETURN(ended, view.SessionsEndedAfter(seen, {}, kPage));
        return {};
      }));
      for (const SessionRow& session : ended) {
        tell(session);
        seen = session.end_index;
      }
    } while (!ended.empty());
    return {};
  }

  void Run(const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    while (!stopped.wait_for(lock, stop, kLookEvery,
                             [&] { return stop.stop_requested(); })) {
      const Status looked = LookOnce();
      // Told once, and not five times a second.
      if (!looked && !failing) {
        spdlog::error("looking for ended sessions: {} {}",
                      Name(looked.error().code), looked.error().detail);
      }
      failing = !looked;
    }
  }
};

SessionEndWatch::SessionEndWatch(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
SessionEndWatch::SessionEndWatch(SessionEndWatch&&) noexcept = default;
SessionEndWatch& SessionEndWatch::operator=(SessionEndWatch&&) noexcept =
    default;
SessionEndWatch::~SessionEndWatch() = default;

Result<SessionEndWatch> SessionEndWatch::Start(Store& store, Tell tell) {
  auto impl = std::make_unique<Impl>(store, std::move(tell));
  CS_RETURN_IF_ERROR(store.Read([&](StoreView& view) -> Status {
    CS_ASSIGN_OR_RETURN(const LedgerHeadRow head, view.LedgerHead());
    impl->seen = head.size == 0 ? 0 : head.size - 1;
    return {};
  }));
  impl->thread = std::jthread(
      [raw = impl.get()](const std::stop_token& stop) { raw->Run(stop); });
  return SessionEndWatch(std::move(impl));
}

}  // namespace countersign::authz
