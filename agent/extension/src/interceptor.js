// Each request of the browser: is it protected, and if so, its proof.
//
// Everything that goes wrong on a protected address stops the request and says
// why; a listener that threw or rejected would let it go without a proof. In
// mode "observe" nothing is stopped and what would have been is recorded.
import {bodyDigest} from './body.js';
import {Failure} from './failure.js';
import {boundaryOf, ruleFor} from './policy.js';
import {withProof} from './prover.js';

export const LIMIT_MS = 4000;
const MAX_BODIES = 4096;
const STOP = {cancel: true};

export class Interceptor {
  // `tabUrl(id)` promises a tab's address; `approvals.sinceAsked(key)` says
  // for how long the user has not been asked, in ms.
  constructor({policies, prover, pool, sessions, notices, history, approvals,
    tabUrl}) {
    Object.assign(this, {policies, prover, pool, sessions, notices, history,
      approvals, tabUrl});
    this.bodies = new Map();  // requestId -> promise of a digest
    this.waits = true;  // Until the probe says otherwise.
  }

  get policy() {
    return this.policies.policy;
  }

  // webRequest.onBeforeRequest; answers nothing.
  onBeforeRequest(details) {
    const url = new URL(details.url);
    if (this.policy.session.endsOn(url)) this.sessions.endAll();
    // Until there is a policy, anything may turn out to be protected.
    if (this.policy.configured &&
        ruleFor(this.policy, url, details.method) === undefined) {
      return;
    }
    const digest = bodyDigest(details).catch(() => undefined);
    this.bodies.set(details.requestId, digest);
    if (this.bodies.size > MAX_BODIES) {
      this.bodies.delete(this.bodies.keys().next().value);
    }
  }

  // webRequest.onBeforeSendHeaders: nothing, an answer or a promise of one.
  onBeforeSendHeaders(details) {
    // Where no listener can wait, the policy known so far has to do.
    if (this.loaded || !this.waits) return this.answer(details);
    return this.policies.ready.then(() => {
      this.loaded = true;
      return this.answer(details);
    }, () => this.answer(details));
  }

  answer(details) {
    const body = this.bodies.get(details.requestId);
    this.bodies.delete(details.requestId);
    let rule;
    try {
      const url = new URL(details.url);
      rule = ruleFor(this.policy, url, details.method);
      if (rule === undefined) return undefined;
      return this.waits ? this.prove(details, rule, url, body) :
        this.proveNow(details, rule, url);
    } catch (error) {
      return this.refuse(details, rule, error);
    }
  }

  async prove(details, rule, url, body) {
    try {
      return this.pass(details, await this.limited(details, rule, url, body));
    } catch (error) {
      return this.refuse(details, rule, error);
    }
  }

  async limited(details, rule, url, body) {
    const request = await this.describe(details, rule, url, await body);
    const work = this.prover.headersFor(request);
    let timer;
    const limit = new Promise((_, reject) => {
      const check = () => {
        // A person takes as long as a person takes; that has its own limit.
        const since = this.approvals.sinceAsked(request.key);
        if (since < LIMIT_MS) {
          timer = setTimeout(check, LIMIT_MS - since);
        } else {
          reject(new Failure('timeout'));
        }
      };
      timer = setTimeout(check, LIMIT_MS);
    });
    try {
      return await Promise.race([work, limit]);
    } finally {
      clearTimeout(timer);
      work.catch(() => {});
    }
  }

  async describe(details, rule, url, sha256) {
    // Asking for a tab takes longer than all else here: only if it matters.
    const {boundaries} = this.policy.session;
    const top = boundaries.length === 0 || details.type === 'main_frame' ?
      undefined : await this.tabUrl(details.tabId).catch(() => undefined);
    return {
      rule, url, sha256, method: details.method,
      requestId: details.requestId, type: details.type,
      purpose: this.policy.session.purpose,
      key: this.keyOf(details, [url, ...(top ? [new URL(top)] : [])]),
      initiator: details.initiator ?? originOfDocument(details.originUrl),
      who: details.initiator ?? originOfDocument(details.originUrl) ??
          'this browser',
    };
  }

  keyOf({incognito, cookieStoreId = ''}, urls) {
    return [incognito ? 'private' : 'profile', cookieStoreId,
      boundaryOf(this.policy, urls)].filter(Boolean).join(' ');
  }

  // Where no listener can wait: a proof at hand, or none.
  proveNow(details, rule, url) {
    const request = {
      rule, url, method: details.method, sha256: undefined,
      purpose: this.policy.session.purpose, key: this.keyOf(details, [url]),
      initiator: details.initiator, who: details.initiator ?? 'this browser',
    };
    const headers = this.pool.take(request, (error) => {
      if (error === undefined) this.notices.ready(details);
    });
    if (headers === undefined) throw new Failure('not_ready');
    return this.pass(details, headers);
  }

  pass(details, headers) {
    return {requestHeaders: withProof(
        details.requestHeaders, headers, [this.policy.header])};
  }

  refuse(details, rule, error) {
    const failure = Failure.of(error);
    const {observe} = this.policy;
    if (observe || !failure.inHistory) {
      this.history.end(this.history.begin({name: `http:${details.method}`,
        resource: details.url}), observe ? 'observed' : 'failed', failure);
    }
    if (observe) return undefined;
    try {
      this.notices.stopped(details, failure, rule?.texts);
    } catch {
      // A notice that cannot be shown must not let the request go.
    }
    return STOP;
  }
}

function originOfDocument(url) {
  return url && URL.canParse(url) ? new URL(url).origin : undefined;
}
