import assert from 'node:assert/strict';
import {test} from 'node:test';

import {FakeStorage, settled} from './support.mjs';
import {compileBoundary, compilePattern} from
  '../../../agent/extension/src/match.js';
import {boundaryOf, pageMayAsk, readPolicy, ruleFor} from
  '../../../agent/extension/src/policy.js';
import {PolicyStore} from '../../../agent/extension/src/policy_store.js';
import {matchesFor} from '../../../agent/extension/src/page_scripts.js';

const covers = (pattern, url) => compilePattern(pattern)(new URL(url));

test('a pattern covers its scheme, host, port and path', () => {
  const pattern = 'https://ai.example/chat/*';
  assert.ok(covers(pattern, 'https://ai.example/chat/1?a=b'));
  assert.ok(covers(pattern, 'https://AI.EXAMPLE:443/chat/'));
  for (const other of ['http://ai.example/chat/1', 'https://ai.example/other',
    'https://ai.example:8443/chat/1', 'https://x.ai.example/chat/1',
    'https://ai.example.evil/chat/1', 'https://evil/ai.example/chat/1']) {
    assert.ok(!covers(pattern, other), other);
  }
});

test('a pattern covers the WebSocket handshake of its address', () => {
  assert.ok(covers('https://ai.example/*', 'wss://ai.example/socket'));
  assert.ok(!covers('https://ai.example/*', 'ws://ai.example/socket'));
});

test('a pattern may stand for all labels below a domain', () => {
  assert.ok(covers('*://*.ai.example/*', 'http://a.b.ai.example/'));
  assert.ok(covers('*://*.ai.example/*', 'https://ai.example/'));
  assert.ok(!covers('*://*.ai.example/*', 'https://notai.example/'));
});

test('a pattern cannot be slipped past with credentials or dots', () => {
  assert.ok(covers('https://ai.example/*', 'https://u:p@ai.example/'));
  assert.ok(covers('https://ai.example/chat/*',
      'https://ai.example/other/%2e%2e/chat/x'));
});

test('what is no pattern is refused', () => {
  for (const bad of ['', 'ai.example', 'ftp://ai.example/*', 'https://*/*',
    'https://a*b/*', 'https://ai.example', 'https://ai.example:99999999/*']) {
    assert.throws(() => compilePattern(bad), TypeError, bad);
  }
});

test('a boundary tells conversations apart', () => {
  const of = compileBoundary('https://chat.example/w/{space}/c/{id}*');
  assert.equal(of(new URL('https://chat.example/w/a/c/1')), 'a/1');
  assert.equal(of(new URL('https://chat.example/w/a/c/1/edit?x=1')), 'a/1');
  assert.equal(of(new URL('https://chat.example/w/a')), undefined);
  assert.throws(() => compileBoundary('https://chat.example/*'), TypeError);
});

const RULE = {match: ['https://ai.example/*']};
const rule = (policy, url, method = 'GET') =>
  ruleFor(policy, new URL(url), method);

test('an absent policy protects nothing and has no faults', () => {
  for (const managed of [undefined, null, {}, []]) {
    const policy = readPolicy(managed);
    assert.deepEqual(policy.faults, []);
    assert.equal(policy.configured, false);
    assert.equal(rule(policy, 'https://ai.example/'), undefined);
  }
});

test('the first rule that covers a request counts', () => {
  const policy = readPolicy({rules: [
    {match: ['https://ai.example/static/*'], protect: false},
    {...RULE, methods: ['POST'], purpose: 'ask'}, {...RULE, purpose: 'read'}]});
  assert.deepEqual(policy.faults, []);
  assert.equal(rule(policy, 'https://ai.example/static/x'), undefined);
  assert.equal(rule(policy, 'https://ai.example/x', 'POST').purpose, 'ask');
  assert.equal(rule(policy, 'https://ai.example/x').purpose, 'read');
});

test('a rule with a fault protects and is broken', () => {
  for (const fault of [{purpose: 7}, {query: 'maybe'}, {dpop: 'yes'},
    {audience: 'no uri'}, {methods: 'POST'}, {protect: 'no'}, {unknown: 1}]) {
    const policy = readPolicy({rules: [{...RULE, ...fault}]});
    const found = rule(policy, 'https://ai.example/');
    assert.ok(found?.broken, JSON.stringify(fault));
    assert.equal(policy.faults.length, 1);
  }
});

