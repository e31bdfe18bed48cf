// The agent's sessions that this profile uses: one for each key, opened when it
// is first needed. The key holds whatever must not share a credential: profile,
// private window, container, conversation.
//
// The agent keeps sessions that this worker knows nothing of: of a worker that
// was stopped, of a host that broke, of an answer that never came. They are
// recognised by this profile's name in their task and closed before the next is
// opened, and when all are to end.
import {Failure} from './failure.js';
import {isPrivate} from './session_key.js';

export const MAX_SESSIONS = 64;
const MAX_TASK_ID = 240;
// One that may open as many as it likes keeps the TPM busy for all.
const UNLIMITED = {take: () => true};

export class Sessions {
  // `profile`: a promise of this profile's name. `describe(key)`: what else
  // openSession takes. `limit`: how often each asker may open one. `onEnd()`:
  // what was made in some session is good no longer.
  constructor({agent, profile, describe, limit = UNLIMITED,
    onEnd = () => {}}) {
    Object.assign(this, {agent, profile, describe, limit, onEnd});
    this.byKey = new Map();  // key -> {opening, id, taskId, openedAt, actions}
    this.swept = undefined;  // A promise, once that was begun
    this.asked = new Set();  // Tasks of those that the agent is opening
  }

  // A promise of the session for `key`.
  get(key, asker = '') {
    let entry = this.byKey.get(key);
    if (entry === undefined) {
      if (!this.limit.take(asker)) {
        return Promise.reject(new Failure('rate_limited'));
      }
      entry = {key, actions: 0};
      entry.opening = this.open(entry);
      this.makeRoom();
    } else {
      this.byKey.delete(key);  // Used last, so put last.
    }
    this.byKey.set(key, entry);
    return entry.opening;
  }

  has(key) {
    return this.byKey.get(key)?.id !== undefined;
  }

  // Is it open, and not over by anything that is known here?
  isOpen({key, id}) {
    return id !== undefined && this.byKey.get(key)?.id === id;
  }

  async open(entry) {
    try {
      const taskId =
          `${await this.profile} ${entry.key}`.slice(0, MAX_TASK_ID);
      await this.sweep();
      this.asked.add(taskId);
      const session = await this.agent.openSession(
          {...await this.describe(entry.key), taskId})
          .finally(() => this.asked.delete(taskId));
      Object.assign(entry, {id: session.sessionId, taskId, info: session,
        openedAt: Date.now()});
      if (this.byKey.get(entry.key) !== entry) this.close(entry);
      return entry;
    } catch (error) {
      this.forget(entry);
      this.swept = undefined;  // It may be open all the same.
      throw error;
    }
  }

  // Closes what the agent has of this profile and nobody here knows.
  sweep() {
    this.swept ??= this.closeOrphans().catch(() => {
      this.swept = undefined;  // Again with the next; that one says why.
    });
    return this.swept;
  }

  async closeOrphans() {
    const mine = `${await this.profile} `;
    const {sessions = []} =
        await this.agent.ask('list_sessions', 'listSessions', {});
    const known = new Set([...this.byKey.values()].map(({id}) => id));
    for (const {sessionId, taskId = '', state} of sessions) {
      if (taskId.startsWith(mine) && state !== 'ended' &&
          !known.has(sessionId) && !this.asked.has(taskId)) {
        this.close({id: sessionId});
      }
    }
  }

  forget(entry) {
    if (this.byKey.get(entry.key) === entry) this.byKey.delete(entry.key);
  }

  // The agent says that it is over.
  ended(sessionId) {
    for (const entry of this.byKey.values()) {
      if (sessionId !== undefined && entry.id === sessionId) {
        this.forget(entry);
        this.onEnd();
      }
    }
  }

  // The agent, or the way to it, is another one: it may know all of them or
  // none.
  forgetAll() {
    this.byKey.clear();
    this.swept = undefined;
    this.onEnd();
  }

  endAll() {
    this.endThose(() => true);
    this.swept = undefined;  // One that would not close then may do so now.
    return this.sweep();
  }

  // Windows close all the time: what is not private keeps its permits.
  endPrivate() {
    if ([...this.byKey.keys()].some(isPrivate)) this.endThose(isPrivate);
  }

  endThose(which) {
    for (const entry of [...this.byKey.values()]) {
      if (!which(entry.key)) continue;
      this.forget(entry);
      this.close(entry);
    }
    this.onEnd();
  }

  close(entry) {
    if (entry.id === undefined) return;
    // Gone already is as good.
    this.agent.closeSession(entry.id).catch(() => {});
  }

  makeRoom() {
    if (this.byKey.size < MAX_SESSIONS) return;
    const [oldest] = this.byKey.values();
    this.byKey.delete(oldest.key);
    this.close(oldest);
  }

  list() {
    return [...this.byKey.values()].filter((entry) => entry.id !== undefined);
  }
}
