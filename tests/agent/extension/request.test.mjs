// From a request to its proof.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {FakeEvent, failureOf, settled, sha256Hex} from './support.mjs';
import {bodyDigest, emptyBody} from '../../../agent/extension/src/body.js';
import {Deadline} from '../../../agent/extension/src/deadline.js';
import {Failure} from '../../../agent/extension/src/failure.js';
import {History} from '../../../agent/extension/src/history.js';
import {Interceptor} from '../../../agent/extension/src/interceptor.js';
import {Parked} from '../../../agent/extension/src/parked.js';
import {ProofPool} from '../../../agent/extension/src/pool.js';
import {readPolicy} from '../../../agent/extension/src/policy.js';
import {requestsWait} from '../../../agent/extension/src/probe.js';
import {RateLimit} from '../../../agent/extension/src/rate_limit.js';
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

test('a preflight binds an empty body, another OPTIONS does not', () => {
  const asks = [{name: 'Access-Control-Request-Method', value: 'POST'}];
  assert.equal(emptyBody({method: 'OPTIONS', requestHeaders: asks}).length, 32);
  for (const other of [{method: 'OPTIONS'}, {method: 'OPTIONS', requestHeaders:
      [{name: 'Accept', value: '*'}]}, {method: 'POST', requestHeaders: asks}]) {
    assert.equal(emptyBody(other), undefined);
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
  const parked = new Parked({now: () => now});
  const action = {key: 'profile', name: 'http:POST', purpose: 'fallback',
    resource: 'https://a.example/x?q=1', sha256: undefined,
    audience: 'https://a.example'};
  const permit = {answer: {...PERMIT, receipt: 'parked'}, session: {id: 's'}};
  const {prover, asked} = proverOf({parked});
  const first = async (more = {}) => (await prover.headersFor(
      {...REQUEST, rule: ruleOf(), ...more}))[0].value;

  parked.put('https://a.example', action, permit);
  assert.equal(await first({initiator: 'https://b.example'}), 'a.b.c');
  assert.equal(await first({method: 'PUT'}), 'a.b.c');
  assert.equal(await first({sha256: new Uint8Array(32)}), 'a.b.c');
  assert.equal(await first({key: 'private'}), 'a.b.c');
  assert.equal(await first({rule: ruleOf({purpose: 'pay'})}), 'a.b.c');
  assert.equal(await first({rule: ruleOf({audience: 'urn:b'})}), 'a.b.c');
  assert.equal(await first(), 'parked');
  assert.equal(await first(), 'a.b.c');
  // Two that are alike are two.
  parked.put('https://a.example', action, permit);
  parked.put('https://a.example', action, permit);
  assert.deepEqual([await first(), await first(), await first()],
      ['parked', 'parked', 'a.b.c']);
  parked.put('https://a.example', action, permit);
  now = 60_000;
  assert.equal(await first(), 'a.b.c');
  assert.equal(asked.length, 9);
});

test('a permit of a session that is over is not used', () => {
  const open = new Set(['s']);
  const parked = new Parked({isOpen: ({id}) => open.has(id)});
  const action = {key: 'k', name: 'http:GET', resource: 'r', purpose: 'p'};
  parked.put('o', action, {session: {id: 's'}});
  open.clear();
  assert.equal(parked.take('o', action), undefined);
  open.add('s');
  assert.equal(parked.take('o', action), undefined);
});

// -- the listener --------------------------------------------------------------

const DETAILS = {requestId: '1', method: 'POST', url: 'https://a.example/x',
  type: 'xmlhttprequest', tabId: 1, initiator: 'https://a.example',
  requestHeaders: []};

function interceptorOf({managed = {rules: [{match: ['https://a.example/*']}]},
  headersFor = async () => [{name: 'Sec-Device-Proof', value: 'p'}],
  stopped = () => {}, limit = {take: () => true}, open = true,
  tab = async () => ({url: 'https://a.example/c/1', incognito: false}),
  endLimit = {take: () => true}, seesPrivate = false} = {}) {
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
    sessions: {endAll: () => requests.push('end'), has: () => open},
    notices: {stopped: (details, failure, texts) => {
      notices.push(failure);
      failure.shown = texts;
      stopped();
    }, ready: (details) => notices.push(details)},
    history, limit, endLimit, tab, seesPrivate,
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
  t.mock.timers.tick(2000);
  assert.deepEqual(await answer, {cancel: true});
  assert.equal(notices[0].reason, 'timeout');
});

const turns = async () => {
  for (let i = 0; i < 20; ++i) await Promise.resolve();
};

