// So many at once and so many a second, for each sender.
export class RateLimit {
  constructor({burst, perSecond, now = Date.now, maxSenders = 1000}) {
    Object.assign(this, {burst, perSecond, now, maxSenders});
    this.senders = new Map();
  }

  // True if `sender` may go on.
  take(sender) {
    const now = this.now();
    const seen = this.senders.get(sender) ?? {left: this.burst, at: now};
    seen.left = Math.min(this.burst,
        seen.left + (now - seen.at) / 1000 * this.perSecond);
    seen.at = now;
    // Newest last; a flood of senders pushes out the longest silent.
    this.senders.delete(sender);
    this.senders.set(sender, seen);
    if (this.senders.size > this.maxSenders) {
      this.senders.delete(this.senders.keys().next().value);
    }
    if (seen.left < 1) return false;
    seen.left -= 1;
    return true;
  }
}
