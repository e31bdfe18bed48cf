// For browsers that do not let a listener wait: proofs that are fetched before
// they are needed, by method and address.
//
// The first request to an address finds none and is stopped; its proof is then
// fetched, and one more after each use, for as long as the address is in use.
// If that fails, the next request is told why. Such proofs are body-unbound
// except where there is no body.
import {Failure} from './failure.js';

const KEPT_MS = 45_000;  // A receipt lives for 60 s.
const MAX_ADDRESSES = 64;
const MAX_EACH = 8;

export class ProofPool {
  // `fetchProof(request)` promises headers.
  constructor({fetchProof, now = Date.now}) {
    Object.assign(this, {fetchProof, now});
    this.byAddress = new Map();  // -> {proofs, failure}
  }

  // The proof's action says who asked.
  static keyOf({key, method, url, initiator = ''}) {
    return `${method} ${url.href} ${initiator} ${key}`;
  }

  // {headers} or, where there are none, {failure}: why the last could not be
  // had, if that was tried. Either way one more is on its way; `onReady` runs
  // when there is one after a miss.
  take(request, onReady = () => {}) {
    const address = ProofPool.keyOf(request);
    const entry = this.byAddress.get(address) ?? {proofs: []};
    this.byAddress.delete(address);
    this.byAddress.set(address, entry);  // Used last, so put last.
    if (this.byAddress.size > MAX_ADDRESSES) {
      this.byAddress.delete(this.byAddress.keys().next().value);
    }
    entry.proofs = entry.proofs.filter(({until}) => until > this.now());
    const found = entry.proofs.shift();
    this.refill(entry, request).then(
        () => found ?? onReady(), (error) => found ?? onReady(error));
    return found ? {headers: found.headers} : {failure: entry.failure};
  }

  // `entry`, not its address: what is cleared meanwhile stays so.
  async refill(entry, request) {
    try {
      const headers = await this.fetchProof(request);
      entry.failure = undefined;
      if (entry.proofs.length >= MAX_EACH) return;
      entry.proofs.push({headers, until: this.now() + KEPT_MS});
    } catch (error) {
      entry.failure = Failure.of(error);
      throw error;
    }
  }

  clear() {
    this.byAddress.clear();
  }
}