test('nothing that a proof waits for hangs: body, tab, session', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout']});
  const never = new Promise(() => {});
  for (const [how, ms, body] of [
    [{}, 2000, never],
    [{tab: () => never, managed: {rules: [{match: ['https://a.example/*']}],
      session: {boundaries: ['https://a.example/c/{id}']}}}, 2000],
    [{open: false, headersFor: () => never}, 4000],
  ]) {
    const {interceptor, notices} = interceptorOf(how);
    if (body) interceptor.bodies.set(DETAILS.requestId, body);
    let answer;
    void interceptor.onBeforeSendHeaders(DETAILS).then((a) => {
      answer = a;
    });
    await turns();
    t.mock.timers.tick(ms - 1);
    await turns();
    assert.equal(answer, undefined);
    t.mock.timers.tick(1);
    await turns();
    assert.deepEqual(answer, {cancel: true});
    assert.equal(notices[0].reason, 'timeout');
  }
});

test('one request’s deadline stands still while its user is asked', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout']});
  const asked = new Deadline(2000);
  const other = new Deadline(2000);
  asked.stop();
  t.mock.timers.tick(60_000);
  assert.deepEqual([asked.over, other.over], [false, true]);
  asked.restart();
  t.mock.timers.tick(2000);
  assert.ok(asked.over);
  assert.equal((await failureOf(asked.within(new Promise(() => {})))).reason,
      'timeout');
});

test('a policy that cannot be read in time stops what it may protect',
    async (t) => {
      t.mock.timers.enable({apis: ['setTimeout']});
      const {interceptor, notices} = interceptorOf({managed: {}});
      interceptor.loaded = false;
      interceptor.policies.ready = new Promise(() => {});
      const answer = interceptor.onBeforeSendHeaders(DETAILS);
      t.mock.timers.tick(2000);
      assert.deepEqual(await answer, {cancel: true});
      assert.equal(notices[0].reason, 'timeout');
    });

test('a flood of one initiator is stopped, and others are not', async () => {
  const {interceptor, notices} = interceptorOf(
      {limit: new RateLimit({burst: 3, perSecond: 0})});
  const from = (initiator) =>
    interceptor.onBeforeSendHeaders({...DETAILS, initiator});
  for (let i = 0; i < 5; ++i) await from('https://evil.example');
  assert.deepEqual(notices.map((n) => n.reason),
      ['rate_limited', 'rate_limited']);
  assert.ok((await from('https://a.example')).requestHeaders);
});

test('a rule may name the origins whose pages may send requests', async () => {
  const {interceptor, notices} = interceptorOf({managed: {rules: [
    {match: ['https://a.example/*'], initiators: ['https://a.example']}]}});
  const from = (initiator, type = 'xmlhttprequest') =>
    interceptor.onBeforeSendHeaders({...DETAILS, initiator, type});
  assert.ok((await from('https://a.example')).requestHeaders);
  assert.ok((await from(undefined, 'main_frame')).requestHeaders);
  for (const [initiator, type] of [['https://evil.example'], ['null'],
    [undefined], ['https://evil.example', 'main_frame']]) {
    assert.deepEqual(await from(initiator, type), {cancel: true});
  }
  assert.ok(notices.every((n) => n.reason === 'origin_not_allowed'));
});

test('a stopped request shows the policy’s texts', async () => {
  const {interceptor, notices} = interceptorOf({
    managed: {texts: {blocked: 'Ask Ada.'},
      rules: [{match: ['https://a.example/*']}]},
    headersFor: () => Promise.reject(new Failure('timeout'))});
  await interceptor.onBeforeSendHeaders(DETAILS);
  assert.equal(notices[0].shown.blocked, 'Ask Ada.');
});

test('observe lets go and records', async () => {
  const {interceptor, history, notices} = interceptorOf({
    managed: {mode: 'observe', rules: [{match: ['https://a.example/*']}]},
    headersFor: () => Promise.reject(new Failure('timeout'))});
  assert.equal(await interceptor.onBeforeSendHeaders(
      {...DETAILS, url: 'https://a.example/x?secret=1'}), undefined);
  assert.equal(notices.length, 0);
  assert.deepEqual(history.list().map((e) => e.outcome), ['observed']);
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
  const at = '0:a.example';
  assert.deepEqual(requests.map((r) => r.key), [`profile ${at}/1`,
    `private ${at}/1`, `profile box-2 ${at}/1`, `profile ${at}/2`]);
});

test('a private window is told by its tab where the browser says no more',
    async () => {
      const tabs = {1: {incognito: false, url: 'https://a.example/'},
        2: {incognito: true, url: 'https://a.example/'}};
      const {interceptor, requests} = interceptorOf(
          {seesPrivate: true, tab: async (id) => tabs[id]});
      for (const tabId of [1, 2, -1]) {
        await interceptor.onBeforeSendHeaders({...DETAILS, tabId});
      }
      assert.deepEqual(requests.map((r) => r.key), ['profile', 'private',
        'windowless by https://a.example']);
    });

