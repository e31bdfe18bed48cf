// The agent's sessions that this profile uses: one for each key, opened when it
// is first needed. The key holds whatever must not share a credential: profile,
// private window, container, conversation.

export const MAX_SESSIONS = 64;

export class Sessions {
  constructor({agent, describe}) {
    this.agent = agent;
    this.describe = describe;  // key -> what openSession takes
    this.byKey = new Map();  // key -> {opening, id, openedAt, actions}
  }

  // A promise of the session for `key`.
  get(key) {
    let entry = this.byKey.get(key);
    if (entry === undefined) {
      entry = {key, actions: 0};
      entry.opening = this.open(entry);
      this.makeRoom();
    } else {
      this.byKey.delete(key);  // Used last, so put last.
    }
    this.byKey.set(key, entry);
    return entry.opening;
  }

  async open(entry) {
    try {
      const session = await this.agent.openSession(
          await this.describe(entry.key));
      entry.id = session.sessionId;
      entry.openedAt = Date.now();
      entry.info = session;
      if (this.byKey.get(entry.key) !== entry) this.close(entry);
      return entry;
    } catch (error) {
      this.forget(entry);
      throw error;
    }
  }

  forget(entry) {
    if (this.byKey.get(entry.key) === entry) this.byKey.delete(entry.key);
  }

  // The agent says that it is over.
  ended(sessionId) {
    for (const entry of this.byKey.values()) {
      if (entry.id === sessionId) this.forget(entry);
    }
  }

  // The agent is another one: it knows none of them.
  forgetAll() {
    this.byKey.clear();
  }

  endAll() {
    const entries = [...this.byKey.values()];
    this.byKey.clear();
    for (const entry of entries) this.close(entry);
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
