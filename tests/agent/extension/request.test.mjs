// From a request to its proof.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {FakeEvent, failureOf, settled, sha256Hex} from './support.mjs';
import {bodyDigest} from '../../../agent/extension/src/body.js';
import {Failure} from '../../../agent/extension/src/failure.js';
import {History} from '../../../agent/extension/src/history.js';
import {Interceptor} from '../../../agent/extension/src/interceptor.js';
import {Parked} from '../../../agent/extension/src/parked.js';
import {ProofPool} from '../../../agent/extension/src/pool.js';
import {readPolicy} from '../../../agent/extension/src/policy.js';
import {requestsWait} from '../../../agent/extension/src/probe.js';
import {Prover, withProof} from '../../../agent/extension/src/prover.js';
import {resourceOf} from '../../../agent/extension/src/resource.js';

const resource = (url, options) => resourceOf(new URL(url), options);

test('a resource has one spelling', () => {
  for (const [url, normal] of [
    ['https://A.example:443', 'https://a.example/'],
    ['wss://a.example/s', 'https://a.example/s'],
    ['http://a.example:8080/%7euser/%2f%c3%a9', 'http://a.example:8080/~user/%2F%C3%A9'],
    ['https://a.example/a/../b/./c', 'https://a.example/b/c'],
    ['https://a.example/[x]|y^z', 'https://a.example/%5Bx%5D%7Cy%5Ez'],
    ['https://a.example/100%', 'https://a.example/100%25'],
    ['https://a.example/?q={a}|%zz#frag', 'https://a.example/?q=%7Ba%7D%7C%25zz'],
    ['https://a.example/ü?ü', 'https://a.example/%C3%BC?%C3%BC'],
  ]) {
    assert.equal(resource(url), normal);
  }
  assert.equal(resource('https://a.example/x?secret=1', {withQuery: false}),
      'https://a.example/x');
});

test('an address that is too long for a proof is refused', () => {
  assert.equal(resource(`https://a.example/${'x'.repeat(1006)}`).length, 1024);
  assert.throws(() => resource(`https://a.example/${'x'.repeat(1007)}`),
      {reason: 'address_too_long'});
});

const hex = (bytes) => bytes && Buffer.from(bytes).toString('hex');
const raw = (...texts) => ({raw: texts.map((text) =>
  ({bytes: new TextEncoder().encode(text).buffer}))});

test('a body that is shown is hashed as it is sent', async () => {
  const digest = await bodyDigest({method: 'POST', requestBody: raw('ab', 'c')});
  assert.equal(hex(digest), await sha256Hex(new TextEncoder().encode('abc')));
});

test('a request that cannot have a body binds an empty one', async () => {
  const empty = await sha256Hex(new Uint8Array());
  for (const method of ['GET', 'HEAD']) {
    assert.equal(hex(await bodyDigest({method})), empty);
  }
});

test('a body that is not shown whole is unbound', async () => {
  for (const requestBody of [undefined, {}, {raw: []}, {formData: {a: ['b']}},
    {error: 'Unknown error.'}, {raw: [{file: '/tmp/x'}]},
    {...raw('a'), error: 'cut'}, {raw: [...raw('a').raw, {file: 'x'}]}]) {
    assert.equal(await bodyDigest({method: 'POST', requestBody}), undefined);
  }
});

test('a page’s own headers of these names are taken out', () => {
  const headers = withProof(
      [{name: 'sec-device-proof', value: 'forged'}, {name: 'Accept', value: '*'}],
      [{name: 'Sec-Device-Proof', value: 'ours'}], ['Sec-Device-Proof']);
  assert.deepEqual(headers, [{name: 'Accept', value: '*'},
    {name: 'Sec-Device-Proof', value: 'ours'}]);
});

const PERMIT = {decision: 'permit', receipt: 'a.b.c', grant: 'g.g.g'};
const REQUEST = {key: 'profile', method: 'POST', url: new URL('https://a.example/x?q=1'),
  sha256: undefined, purpose: 'fallback', initiator: 'https://a.example', who: 'w'};