test('a request of no tab shares its session with its initiator alone',
    async () => {
      const managed = {rules: [{match: ['https://a.example/*']}],
        session: {boundaries: ['https://a.example/c/{id}']}};
      const noTab = () => Promise.reject(new Error('No tab with id: -1.'));
      const {interceptor, requests} = interceptorOf({managed, tab: noTab});
      const from = (more) =>
        interceptor.onBeforeSendHeaders({...DETAILS, tabId: -1, ...more});
      await from({});
      await from({initiator: 'https://b.example'});
      await from({initiator: undefined});
      await from({type: 'main_frame'});
      assert.deepEqual(requests.map((r) => r.key),
          ['profile by https://a.example', 'profile by https://b.example',
            'profile by nobody', 'profile']);
    });

test('an address that policy names ends the sessions, and once more when it ' +
     'was answered', () => {
  const {interceptor, requests} = interceptorOf({managed: {rules: [],
    session: {end_on: ['https://a.example/logout']}}});
  const logout = {...DETAILS, url: 'https://a.example/logout?all'};
  interceptor.onBeforeRequest(logout);
  assert.deepEqual(requests, ['end']);
  interceptor.onDone({...DETAILS, requestId: '2'});
  assert.deepEqual(requests, ['end']);
  interceptor.onDone(logout);
  interceptor.onDone(logout);
  assert.deepEqual(requests, ['end', 'end']);
});

test('another site may end the sessions, but not all the time', () => {
  const {interceptor, requests} = interceptorOf({
    endLimit: new RateLimit({burst: 1, perSecond: 0}),
    managed: {rules: [], session: {end_on: ['https://a.example/logout']}}});
  const logout = {...DETAILS, url: 'https://a.example/logout'};
  for (let i = 0; i < 5; ++i) {
    interceptor.onBeforeRequest({...logout, initiator: 'https://b.example'});
  }
  assert.deepEqual(requests, ['end']);
  interceptor.onBeforeRequest(logout);
  assert.deepEqual(requests, ['end', 'end']);
});

test('where no listener can wait, nothing goes before the policy is known',
    () => {
      const {interceptor, notices} = interceptorOf({managed: {}});
      interceptor.loaded = interceptor.waits = false;
      assert.deepEqual(interceptor.onBeforeSendHeaders(DETAILS), {cancel: true});
      assert.equal(notices[0].reason, 'not_ready');
    });

test('a logout that wakes the worker waits for the policy', async () => {
  const {interceptor, requests} = interceptorOf({managed: {}});
  let arrive;
  interceptor.loaded = false;
  interceptor.policies.ready = new Promise((resolve) => {
    arrive = resolve;
  });
  interceptor.onBeforeRequest({...DETAILS, url: 'https://a.example/logout'});
  interceptor.policies.policy = readPolicy({rules: [],
    session: {end_on: ['https://a.example/logout']}});
  arrive();
  await settled();
  assert.deepEqual(requests, ['end']);
});

test('the body of a request that is never sent is not kept', () => {
  const {interceptor} = interceptorOf();
  interceptor.onBeforeRequest({...DETAILS, requestBody: raw('abc')});
  assert.equal(interceptor.bodies.size, 1);
  interceptor.onDone(DETAILS);
  assert.equal(interceptor.bodies.size, 0);
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

test('where no listener can wait the next request is told why there is no ' +
     'proof', async () => {
  let error = Object.assign(new Failure('policy_denied', {message: 'No.'}),
      {inHistory: true});
  const {interceptor, notices, history} = interceptorOf({headersFor: async () => {
    if (error) throw error;
    return [];
  }});
  interceptor.waits = false;
  for (let i = 0; i < 2; ++i) {
    interceptor.onBeforeSendHeaders(DETAILS);
    await settled();
  }
  assert.deepEqual(notices.map((n) => n.reason), ['not_ready', 'policy_denied']);
  assert.equal(notices[1].message, 'No.');
  assert.equal(history.list().length, 2);
  error = undefined;
  interceptor.onBeforeSendHeaders(DETAILS);
  await settled();
  assert.ok(interceptor.onBeforeSendHeaders(DETAILS).requestHeaders);
});

test('where no listener can wait a GET is bound, and refuse stops what is not',
    async () => {
      const {interceptor, requests, notices} = interceptorOf({managed: {rules: [
        {match: ['https://a.example/*'], unbound_body: 'refuse'}]}});
      interceptor.waits = false;
      interceptor.onBeforeSendHeaders({...DETAILS, method: 'GET'});
      interceptor.onBeforeSendHeaders(DETAILS);
      await settled();
      assert.deepEqual(requests.map((r) => r.sha256?.length), [32]);
      assert.deepEqual(notices.slice(0, 2).map((n) => n.reason),
          ['not_ready', 'body_unbound']);
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
  assert.equal(pool.take(request).headers, undefined);
  await settled();
  now = 46_000;
  assert.equal(pool.take(request).headers, undefined);
});

test('a proof that comes after the pool was cleared is not used', async () => {
  const pool = new ProofPool({fetchProof: async () => ['h']});
  const request = {key: 'k', method: 'GET', url: new URL('https://a.example/')};
  pool.take(request);
  pool.clear();
  pool.take({...request, url: new URL('https://a.example/2')});
  await settled();
  assert.equal(pool.take(request).headers, undefined);
});
