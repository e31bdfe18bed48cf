// One long-lived native messaging port, and requests on it.
//
// Every request has an id and a time limit, since a browser drops what it
// cannot read without a word. A message without an id is about the whole
// connection: all that waits for an answer has failed with it. The port is
// opened when it is needed and again after it broke; what breaks at once is not
// tried again for a moment.
import {Failure} from './failure.js';

export const REQUEST_TIMEOUT_MS = 2000;
export const MAX_IN_FLIGHT = 224;  // The agent takes 256 of one process.
export const MAX_QUEUED = 2048;
const COOL_DOWN_MS = 500;

function reasonFor(text = '') {
  if (/not found|No such native application/i.test(text)) return 'host_missing';
  if (/forbidden|not allowed|disabled/i.test(text)) return 'host_forbidden';
  return 'host_gone';
}

export class AgentPort {
  // `connect()` opens a port; `lastError()` says why one closed.
  constructor({connect, lastError = () => undefined, onEvent = () => {},
    onReset = () => {}, now = Date.now}) {
    Object.assign(this, {connect, lastError, onEvent, onReset, now});
    this.port = undefined;
    this.nextId = 1;
    this.waiting = new Map();  // id -> {resolve, reject, timer}
    this.queue = [];
    this.watching = false;
    this.notBefore = 0;
    this.coolingFor = undefined;
  }

  // The answer's result, e.g. {status: {…}} for request('status', {}).
  request(verb, fields = {}, timeoutMs = REQUEST_TIMEOUT_MS) {
    return new Promise((resolve, reject) => {
      const entry = {verb, fields, resolve, reject};
      // From here, not from when it is sent: whoever asks waits that long.
      entry.timer = setTimeout(() => {
        this.forget(entry);
        reject(new Failure('timeout', {code: 'service_unreachable'}));
        this.pump();
      }, timeoutMs);
      if (this.queue.length >= MAX_QUEUED) {
        clearTimeout(entry.timer);
        reject(new Failure('busy'));
        return;
      }
      this.queue.push(entry);
      this.pump();
    });
  }

  pump() {
    while (this.queue.length > 0 && this.waiting.size < MAX_IN_FLIGHT) {
      try {
        this.open();
        if (!this.watching) {
          this.watching = true;
          this.port.postMessage({request_id: this.newId(), watch: {}});
        }
        const entry = this.queue.shift();
        entry.id = this.newId();
        this.waiting.set(entry.id, entry);
        this.port.postMessage(
            {request_id: entry.id, [entry.verb]: entry.fields});
      } catch (error) {
        this.drop(Failure.of(error));
        return;
      }
    }
  }

  newId() {
    return String(this.nextId++);
  }

  open() {
    if (this.port !== undefined) return;
    if (this.now() < this.notBefore) throw this.coolingFor;
    const port = this.connect();
    this.port = port;
    this.heard = false;
    port.onMessage.addListener((message) => {
      if (this.port === port) this.take(message);
    });
    port.onDisconnect.addListener(() => {
      if (this.port === port) this.lose(this.lastError(port));
    });
  }

  take(message) {
    this.heard = true;
    if (message?.event !== undefined) {
      this.onEvent(message.event);
      return;
    }
    const entry = this.waiting.get(String(message?.requestId ?? ''));
    if (entry !== undefined) {
      this.forget(entry);
      if (message.error !== undefined) {
        entry.reject(Failure.fromAgent(message.error));
      } else {
        entry.resolve(message);
      }
    } else if (message?.requestId === undefined &&
               message?.error !== undefined) {
      this.reset(Failure.fromAgent(message.error));
    }
    this.pump();
  }

  lose(text) {
    this.port = undefined;
    const failure = new Failure(reasonFor(text), {code: 'internal'});
    if (!this.heard) {
      this.notBefore = this.now() + COOL_DOWN_MS;
      this.coolingFor = failure;
    }
    this.reset(failure);
  }

  // It could not be opened, or takes nothing: nothing of it is used again.
  drop(failure) {
    const {port} = this;
    this.port = undefined;
    if (port === undefined) {
      this.failAll(failure);
      return;
    }
    this.reset(failure);
    try {
      port.disconnect();
    } catch {
      // It was gone before us.
    }
  }

  // The agent at the other end is another one from now on, or none.
  reset(failure) {
    this.watching = false;
    this.failAll(failure);
    this.onReset(failure);
  }

  failAll(failure) {
    const all = [...this.waiting.values(), ...this.queue];
    for (const entry of all) {
      this.forget(entry);
      entry.reject(failure);
    }
  }

  forget(entry) {
    clearTimeout(entry.timer);
    if (entry.id !== undefined) this.waiting.delete(entry.id);
    const queued = this.queue.indexOf(entry);
    if (queued >= 0) this.queue.splice(queued, 1);
  }

  close() {
    this.drop(new Failure('host_gone', {code: 'internal'}));
  }
}
