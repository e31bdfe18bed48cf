// Small stand-ins for the browser's parts. They keep what they were told and
// decide nothing.
import {webcrypto} from 'node:crypto';

globalThis.crypto ??= webcrypto;

export class FakeEvent {
  listeners = new Set();
  addListener(listener) {
    this.listeners.add(listener);
  }
  removeListener(listener) {
    this.listeners.delete(listener);
  }
  fire(...values) {
    return [...this.listeners].map((listener) => listener(...values));
  }
}

export class FakePort {
  onMessage = new FakeEvent();
  onDisconnect = new FakeEvent();
  sent = [];
  postMessage(message) {
    this.sent.push(message);
  }
  disconnect() {}
  // The last request, without the watch.
  get requests() {
    return this.sent.filter((message) => message.watch === undefined);
  }
  answer(request, result) {
    this.onMessage.fire({requestId: request.request_id, ...result});
  }
}

export class FakeStorage {
  constructor(managed = {}, local = {}) {
    this.values = {managed, local};
    this.onChanged = new FakeEvent();
    this.managed = {get: async () => this.values.managed};
    this.local = {
      get: async () => this.values.local,
      set: async (values) => Object.assign(this.values.local, values),
    };
  }
  edit(managed) {
    this.values.managed = managed;
    this.onChanged.fire({}, 'managed');
  }
}

export const settled = () => new Promise((done) => setTimeout(done, 0));

// The Failure that `promise` is rejected with; fails if it is not.
export async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    if (error.name !== 'Failure') throw error;
    return error;
  }
  throw new Error('succeeded');
}

export function sha256Hex(bytes) {
  return crypto.subtle.digest('SHA-256', bytes).then((digest) =>
    Buffer.from(digest).toString('hex'));
}