function proverOf({answer = PERMIT, parked = new Parked()} = {}) {
  const asked = [];
  const prover = new Prover({
    agent: {signDpop: async (session, what) => {
      asked.push({session, ...what});
      return 'p.p.p';
    }},
    authorizer: {permit: async (action) => {
      asked.push(action);
      return {answer, session: {id: 's'}};
    }},
    parked, headerName: () => 'Sec-Device-Proof',
  });
  return {prover, asked};
}

const ruleOf = (more = {}) =>
  readPolicy({rules: [{match: ['https://a.example/*'], ...more}]}).rules[0];

test('a proof names method, address, purpose and audience', async () => {
  const {prover, asked} = proverOf();
  const headers = await prover.headersFor(
      {...REQUEST, rule: ruleOf({purpose: 'ask'})});
  assert.deepEqual(headers, [{name: 'Sec-Device-Proof', value: 'a.b.c'}]);
  assert.equal(asked[0].name, 'http:POST');
  assert.equal(asked[0].resource, 'https://a.example/x?q=1');
  assert.equal(asked[0].purpose, 'ask');
  assert.equal(asked[0].audience, 'https://a.example');
});

test('a rule may leave the query out and name an audience', async () => {
  const {prover, asked} = proverOf();
  await prover.headersFor({...REQUEST, rule: ruleOf(
      {query: 'omit', audience: 'https://api.example'})});
  assert.equal(asked[0].resource, 'https://a.example/x');
  assert.equal(asked[0].purpose, 'fallback');
  assert.equal(asked[0].audience, 'https://api.example');
});

test('a rule may add the grant with a DPoP proof', async () => {
  const {prover, asked} = proverOf();
  const headers = await prover.headersFor({...REQUEST, rule: ruleOf({dpop: true})});
  assert.deepEqual(headers.slice(1), [
    {name: 'Authorization', value: 'DPoP g.g.g'}, {name: 'DPoP', value: 'p.p.p'}]);
  assert.deepEqual(asked[1], {session: 's', method: 'POST',
    uri: 'https://a.example/x', grant: 'g.g.g'});
});

test('no proof is made of what cannot be one', async () => {
  for (const [more, answer, reason] of [
    [{purpose: 7}, PERMIT, 'policy_invalid'],
    [{unbound_body: 'refuse'}, PERMIT, 'body_unbound'],
    [{}, {decision: 'permit'}, 'proof_missing'],
    [{dpop: true}, {...PERMIT, grant: ''}, 'proof_missing'],
    [{}, {...PERMIT, receipt: 'x'.repeat(4096)}, 'proof_too_long'],
  ]) {
    const {prover} = proverOf({answer});
    const failure = await failureOf(
        prover.headersFor({...REQUEST, rule: ruleOf(more)}));
    assert.equal(failure.reason, reason);
  }
});

test('what a page asked for beforehand is used once, for that alone', async () => {
  let now = 0;
  const parked = new Parked(() => now);
  const action = {name: 'http:POST', resource: 'https://a.example/x?q=1',
    sha256: undefined, audience: 'https://a.example'};
  const permit = {answer: {...PERMIT, receipt: 'parked'}, session: {id: 's'}};
  const {prover, asked} = proverOf({parked});
  const first = async (more = {}) => (await prover.headersFor(
      {...REQUEST, rule: ruleOf(), ...more}))[0].value;

  parked.put('https://a.example', action, permit);
  assert.equal(await first({initiator: 'https://b.example'}), 'a.b.c');
  assert.equal(await first({method: 'PUT'}), 'a.b.c');
  assert.equal(await first({sha256: new Uint8Array(32)}), 'a.b.c');
  assert.equal(await first(), 'parked');
  assert.equal(await first(), 'a.b.c');
  parked.put('https://a.example', action, permit);
  now = 60_000;
  assert.equal(await first(), 'a.b.c');
  assert.equal(asked.length, 5);
});

// -- the listener --------------------------------------------------------------

const DETAILS = {requestId: '1', method: 'POST', url: 'https://a.example/x',
  type: 'xmlhttprequest', tabId: 1, initiator: 'https://a.example',
  requestHeaders: []};

