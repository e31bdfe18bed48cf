#include "agent/daemon/quote_order.h"

namespace countersign::agent {

struct QuoteOrder::Place::State {
  platform::EventLoop& loop;
  uint64_t last = 0;
  std::map<uint64_t, std::function<void()>> places;  // Empty: does not wait.

  // Lets the first go on, if it waits.
  static void Advance(const std::shared_ptr<State>& state) {
    if (state->places.empty() || !state->places.begin()->second) return;
    state->loop.Post([callback = std::exchange(state->places.begin()->second,
                                               {})] { callback(); });
  }
};

QuoteOrder::QuoteOrder(platform::EventLoop& loop)
    : state_(std::make_shared<Place::State>(Place::State{loop, 0, {}})) {}

QuoteOrder::Place QuoteOrder::Take() {
  const uint64_t number = ++state_->last;
  state_->places.emplace(number, nullptr);
  return Place(state_, number);
}

QuoteOrder::Place& QuoteOrder::Place::operator=(Place&& other) noexcept {
  if (this != &other) {
    Leave();
    order_ = std::move(other.order_);
    number_ = std::exchange(other.number_, 0);
  }
  return *this;
}

bool QuoteOrder::Place::first() const {
  return order_->places.begin()->first == number_;
}

void QuoteOrder::Place::WhenFirst(std::function<void()> callback) {
  order_->places[number_] = std::move(callback);
  if (first()) State::Advance(order_);
}

void QuoteOrder::Place::Leave() {
  if (number_ == 0) return;
  const bool was_first = first();
  order_->places.erase(std::exchange(number_, 0));
  if (was_first) State::Advance(order_);
}

}  // namespace countersign::agent
