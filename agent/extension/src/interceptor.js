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
  // `tab(id)` promises a tab, or nothing; `limit` says how often each initiator
  // may ask, `endLimit` how often one may end another origin's sessions.
  // `seesPrivate`: requests of private windows come here too, perhaps.
  constructor({policies, prover, pool, sessions, notices, history, limit,
    endLimit, tab, seesPrivate = true}) {
    Object.assign(this, {policies, prover, pool, sessions, notices, history,
      limit, endLimit, tab, seesPrivate});
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
  // Another site's page may end them too, as single logout does, but not all the
  // time.
  endIfNamed(details) {
    const {requestId} = details;
    const url = new URL(details.url);
    if (!this.policy.session.endsOn(url)) return;
    const initiator = initiatorOf(details);
    if (initiator !== undefined && initiator !== url.origin &&
        !this.endLimit.take(initiator)) {
      return;
    }
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
    if (this.loaded) return this.answer(details);
    if (this.waits) return this.answerOnceLoaded(details);
    // No listener can wait, and what is protected is not known.
    return this.refuse(details, undefined, new Failure('not_ready'));
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
    const navigates = details.type === 'main_frame';
    const hidden = details.incognito === undefined && this.seesPrivate;
    const tab = hidden ||
        (!navigates && this.policy.session.boundaries.length > 0) ?
      await this.tab(details.tabId).catch(() => undefined) : undefined;
    request.key = this.keyOf(details, request, tab, navigates ?
      details.url : tab?.url);
    if (!deadline.over && !this.sessions.has(request.key)) {
      deadline.restart(OPENING_MS);
    }
    return this.prover.headersFor(request);
  }

  // Chromium's webRequest does not say whether a window is private; its tab
  // does.
  keyOf(details, {initiator, url}, tab, top) {
    const {cookieStoreId} = details;
    const incognito = details.incognito ??
        (this.seesPrivate ? tab?.incognito : false);
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
