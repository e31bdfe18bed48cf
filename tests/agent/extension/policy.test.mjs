import assert from 'node:assert/strict';
import {test} from 'node:test';

import {FakeStorage, settled} from './support.mjs';
import {compileBoundary, compilePattern} from
  '../../../agent/extension/src/match.js';
import {boundaryOf, pageMayAsk, readPolicy} from
  '../../../agent/extension/src/policy.js';
import {PolicyStore} from '../../../agent/extension/src/policy_store.js';
import {matchesFor} from '../../../agent/extension/src/page_scripts.js';
import {resourceOf} from '../../../agent/extension/src/resource.js';
import {ruleFor} from '../../../agent/extension/src/rules.js';

const covers = (pattern, url) => compilePattern(pattern).covers(new URL(url));

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

test('a pattern covers each spelling of what a receipt names', () => {
  for (const [pattern, url] of [
    ['/admin/*', 'https://ai.example/%61dmin/x'],
    ['/chat', 'https://ai.example/ch%61t'],
    ['/%63hat', 'https://ai.example/chat'],
    ['/chät', 'https://ai.example/ch%c3%a4t'],
    ['/a b', 'https://ai.example/a b'],
    ['/a%2fb', 'https://ai.example/a%2Fb'],
    ['/chat', 'https://ai.example./chat'],
  ]) {
    assert.ok(covers(`https://ai.example${pattern}`, url), url);
    assert.ok(covers(`https://ai.example${pattern}`, resourceOf(new URL(url))));
  }
  assert.ok(covers('https://ai.example./chat', 'https://ai.example/chat'));
});

test('a pattern without a query covers any, one with it that alone', () => {
  for (const query of ['', '?x', '?x=1&y=%41']) {
    assert.ok(covers('https://ai.example/chat', `https://ai.example/chat${query}`));
  }
  assert.ok(covers('https://ai.example/chat?a=*', 'https://ai.example/chat?%61=b'));
  assert.ok(!covers('https://ai.example/chat?a=*', 'https://ai.example/chat?b=a=b'));
  assert.ok(!covers('https://ai.example/chat?a=*', 'https://ai.example/chat'));
});

test('what is no pattern is refused', () => {
  for (const bad of ['', 'ai.example', 'ftp://ai.example/*', 'https://*/*',
    'https://a*b/*', 'https://ai.example', 'https://ai.example:99999999/*',
    'https://ai.example/a/../b', 'https://ai.example/%2E%2e/b',
    'https://ai.example/*#part']) {
    assert.throws(() => compilePattern(bad), TypeError, bad);
  }
});

test('a boundary tells conversations apart', () => {
  const of = compileBoundary('https://chat.example/w/{space}/c/{id}*');
  assert.equal(of(new URL('https://chat.example/w/a/c/1')), 'a/1');
  assert.equal(of(new URL('https://chat.example/w/a/c/1/edit?x=1')), 'a/1');
  assert.equal(of(new URL('https://chat.example/w/%61/c/1')), 'a/1');
  assert.equal(of(new URL('https://chat.example/w/a')), undefined);
  const query = compileBoundary('https://chat.example/c?id={id}*');
  assert.equal(query(new URL('https://chat.example/c?id=7&x=y')), '7');
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
    {audience: 'no uri'}, {initiators: ['ai.example']}, {initiators: []},
    {texts: {blocked: 7}}, {methods: 'POST'}, {protect: 'no'}, {unknown: 1}]) {
    const policy = readPolicy({rules: [{...RULE, ...fault}]});
    const found = rule(policy, 'https://ai.example/');
    assert.ok(found?.broken, JSON.stringify(fault));
    assert.equal(policy.faults.length, 1);
  }
});

test('a rule with a fault makes no exception', () => {
  const policy = readPolicy({rules: [
    {...RULE, protect: false, methods: 'GET'}, RULE]});
  assert.ok(rule(policy, 'https://ai.example/', 'POST').broken);
});

test('a method is compared in capitals, and there is one at least', () => {
  const policy = readPolicy({rules: [{...RULE, methods: ['post', 'PATCH']}]});
  assert.deepEqual(policy.faults, []);
  for (const method of ['POST', 'post', 'patch']) {
    assert.ok(rule(policy, 'https://ai.example/', method), method);
  }
  assert.equal(rule(policy, 'https://ai.example/', 'GET'), undefined);
  for (const methods of [[], [''], ['P OST'], [7]]) {
    assert.ok(rule(readPolicy({rules: [{...RULE, methods}]}),
        'https://ai.example/').broken);
  }
});