test('a pattern that cannot be read takes none of the others with it', () => {
  const policy = readPolicy({rules: [{match: ['nonsense', ...RULE.match]}]});
  assert.ok(rule(policy, 'https://ai.example/'));
  assert.equal(policy.faults.length, 1);
});

test('only a plain "observe" observes', () => {
  assert.ok(readPolicy({mode: 'observe'}).observe);
  for (const mode of [undefined, 'enforce', 'Observe', 'off', 1]) {
    assert.ok(!readPolicy({mode}).observe);
  }
});

test('a header with a line break is not taken', () => {
  const policy = readPolicy({header: 'X-A\r\nX-B'});
  assert.equal(policy.header, 'Sec-Device-Proof');
  assert.equal(policy.faults.length, 1);
});

test('unknown keys are named', () => {
  const {faults} = readPolicy({rulez: [], session: {lifetime: 1}});
  assert.match(faults.join('\n'), /rulez.*\n.*session\.lifetime/s);
});

test('boundaries are tried on each address in turn', () => {
  const policy = readPolicy({session: {
    boundaries: ['https://chat.example/c/{id}']}});
  const urls = ['https://chat.example/api', 'https://chat.example/c/9']
      .map((u) => new URL(u));
  assert.equal(boundaryOf(policy, urls), '9');
  assert.equal(boundaryOf(policy, urls.slice(0, 1)), '');
});

test('pages may ask by exact origin and for named actions alone', () => {
  const policy = readPolicy({page_api: [
    {origins: ['https://agent.example'], actions: ['mcp:tools/*']}]});
  const ask = (origin, name) => pageMayAsk(policy, origin, name);
  assert.equal(ask('https://agent.example', 'mcp:tools/call'), undefined);
  assert.equal(ask('https://agent.example', 'http:POST'), 'action_not_allowed');
  for (const origin of ['https://agent.example.evil', 'http://agent.example',
    'https://agent.example:8443', 'null', undefined]) {
    assert.equal(ask(origin, 'mcp:tools/call'), 'origin_not_allowed');
  }
  assert.deepEqual(matchesFor(policy), ['https://agent.example/*']);
});

test('what is no origin gets no page API', () => {
  const policy = readPolicy({page_api: [{origins: ['https://a.example/path',
    '*', 'file:///x', 'https://b.example']}]});
  assert.equal(policy.faults.length, 3);
  assert.deepEqual(matchesFor(policy), ['https://b.example/*']);
});

test('the store follows edits and removal', async () => {
  const storage = new FakeStorage({mode: 'observe'});
  const seen = [];
  const store = new PolicyStore({storage, onChange: (p) => seen.push(p.observe)});
  await store.start();
  storage.edit({mode: 'enforce'});
  await settled();
  storage.edit({});
  await settled();
  assert.deepEqual(seen, [true, false, false]);
  assert.equal(store.policy.configured, false);
  assert.deepEqual(storage.values.local.lastPolicy, {});
});

test('the last policy holds until the browser has shown its own', async () => {
  const storage = new FakeStorage({}, {lastPolicy: {rules: [RULE]}});
  const store = new PolicyStore({storage, graceMs: 20});
  await store.start();
  assert.ok(rule(store.policy, 'https://ai.example/'));
  await new Promise((done) => setTimeout(done, 40));
  assert.equal(rule(store.policy, 'https://ai.example/'), undefined);
});

test('a policy that comes while the last one is read is the newer', async () => {
  const storage = new FakeStorage({}, {lastPolicy: {}});
  const slow = storage.local.get;
  storage.local.get = async () => {
    storage.edit({rules: [RULE]});
    await settled();
    return slow();
  };
  const store = new PolicyStore({storage});
  await store.start();
  assert.ok(rule(store.policy, 'https://ai.example/'));
});

test('a browser without managed storage has no policy', async () => {
  const storage = new FakeStorage();
  storage.managed.get = async () => {
    throw new Error('Managed storage manifest not found');
  };
  const store = new PolicyStore({storage, graceMs: 1});
  await store.start();
  assert.equal(store.policy.configured, false);
});
