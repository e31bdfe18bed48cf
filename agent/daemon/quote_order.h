// Keeps quotes in the order in which the TPM made them, until the service has
// seen them.
//
// The service refuses a quote whose TPM clock lies before one that it has
// accepted. Sessions and batches travel on two connections, so without this a
// session could overtake a batch that was quoted earlier, or the other way
// round. Belongs to the loop's thread.
#ifndef COUNTERSIGN_AGENT_DAEMON_QUOTE_ORDER_H_
#define COUNTERSIGN_AGENT_DAEMON_QUOTE_ORDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "platform/event_loop.h"

namespace countersign::agent {

class QuoteOrder {
 public:
  // A place in the order, held until it is destroyed: the quote was answered,
  // or it will be sent late, when order no longer matters.
  class Place {
   public:
    Place(Place&& other) noexcept
        : order_(std::move(other.order_)),
          number_(std::exchange(other.number_, 0)) {}
    Place& operator=(Place&& other) noexcept;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { Leave(); }

    [[nodiscard]] bool first() const;
    // Runs `callback` from the loop as soon as this place is the first.
    void WhenFirst(std::function<void()> callback);

   private:
    friend class QuoteOrder;
    struct State;
    Place(std::shared_ptr<State> order, uint64_t number)
        : order_(std::move(order)), number_(number) {}
    void Leave();
    std::shared_ptr<State> order_;
    uint64_t number_;  // 0: none.
  };

  explicit QuoteOrder(platform::EventLoop& loop);

  // To be taken when the quote comes back from the TPM's thread.
  [[nodiscard]] Place Take();

 private:
  std::shared_ptr<Place::State> state_;
};

}  // namespace countersign::agent

#endif  // COUNTERSIGN_AGENT_DAEMON_QUOTE_ORDER_H_