test('a path that servers may read as another one is no exception', () => {
  const policy = readPolicy({rules: [
    {match: ['https://ai.example/static/*'], protect: false},
    {match: ['https://ai.example/chat'], purpose: 'chat'}]});
  for (const path of ['static/..%2fchat', 'static/..%5Cchat', 'static//chat',
    'static/%252e%252e%252fchat', 'static/..;/chat', '/chat', 'x%2F..%2Fchat']) {
    assert.equal(rule(policy, `https://ai.example/${path}`)?.purpose, 'chat',
        path);
  }
  assert.equal(rule(policy, 'https://ai.example/static/a'), undefined);
  assert.equal(rule(policy, 'https://ai.example/static/a?next=%2Fchat//'),
      undefined);
  assert.equal(rule(policy, 'https://other.example/static/..%2fchat'),
      undefined);
});

test('a path that may be read as another one meets what any rule demands', () => {
  const policy = readPolicy({rules: [
    {match: ['https://ai.example/admin/*'], dpop: true, unbound_body: 'refuse'},
    {match: ['https://ai.example/v1/*:generate'], purpose: 'generate'},
    {match: ['https://ai.example/api/*']}]});
  for (const path of ['api;a/x', 'v1/g%3Agenerate', 'v1/g%40x', '/admin/x',
    'x/..%2fadmin/y', 'admin;a/x', 'api/%21', 'api/%2B']) {
    const met = rule(policy, `https://ai.example/${path}`);
    assert.ok(met?.dpop && met.refuseUnbound, path);
  }
  assert.equal(rule(policy, 'https://ai.example/api/x').dpop, false);
  assert.equal(rule(policy, 'https://ai.example/other'), undefined);
});

test('rules that were lost or cannot be read leave the last in force, broken',
    () => {
      const last = [{match: ['https://ai.example/open/*'], protect: false}, RULE];
      for (const rules of [undefined, null, {}, 'none', [{}], [7],
        [{match: 'https://ai.example/*'}], [{match: ['htps://ai.example/*']}],
        [{match: ['https://new.example/*', 'nonsense']}]]) {
        const policy = readPolicy({mode: 'enforce', rules}, last);
        const shown = JSON.stringify(rules);
        assert.ok(rule(policy, 'https://ai.example/')?.broken, shown);
        assert.equal(rule(policy, 'https://ai.example/open/x'), undefined);
        assert.ok(policy.faults.length > 0 && !policy.rulesWhole, shown);
      }
      const partly = readPolicy({rules: [
        {match: ['https://new.example/*', 'nonsense']}]}, last);
      assert.equal(rule(partly, 'https://new.example/').broken, false);
      for (const managed of [{}, {rules: []}]) {
        const none = readPolicy(managed, last);
        assert.equal(rule(none, 'https://ai.example/'), undefined);
        assert.deepEqual(none.faults, []);
      }
    });

test('texts of the policy are those of each rule that has none', () => {
  const policy = readPolicy({texts: {blocked: 'No.', help_url: 'https://h.example/'},
    rules: [{...RULE, texts: {blocked: 'Not here.', approval: 'Why?'}}]});
  assert.deepEqual(rule(policy, 'https://ai.example/').texts, {
    blocked: 'Not here.', approval: 'Why?', help_url: 'https://h.example/'});
});

