// Permits that a page asked for beforehand (countersign.authorize), each kept
// for the one request that it is for: same origin, method, resource and body.
// The page is told the decision and never sees the receipt.
import {toBase64} from './encoding.js';

const KEPT_MS = 50_000;  // A receipt lives for 60 s.
const MAX_PARKED = 256;

function keyOf(origin, {name, resource, sha256}) {
  return [origin, name, resource, sha256 ? toBase64(sha256) : ''].join(' ');
}

export class Parked {
  constructor(now = Date.now) {
    this.now = now;
    this.byKey = new Map();
  }

  put(origin, action, permit) {
    if (this.byKey.size >= MAX_PARKED) {
      this.byKey.delete(this.byKey.keys().next().value);
    }
    this.byKey.set(keyOf(origin, action),
        {permit, audience: action.audience, until: this.now() + KEPT_MS});
  }

  // Once.
  take(origin, action) {
    const key = keyOf(origin, action);
    const found = this.byKey.get(key);
    if (found === undefined) return undefined;
    this.byKey.delete(key);
    return found.until > this.now() && found.audience === action.audience ?
      found.permit : undefined;
  }

  clear() {
    this.byKey.clear();
  }
}
