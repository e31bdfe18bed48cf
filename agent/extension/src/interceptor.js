// Each request of the browser: is it protected, and if so, its proof.
//
// Everything that goes wrong on a protected address stops the request and says
// why; a listener that threw or rejected would let it go without a proof. In
// mode "observe" nothing is stopped and what would have been is recorded.
import {bodyDigest, emptyBody} from './body.js';
import {Deadline} from './deadline.js';
import {Failure} from './failure.js';
import {actionFor, withProof} from './prover.js';
import {ruleFor} from './rules.js';
import {sessionKey} from './session_key.js';

export const LIMIT_MS = 2000;
// The agent opens a session with the service, and only then decides.
export const OPENING_MS = 2 * LIMIT_MS;
const MAX_BODIES = 4096;
const STOP = {cancel: true};

export class Interceptor {
  // `tabUrl(id)` promises a tab's address; `limit` says how often each
  // initiator may ask.
  constructor({policies, prover, pool, sessions, notices, history, limit,
    tabUrl}) {
    Object.assign(this, {policies, prover, pool, sessions, notices, history,
      limit, tabUrl});
    this.bodies = new Map();  // requestId -> promise of a digest
    this.ending = new Set();  // requestIds that end the sessions
    this.waits = true;  // Until the probe says otherwise.
  }

  get policy() {
    return this.policies.policy;
  }

  // webRequest.onBeforeRequest; answers nothing.
  onBeforeRequest(details) {
    if (this.loaded) {
      this.endIfNamed(details);
    } else {
      void this.policies.ready.then(() => this.endIfNamed(details));
    }
    // Until there is a policy, anything may turn out to be protected.
    if (this.policy.configured && ruleFor(
        this.policy, new URL(details.url), details.method) === undefined) {
      return;
    }
    const digest = bodyDigest(details).catch(() => undefined);
    this.bodies.set(details.requestId, digest);
    if (this.bodies.size > MAX_BODIES) {
      this.bodies.delete(this.bodies.keys().next().value);
    }
  }

  // A logout ends the sessions before it and, since it may need one itself,
  // once more when it is done: whoever comes next shares none.
  endIfNamed({requestId, url}) {
    if (!this.policy.session.endsOn(new URL(url))) return;
    this.ending.add(requestId);
    void this.sessions.endAll();
  }

  // webRequest.onBeforeRedirect, onCompleted and onErrorOccurred.
  onDone({requestId}) {
    this.bodies.delete(requestId);
    if (this.ending.delete(requestId)) void this.sessions.endAll();
  }

  // webRequest.onBeforeSendHeaders: nothing, an answer or a promise of one.
  onBeforeSendHeaders(details) {
    // Where no listener can wait, the policy known so far has to do.
    if (this.loaded || !this.waits) return this.answer(details);
    return this.answerOnceLoaded(details);
  }

  async answerOnceLoaded(details) {
    const deadline = new Deadline(LIMIT_MS);
    try {
      await deadline.within(this.policies.ready);
      this.loaded = true;
    } catch {
      // What is protected is not known, and this may be.
      return this.refuse(details, undefined, new Failure('timeout',
          {message: 'The extension’s policy could not be read in time.'}));
    } finally {
      deadline.stop();
    }
    return this.answer(details);
  }

  answer(details) {
    const body = this.bodies.get(details.requestId);
    this.bodies.delete(details.requestId);
    let rule;
    try {
      const url = new URL(details.url);
      rule = ruleFor(this.policy, url, details.method);
      if (rule === undefined) return undefined;
      const initiator = initiatorOf(details);
      mayStart(rule, details, initiator);
      if (!this.limit.take(initiator ?? '')) throw new Failure('rate_limited');
      const request = {
        rule, url, method: details.method, type: details.type, initiator,
        requestId: details.requestId,
        sha256: emptyBody(details), purpose: this.policy.session.purpose,
        who: initiator ?? 'this browser', observe: this.policy.observe,
      };
      return this.waits ? this.prove(details, request, body) :
        this.proveNow(details, request);
    } catch (error) {
      return this.refuse(details, rule, error);
    }
  }

  async prove(details, request, body) {
    const deadline = new Deadline(LIMIT_MS);
    request.deadline = deadline;
    try {
      return this.pass(details,
          await deadline.within(this.headersFor(details, request, body)));
    } catch (error) {
      return this.refuse(details, request.rule, error);
    } finally {
      deadline.stop();
    }
  }

  async headersFor(details, request, body) {
    const {deadline} = request;
    request.sha256 ??= await body;
    // Asking for a tab takes longer than all else here: only if it matters.
    const top = details.type === 'main_frame' ? details.url :
      this.policy.session.boundaries.length > 0 &&
        await this.tabUrl(details.tabId).catch(() => undefined);
    request.key = this.keyOf(details, request, top);
    if (!deadline.over && !this.sessions.has(request.key)) {
      deadline.restart(OPENING_MS);
    }
    return this.prover.headersFor(request);
  }

  keyOf({incognito, cookieStoreId}, {initiator, url}, top) {
    return sessionKey(this.policy, {incognito, cookieStoreId, initiator},
        [url, ...(top ? [new URL(top)] : [])]);
  }

  // Where no listener can wait: a proof at hand, or none.
  proveNow(details, request) {
    request.key = this.keyOf(details, request);
    actionFor(request);  // Says what can never have one.
    const {headers, failure} = this.pool.take(request, (error) => {
      if (error === undefined) this.notices.ready(details);
    });
    if (headers === undefined) {
      throw failure ? Failure.fromAgent(failure) : new Failure('not_ready');
    }
    return this.pass(details, headers);
  }

  pass(details, headers) {
    return {requestHeaders: withProof(
        details.requestHeaders, headers, [this.policy.header])};
  }

  refuse(details, rule, error) {
    const failure = Failure.of(error);
    const {observe} = this.policy;
    if (!failure.inHistory) {
      this.history.end(this.history.begin({name: `http:${details.method}`,
        resource: details.url}), observe ? 'observed' : 'failed', failure);
    }
    if (observe) return undefined;
    try {
      this.notices.stopped(details, failure, rule?.texts ?? this.policy.texts);
    } catch {
      // A notice that cannot be shown must not let the request go.
    }
    return STOP;
  }
}

// The origin whose page asks; undefined where the user does, or the browser.
function initiatorOf({initiator, originUrl}) {
  return initiator ??
      (originUrl && URL.canParse(originUrl) ? new URL(originUrl).origin :
        undefined);
}

// A rule may name the origins whose pages may make such requests. What the user
// navigates to by hand has none.
function mayStart({initiators}, {type}, initiator) {
  if (initiators === undefined || initiators.includes(initiator)) return;
  if (initiator === undefined && type === 'main_frame') return;
  throw new Failure('origin_not_allowed', {
    message: 'This page may not send requests to this application.'});
}
