// Keeps the policy as managed storage has it, now and after each edit.
//
// A browser may show managed storage empty for some seconds after its start,
// longer on a busy machine. What was in force last time therefore holds until
// the browser has had time to say otherwise; and only a change that it tells
// of, never an empty answer, makes this forget the last policy.
import {readPolicy} from './policy.js';

export const GRACE_MS = 120_000;

const isEmpty = (managed) => Object.keys(managed).length === 0;

export class PolicyStore {
  // `storage` is the browser's; `onChange(policy, {sessions})` is told of each
  // new one, and whether sessions of the one before are none of this one's.
  constructor({storage, onChange = () => {}, graceMs = GRACE_MS}) {
    Object.assign(this, {storage, onChange, graceMs});
    this.managed = {};
    this.lastRules = [];
    this.policy = readPolicy({});
    this.edited = false;
  }

  // At once, before anything is awaited: the events that wake a worker must
  // have their listeners by then. `ready` is when all that the browser has told
  // so far is in force; it never rejects.
  start() {
    this.storage.onChanged.addListener((changes, area) => {
      if (area !== 'managed') return;
      this.edited = true;
      this.ready = this.ready.then(() => this.reload());
    });
    this.ready = this.load();
    return this.ready;
  }

  async load() {
    const {lastPolicy = {}, lastRules = []} = await this.readKept();
    this.lastRules = lastRules;
    const managed = await this.readManaged();
    if (!isEmpty(managed)) return this.adopt(managed);
    this.use(lastPolicy);
    setTimeout(() => {
      if (!this.edited) this.ready = this.ready.then(() => this.endGrace());
    }, this.graceMs);
    return undefined;
  }

  // What cannot be read is not gone.
  async reload() {
    const managed =
        await this.storage.managed.get(null).catch(() => undefined);
    if (managed !== undefined) await this.adopt(managed);
  }

  async endGrace() {
    const managed = await this.readManaged();
    if (isEmpty(managed)) {
      this.use(managed);
    } else {
      await this.adopt(managed);
    }
  }

  async readManaged() {
    try {
      return await this.storage.managed.get(null) ?? {};
    } catch {
      return {};  // Firefox says so when there is no policy at all.
    }
  }

  // The browser's word is the managed one: without our copy that still holds.
  readKept() {
    return this.storage.local.get(['lastPolicy', 'lastRules'])
        .catch(() => ({}));
  }

  async adopt(managed) {
    this.use(managed);
    if (this.policy.rulesWhole) this.lastRules = managed.rules ?? [];
    await this.storage.local.set(
        {lastPolicy: managed, lastRules: this.lastRules}).catch(() => {});
  }

  use(managed) {
    const before = this.managed;
    this.managed = managed;
    this.policy = readPolicy(managed, this.lastRules);
    const sessions = !isEmpty(before) && (isEmpty(managed) ||
        JSON.stringify(before.session) !== JSON.stringify(managed.session));
    this.onChange(this.policy, {sessions});
  }
}