function interceptorOf({managed = {rules: [{match: ['https://a.example/*']}]},
  headersFor = async () => [{name: 'Sec-Device-Proof', value: 'p'}],
  stopped = () => {}} = {}) {
  const requests = [];
  const notices = [];
  const history = new History();
  const prove = (request) => {
    requests.push(request);
    return headersFor(request);
  };
  const interceptor = new Interceptor({
    policies: {policy: readPolicy(managed), ready: Promise.resolve()},
    prover: {headersFor: prove}, pool: new ProofPool({fetchProof: prove}),
    sessions: {endAll: () => requests.push('end')},
    notices: {stopped: (details, failure) => {
      notices.push(failure);
      stopped();
    }, ready: (details) => notices.push(details)},
    history, approvals: {sinceAsked: () => Infinity},
    tabUrl: async () => 'https://a.example/c/1',
  });
  interceptor.loaded = true;
  return {interceptor, requests, notices, history};
}

test('a protected request goes on with its proof', async () => {
  const {interceptor, requests} = interceptorOf();
  interceptor.onBeforeRequest({...DETAILS, requestBody: raw('abc')});
  const answer = await interceptor.onBeforeSendHeaders(DETAILS);
  assert.deepEqual(answer,
      {requestHeaders: [{name: 'Sec-Device-Proof', value: 'p'}]});
  assert.equal(hex(requests[0].sha256),
      await sha256Hex(new TextEncoder().encode('abc')));
});

test('a request that is not protected is not touched', () => {
  const {interceptor, requests} = interceptorOf();
  const other = {...DETAILS, url: 'https://b.example/x'};
  interceptor.onBeforeRequest(other);
  assert.equal(interceptor.onBeforeSendHeaders(other), undefined);
  assert.equal(requests.length, 0);
  assert.equal(interceptor.bodies.size, 0);
});

test('whatever goes wrong stops a protected request', async () => {
  for (const error of [new Failure('timeout'), new TypeError('bug'), 'text',
    undefined]) {
    const {interceptor, notices, history} = interceptorOf(
        {headersFor: () => Promise.reject(error)});
    assert.deepEqual(await interceptor.onBeforeSendHeaders(DETAILS),
        {cancel: true});
    assert.equal(notices.length, 1);
    assert.equal(history.list()[0].outcome, 'failed');
    assert.equal(history.list()[0].reason, notices[0].reason);
  }
  // What asked the agent has recorded it already.
  const known = Object.assign(new Failure('timeout'), {inHistory: true});
  const asked = interceptorOf({headersFor: () => Promise.reject(known)});
  await asked.interceptor.onBeforeSendHeaders(DETAILS);
  assert.equal(asked.history.list().length, 0);
  const {interceptor} = interceptorOf({headersFor: () => {
    throw new Error('at once');
  }});
  assert.deepEqual(await interceptor.onBeforeSendHeaders(DETAILS), {cancel: true});
});

test('a notice that cannot be shown lets nothing go', async () => {
  const {interceptor} = interceptorOf({
    headersFor: () => Promise.reject(new Failure('timeout')),
    stopped: () => {
      throw new Error('no window');
    }});
  assert.deepEqual(await interceptor.onBeforeSendHeaders(DETAILS), {cancel: true});
});

test('a proof that never comes stops the request in time', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout']});
  const {interceptor, notices} = interceptorOf(
      {headersFor: () => new Promise(() => {})});
  const answer = interceptor.onBeforeSendHeaders(DETAILS);
  for (let i = 0; i < 10; ++i) await Promise.resolve();
  t.mock.timers.tick(4000);
  assert.deepEqual(await answer, {cancel: true});
  assert.equal(notices[0].reason, 'timeout');
});

test('observe lets go and records', async () => {
  const {interceptor, history, notices} = interceptorOf({
    managed: {mode: 'observe', rules: [{match: ['https://a.example/*']}]},
    headersFor: () => Promise.reject(new Failure('timeout'))});
  assert.equal(await interceptor.onBeforeSendHeaders(
      {...DETAILS, url: 'https://a.example/x?secret=1'}), undefined);
  assert.equal(notices.length, 0);
  assert.equal(history.list()[0].outcome, 'observed');
  assert.ok(!JSON.stringify(history.list()).includes('secret'));
});

