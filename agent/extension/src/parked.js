// Permits that a page asked for beforehand (countersign.authorize), each kept
// for the one request that it is for: same page's origin, and the very action
// that the rule makes of that request, in the same session.
// The page is told the decision and never sees the receipt.
import {toBase64} from './encoding.js';

const KEPT_MS = 50_000;  // A receipt lives for 60 s.
const MAX_PARKED = 256;

function keyOf(origin, {key, name, resource, purpose, audience, sha256}) {
  return JSON.stringify([origin, key, name, resource, purpose, audience,
    sha256 && toBase64(sha256)]);
}

export class Parked {
  // `isOpen(session)`: may its permits still be used?
  constructor({now = Date.now, isOpen = () => true} = {}) {
    Object.assign(this, {now, isOpen});
    this.entries = [];  // Oldest first.
  }

  put(origin, action, permit) {
    if (this.entries.length >= MAX_PARKED) this.entries.shift();
    this.entries.push({key: keyOf(origin, action), permit,
      until: this.now() + KEPT_MS});
  }

  // Once; of several the oldest.
  take(origin, action) {
    this.entries = this.entries.filter(({until, permit}) =>
      until > this.now() && this.isOpen(permit.session));
    const key = keyOf(origin, action);
    const at = this.entries.findIndex((entry) => entry.key === key);
    return at < 0 ? undefined : this.entries.splice(at, 1)[0].permit;
  }

  clear() {
    this.entries = [];
  }
}
