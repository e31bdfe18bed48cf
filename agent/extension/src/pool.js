// For browsers that do not let a listener wait: proofs that are fetched before
// they are needed, by method and address.
//
// The first request to an address finds none and is stopped; its proof is then
// fetched, and one more after each use, for as long as the address is in use.
// Such proofs are body-unbound except where there is no body.

const KEPT_MS = 45_000;  // A receipt lives for 60 s.
const MAX_ADDRESSES = 64;
const MAX_EACH = 8;

export class ProofPool {
  // `fetchProof(request)` promises headers.
  constructor({fetchProof, now = Date.now}) {
    Object.assign(this, {fetchProof, now});
    this.byAddress = new Map();
  }

  static keyOf({key, method, url}) {
    return `${method} ${url.href} ${key}`;
  }

  // Headers, or undefined; either way one more is on its way. `onReady` runs
  // when there is one after a miss.
  take(request, onReady = () => {}) {
    const address = ProofPool.keyOf(request);
    const proofs = (this.byAddress.get(address) ?? [])
        .filter((proof) => proof.until > this.now());
    const found = proofs.shift();
    this.byAddress.delete(address);
    this.byAddress.set(address, proofs);
    if (this.byAddress.size > MAX_ADDRESSES) {
      this.byAddress.delete(this.byAddress.keys().next().value);
    }
    this.refill(address, request).then(
        () => found ?? onReady(), (error) => found ?? onReady(error));
    return found?.headers;
  }

  async refill(address, request) {
    const headers = await this.fetchProof(request);
    const proofs = this.byAddress.get(address);
    if (proofs === undefined || proofs.length >= MAX_EACH) return;
    proofs.push({headers, until: this.now() + KEPT_MS});
  }

  clear() {
    this.byAddress.clear();
  }
}
