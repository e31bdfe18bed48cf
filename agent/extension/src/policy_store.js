// Keeps the policy as managed storage has it, now and after each edit.
//
// A browser may show managed storage empty for some seconds after its start.
// What was in force last time therefore holds until the browser has had time to
// say otherwise; only then does an empty policy mean that there is none.
import {readPolicy} from './policy.js';

export const GRACE_MS = 10_000;

export class PolicyStore {
  // `storage` is the browser's; `onChange(policy)` is told of each new one.
  constructor({storage, onChange = () => {}, graceMs = GRACE_MS}) {
    Object.assign(this, {storage, onChange, graceMs});
    this.policy = readPolicy({});
    this.edited = false;
  }

  // At once, before anything is awaited: the events that wake a worker must
  // have their listeners by then.
  start() {
    this.storage.onChanged.addListener((changes, area) => {
      if (area !== 'managed') return;
      this.edited = true;
      void this.reload();
    });
    this.ready = this.load();
    return this.ready;
  }

  async load() {
    const managed = await this.readManaged();
    if (Object.keys(managed).length > 0) return this.adopt(managed);
    const {lastPolicy = {}} = await this.storage.local.get('lastPolicy');
    if (this.edited) return undefined;  // Meanwhile: that is newer.
    this.use(lastPolicy);
    setTimeout(() => {
      if (!this.edited) void this.reload();
    }, this.graceMs);
    return undefined;
  }

  async reload() {
    await this.adopt(await this.readManaged());
  }

  async readManaged() {
    try {
      return await this.storage.managed.get(null);
    } catch {
      return {};  // Firefox says so when there is no policy at all.
    }
  }

  async adopt(managed) {
    this.use(managed);
    await this.storage.local.set({lastPolicy: managed});
  }

  use(managed) {
    this.policy = readPolicy(managed);
    this.onChange(this.policy);
  }
}