test('a request that comes before the policy waits for it', async () => {
  const {interceptor, requests} = interceptorOf();
  interceptor.loaded = false;
  const {policy} = interceptor.policies;
  let arrive;
  interceptor.policies = {policy: readPolicy({}),
    ready: new Promise((resolve) => {
      arrive = resolve;
    })};
  interceptor.onBeforeRequest({...DETAILS, requestBody: raw('abc')});
  const answer = interceptor.onBeforeSendHeaders(DETAILS);
  interceptor.policies.policy = policy;
  arrive();
  assert.ok((await answer).requestHeaders);
  assert.ok(requests[0].sha256);
});

test('conversation, private window and container are different keys', async () => {
  const {interceptor, requests} = interceptorOf({managed: {
    rules: [{match: ['https://a.example/*']}],
    session: {boundaries: ['https://a.example/c/{id}']}}});
  await interceptor.onBeforeSendHeaders(DETAILS);
  await interceptor.onBeforeSendHeaders({...DETAILS, incognito: true});
  await interceptor.onBeforeSendHeaders({...DETAILS, cookieStoreId: 'box-2'});
  await interceptor.onBeforeSendHeaders(
      {...DETAILS, url: 'https://a.example/c/2'});
  assert.deepEqual(requests.map((r) => r.key),
      ['profile 1', 'private 1', 'profile box-2 1', 'profile 2']);
});

test('an address that policy names ends the sessions', () => {
  const {interceptor, requests} = interceptorOf({managed: {
    session: {end_on: ['https://a.example/logout']}}});
  interceptor.onBeforeRequest({...DETAILS, url: 'https://a.example/logout'});
  assert.deepEqual(requests, ['end']);
});

test('where no listener can wait the first request is stopped, the next has ' +
     'a proof, and no proof serves twice', async () => {
  let made = 0;
  const {interceptor, notices} = interceptorOf({headersFor: async () =>
    [{name: 'Sec-Device-Proof', value: `p${++made}`}]});
  interceptor.waits = false;
  const get = {...DETAILS, method: 'GET', type: 'main_frame'};
  assert.deepEqual(interceptor.onBeforeSendHeaders(get), {cancel: true});
  assert.equal(notices[0].reason, 'not_ready');
  await settled();
  assert.equal(notices[1], get);  // Told that it can be tried again.
  const values = [];
  for (let i = 0; i < 3; ++i) {
    values.push(interceptor.onBeforeSendHeaders(get).requestHeaders[0].value);
    await settled();
  }
  assert.deepEqual(values, ['p1', 'p2', 'p3']);
});

test('where no listener can wait nothing waits for the policy either', () => {
  const {interceptor} = interceptorOf();
  interceptor.loaded = interceptor.waits = false;
  assert.deepEqual(interceptor.onBeforeSendHeaders(DETAILS), {cancel: true});
});

test('the probe believes only a request that waited', async () => {
  const webRequest = {onBeforeRequest: new FakeEvent()};
  const follow = async (url) => {
    const [answer] = webRequest.onBeforeRequest.fire({url});
    return {text: async () => (await answer).redirectUrl.split(',')[1]};
  };
  const probe = async (fetch, browser = webRequest) => {
    const found = [];
    await requestsWait({webRequest: browser, fetch, soonMs: [1, 1],
      laterMs: [1]}, (wait) => found.push(wait));
    return found;
  };
  assert.deepEqual(await probe(follow), [true]);
  const refuse = () => Promise.reject(new TypeError('refused'));
  assert.deepEqual(await probe(refuse), [false, false]);
  // The first came before the browser knew of the listener.
  const answers = [refuse, follow];
  assert.deepEqual(await probe((url) => answers.shift()(url)), [true]);
  // So did all that were to say soon what to do.
  const late = [refuse, refuse, follow];
  assert.deepEqual(await probe((url) => late.shift()(url)), [false, true]);
  assert.equal(webRequest.onBeforeRequest.listeners.size, 0);
  const forbids = {onBeforeRequest: {removeListener: () => {},
    addListener: () => {
      throw new Error('no permission');
    }}};
  assert.deepEqual(await probe(follow, forbids), [false, false]);
});

test('a pooled proof that is too old is not used', async () => {
  let now = 0;
  const pool = new ProofPool({fetchProof: async () => ['h'], now: () => now});
  const request = {key: 'k', method: 'GET', url: new URL('https://a.example/')};
  assert.equal(pool.take(request), undefined);
  await settled();
  now = 46_000;
  assert.equal(pool.take(request), undefined);
});