test('texts are texts, and help is on the web', () => {
  for (const texts of [{blocked: 7}, {approval: ''}, {help_url: 'javascript:1'},
    {unknown: 'x'}, []]) {
    const policy = readPolicy({rules: [], texts});
    assert.equal(policy.faults.length, 1, JSON.stringify(texts));
    assert.deepEqual(policy.texts, {});
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
  const policy = readPolicy({rules: [], header: 'X-A\r\nX-B'});
  assert.equal(policy.header, 'Sec-Device-Proof');
  assert.equal(policy.faults.length, 1);
});

test('unknown keys are named', () => {
  const {faults} = readPolicy({rules: [], rulez: [], session: {lifetime: 1}});
  assert.match(faults.join('\n'), /rulez.*\n.*session\.lifetime/s);
});

test('boundaries are tried on each address in turn', () => {
  const policy = readPolicy({session: {
    boundaries: ['https://chat.example/c/{id}']}});
  const urls = ['https://chat.example/api', 'https://chat.example/c/9']
      .map((u) => new URL(u));
  assert.equal(boundaryOf(policy, urls), '0:chat.example/9');
  assert.equal(boundaryOf(policy, urls.slice(0, 1)), '');
});

test('conversations of two applications are never the same', () => {
  const policy = readPolicy({rules: [], session: {boundaries: [
    'https://a.example/c/{id}', 'https://*.b.example/t/{id}',
    'https://b.example/u/{id}']}});
  const found = ['https://a.example/c/1', 'https://b.example/t/1',
    'https://x.b.example/t/1', 'https://b.example/u/1']
      .map((url) => boundaryOf(policy, [new URL(url)]));
  assert.equal(new Set(found).size, 4, found);
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
  const policy = readPolicy({rules: [], page_api: [{origins: ['https://a.example/path',
    '*', 'file:///x', 'https://b.example']}]});
  assert.equal(policy.faults.length, 3);
  assert.deepEqual(matchesFor(policy), ['https://b.example/*']);
});

const ON = {mode: 'enforce', rules: [RULE]};

test('the store follows edits and removal', async () => {
  const storage = new FakeStorage({...ON, mode: 'observe'});
  const seen = [];
  const store = new PolicyStore({storage, onChange: (p) => seen.push(p.observe)});
  await store.start();
  storage.edit(ON);
  await store.ready;
  storage.edit({});
  await store.ready;
  assert.deepEqual(seen, [true, false, false]);
  assert.equal(store.policy.configured, false);
  assert.deepEqual(storage.values.local, {lastPolicy: {}, lastRules: []});
});

test('the last policy holds until the browser has shown its own', async () => {
  const storage = new FakeStorage({}, {lastPolicy: ON});
  const store = new PolicyStore({storage, graceMs: 20});
  await store.start();
  assert.ok(rule(store.policy, 'https://ai.example/'));
  await new Promise((done) => setTimeout(done, 40));
  assert.equal(rule(store.policy, 'https://ai.example/'), undefined);
  // It never said so: at its next start the last one holds again.
  assert.deepEqual(storage.values.local.lastPolicy, ON);
});

test('a slow browser has two minutes to show its policy', async (t) => {
  t.mock.timers.enable({apis: ['setTimeout']});
  const store = new PolicyStore(
      {storage: new FakeStorage({}, {lastPolicy: ON})});
  await store.start();
  t.mock.timers.tick(119_000);
  await store.ready;
  assert.ok(rule(store.policy, 'https://ai.example/'));
});

test('a policy that comes while the last one is read is the newer', async () => {
  const storage = new FakeStorage({}, {lastPolicy: {}});
  const slow = storage.local.get;
  storage.local.get = async () => {
    storage.edit(ON);
    await settled();
    return slow();
  };
  const store = new PolicyStore({storage, graceMs: 20});
  await store.start();
  assert.ok(rule(store.policy, 'https://ai.example/'));
});

test('rules that an edit lost are kept, broken, until it is mended', async () => {
  const storage = new FakeStorage(ON);
  const store = new PolicyStore({storage});
  await store.start();
  // What Chromium makes of one value of a wrong type.
  storage.edit({mode: 'enforce'});
  await store.ready;
  assert.ok(rule(store.policy, 'https://ai.example/').broken);
  // A worker that starts anew knows it too.
  const next = new PolicyStore({storage});
  await next.start();
  assert.ok(rule(next.policy, 'https://ai.example/').broken);
  assert.ok(next.policy.faults.length > 0);
  storage.edit(ON);
  await next.ready;
  assert.equal(rule(next.policy, 'https://ai.example/').broken, false);
  storage.edit({...ON, rules: []});
  await next.ready;
  storage.edit({mode: 'enforce'});
  await next.ready;
  assert.equal(rule(next.policy, 'https://ai.example/'), undefined);
});

test('a policy that cannot be read is not one that went', async () => {
  const storage = new FakeStorage(ON);
  const store = new PolicyStore({storage});
  await store.start();
  const {get} = storage.managed;
  storage.managed.get = () => Promise.reject(new Error('busy'));
  storage.edit(ON);
  await store.ready;
  assert.ok(rule(store.policy, 'https://ai.example/'));
  assert.deepEqual(storage.values.local.lastPolicy, ON);
  storage.managed.get = get;
});

test('sessions are another policy’s if that changed or went', async () => {
  const storage = new FakeStorage({});
  const seen = [];
  const store = new PolicyStore({storage, graceMs: 20,
    onChange: (p, {sessions}) => seen.push(sessions)});
  await store.start();
  for (const managed of [ON, {...ON, mode: 'observe'},
    {...ON, session: {purpose: 'x'}}, {...ON, session: {purpose: 'x'}}, {}]) {
    storage.edit(managed);
    await store.ready;
  }
  assert.deepEqual(seen, [false, false, false, true, false, true]);
});

test('a browser without managed or other storage has no policy', async () => {
  const storage = new FakeStorage();
  storage.managed.get = async () => {
    throw new Error('Managed storage manifest not found');
  };
  storage.local.get = storage.local.set = async () => {
    throw new Error('corrupt');
  };
  const store = new PolicyStore({storage, graceMs: 1});
  await store.start();
  assert.equal(store.policy.configured, false);
  storage.managed.get = async () => ON;
  storage.edit(ON);
  await store.ready;
  assert.ok(rule(store.policy, 'https://ai.example/'));
});
