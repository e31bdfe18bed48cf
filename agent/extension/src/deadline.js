// How long a request may still wait. A person who is asked takes as long as a
// person takes, and that has its own limit: meanwhile this one stands still.
import {Failure} from './failure.js';

export class Deadline {
  constructor(ms) {
    this.over = false;
    this.passed = new Promise((_, reject) => {
      this.reject = reject;
    });
    this.passed.catch(() => {});  // Perhaps nobody waits for it any more.
    this.restart(ms);
  }

  // From now on.
  restart(ms = this.ms) {
    this.stop();
    this.ms = ms;
    this.timer = setTimeout(() => {
      this.over = true;
      this.reject(new Failure('timeout'));
    }, ms);
  }

  stop() {
    clearTimeout(this.timer);
  }

  // What `promise` gives, or the Failure "timeout".
  within(promise) {
    promise.catch(() => {});
    return Promise.race([promise, this.passed]);
  }
}
