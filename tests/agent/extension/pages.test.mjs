// What people and pages see: notices, the extension's own pages, the scripts in
// others' pages.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';
import vm from 'node:vm';

import {settled} from './support.mjs';
import {Failure} from '../../../agent/extension/src/failure.js';
import {Notices} from '../../../agent/extension/src/notices.js';
import {serve} from '../../../agent/extension/src/windows.js';
import {ago, facts, safeLink} from '../../../agent/extension/ui/page.js';
import {verdict} from '../../../agent/extension/ui/state_view.js';

const EXTENSION = new URL('../../../agent/extension/', import.meta.url);

// -- notices --------------------------------------------------------------------

const STOPPED = {url: 'https://ai.example/page?q=secret', type: 'main_frame',
  method: 'GET', tabId: 5};

function noticesOf() {
  const said = {tabs: [], notifications: [], badge: []};
  const clock = {ms: 0};
  const shown = {};  // What tabs.get says of the tab.
  const notices = new Notices({now: () => clock.ms,
    urlOf: (path) => `ext/${path}`,
    tabs: {get: async () => shown, update: async (tabId, {url}) => {
      said.tabs.push({tabId, url});
      shown.url = url;
    }},
    notifications: {create: async (what) => said.notifications.push(what)},
    action: {setBadgeText: async ({text}) => said.badge.push(text)}});
  const stop = (more = {}) =>
    notices.stopped({...STOPPED, ...more}, new Failure('timeout'));
  const id = () => said.tabs[0].url.split('#')[1];
  return {notices, said, clock, shown, stop, id};
}

test('a stopped navigation shows a page whose address tells nothing', () => {
  const {notices, said, stop, id} = noticesOf();
  stop();
  assert.equal(said.tabs[0].tabId, 5);
  assert.match(said.tabs[0].url, /^ext\/ui\/blocked\.html#[0-9a-f]{32}$/);
  const page = notices.page(id());
  assert.equal(page.host, 'ai.example');
  assert.equal(page.reason, 'timeout');
  assert.ok(!JSON.stringify(page).includes('secret'));
  assert.equal(notices.page('another'), undefined);
});

test('what is prepared in the background disturbs nobody', () => {
  const {said, stop} = noticesOf();
  for (const value of ['prefetch;prerender', 'prefetch']) {
    stop({requestHeaders: [{name: 'Sec-Purpose', value}]});
  }
  assert.deepEqual(said, {tabs: [], notifications: [], badge: []});
  stop({requestHeaders: [{name: 'Purpose', value: 'prefetch'}]});
  assert.equal(said.tabs.length, 1);
});

test('other requests are spoken of once for each site and while', () => {
  const {said, clock, stop} = noticesOf();
  for (let i = 0; i < 5; ++i) stop({type: 'xmlhttprequest'});
  stop({type: 'image', url: 'https://b.example/'});
  assert.equal(said.notifications.length, 2);
  assert.ok(!JSON.stringify(said).includes('secret'));
  clock.ms += 10_000;
  stop({type: 'xmlhttprequest'});
  assert.equal(said.notifications.length, 3);
  assert.deepEqual(said.tabs, []);
});

test('a page is asked for again, in the tab that says so', async () => {
  const {notices, said, stop, id} = noticesOf();
  stop();
  const page = {id: id(), kind: 'retry'};
  await serve(page, {notices}, {});
  await serve({...page, id: 'another'}, {notices}, {tab: {id: 5}});
  assert.equal(said.tabs.length, 1);
  await serve(page, {notices}, {tab: {id: 6}});
  assert.deepEqual(said.tabs[1], {tabId: 6, url: STOPPED.url});
});

test('what was sent is never sent again as something else', async () => {
  const {notices, said, stop, id} = noticesOf();
  stop({method: 'POST'});
  assert.equal(notices.page(id()).retries, false);
  await serve({id: id(), kind: 'retry'}, {notices}, {tab: {id: 5}});
  await notices.ready({...STOPPED, method: 'POST'});
  assert.equal(said.tabs.length, 1);
});

test('a proof that comes late moves no tab that has moved on', async () => {
  const {notices, said, shown, stop} = noticesOf();
  await notices.ready(STOPPED);
  stop();
  const pending = shown.url;
  Object.assign(shown, {url: 'https://else.example/'});
  await notices.ready(STOPPED);
  assert.equal(said.tabs.length, 1);
  await notices.ready({...STOPPED, tabId: 6});
  assert.equal(said.tabs.length, 1);
  Object.assign(shown, {pendingUrl: pending});  // Not there yet, but coming.
  await notices.ready(STOPPED);
  assert.deepEqual(said.tabs[1], {tabId: 5, url: STOPPED.url});
});

// -- our own pages --------------------------------------------------------------

const FINE = {status: {enrolled: true},
  policy: {configured: true, observe: false, faults: []}};
const wrong = (message) => ({message, remedy: `Mend ${message}.`});

test('the first thing to know comes first', () => {
  assert.equal(verdict(FINE).good, true);
  const status = {enrolled: true};
  for (const [state, sentence] of [
    [{...FINE, error: wrong('no agent')}, /no agent/],
    [{...FINE, status: {}}, /not enrolled/],
    [{...FINE, status: {...status, serviceError: wrong('no service')}},
      /no service/],
    [{...FINE, status: {...status, tpmError: wrong('no TPM'),
      serviceError: wrong('no service')}}, /no TPM/],
    // Whatever else is wrong, nothing helps a device that was revoked.
    [{...FINE, status: {...status, deviceError: wrong('revoked'),
      tpmError: wrong('no TPM')}}, /revoked/],
    [{...FINE, policy: {faults: []}}, /No policy/],
    [{...FINE, policy: {...FINE.policy, faults: ['x']}}, /cannot be read/]]) {
    const {good, sentence: said} = verdict(state);
    assert.equal(good, false);
    assert.match(said, sentence);
  }
});

// As much of a document as element() needs.
class FakeElement {
  constructor(name) {
    Object.assign(this, {name, attributes: {}, children: []});
  }
  setAttribute(key, value) {
    this.attributes[key] = value;
  }
  append(...children) {
    this.children.push(...children);
  }
  get text() {
    return this.children.map((c) => c.text ?? c).join(' ');
  }
}

test('facts leave out what is not known, and 0 is known', (t) => {
  globalThis.document = {createElement: (name) => new FakeElement(name)};
  t.after(() => delete globalThis.document);
  assert.equal(facts([['Rules', 0], ['User', undefined], ['TPM', '']]).text,
      'Rules 0');
  assert.equal(safeLink('javascript:alert(1)', 'help'), undefined);
  assert.equal(safeLink('http://a.example/', 'help'), undefined);
  assert.equal(safeLink('https://a.example/', 'help').text, 'help');
});

test('a time is said in the largest unit that fits', () => {
  const now = 1e12;
  for (const [ms, said] of [[0, 'now'], [30e3, '30 seconds ago'],
    [3 * 60e3, '3 minutes ago'], [5 * 3600e3, '5 hours ago'],
    [86400e3, 'yesterday']]) {
    assert.equal(ago(now - ms, now), said);
  }
});

// -- scripts in pages -----------------------------------------------------------

// A page with both scripts in it; `runtime.sendMessage` is ours to give.
function pageWith(sendMessage) {
  const listeners = [];
  const posted = [];
  const page = {
    location: {origin: 'https://agent.example'}, structuredClone,
    addEventListener: (_, listener) => listeners.push(listener),
    chrome: {runtime: {sendMessage}},
  };
  page.window = page;
  const context = vm.createContext(page);
  const itself = vm.runInContext('window', context);
  const deliver = (data, source = itself) => {
    posted.push(data);
    for (const listener of listeners) listener({source, data});
  };
  page.postMessage = (data, origin) => {
    assert.equal(origin, 'https://agent.example');
    deliver(structuredClone(data));
  };
  for (const name of ['isolated.js', 'main.js']) {
    vm.runInContext(readFileSync(new URL(`page/${name}`, EXTENSION), 'utf8'),
        context);
  }
  return {page, posted, deliver};
}

const ASKED = {name: 'http:POST', resource: 'https://a.example/x',
  purpose: 'work', more: 'is not passed on'};

test('a page’s request reaches the extension and its answer the page',
    async () => {
      const sent = [];
      const {page} = pageWith(async (message) => {
        sent.push(message);
        return {result: {decision: 'permit'}};
      });
      assert.equal((await page.countersign.authorize(ASKED)).decision, 'permit');
      const {name, resource, purpose} = ASKED;
      assert.deepEqual(structuredClone(sent),
          [{kind: 'authorize', request: {name, resource, purpose}}]);
    });

test('a refusal is an error with code and remedy', async () => {
  const {page} = pageWith(async () => ({error: {code: 'policy_denied',
    reason: 'approval_denied', message: 'No.', remedy: 'Ask again.'}}));
  await assert.rejects(page.countersign.authorize(ASKED), {message: 'No.',
    code: 'policy_denied', reason: 'approval_denied', remedy: 'Ask again.'});
});

test('an extension that was restarted is an error too', async () => {
  const {page} = pageWith(async () => {
    throw new Error('Extension context invalidated.');
  });
  await assert.rejects(page.countersign.authorize(ASKED), {reason: 'internal'});
});

test('what is no request does not leave the page', async () => {
  let sent = 0;
  const {page, posted, deliver} = pageWith(async () => {
    ++sent;
    return {};
  });
  for (const asked of [{...ASKED, purpose: 'x'.repeat(1025)},
    {...ASKED, name: 7}, {...ASKED, resource: {toString: () => 'x'}},
    {...ASKED, requestDigest: null}, {...ASKED, purpose: new Uint8Array(9)}]) {
    await assert.rejects(page.countersign.authorize(
        structuredClone({...asked, resource: typeof asked.resource === 'string' ?
          asked.resource : {}})), {reason: 'bad_request'});
  }
  // Another window's message, and somebody else's.
  deliver({countersign: 'authorize', id: 1, request: ASKED}, {});
  deliver('text');
  deliver(null);
  await settled();
  assert.equal(sent, 0);
  assert.ok(posted.length > 0);
});

test('only so many requests of a page are under way', async () => {
  const waiting = [];
  const {page} = pageWith(() =>
    new Promise((resolve) => waiting.push(resolve)));
  const asked = Array.from({length: 65},
      () => page.countersign.authorize(ASKED));
  await assert.rejects(asked.pop(), {reason: 'rate_limited'});
  assert.equal(waiting.length, 64);
  waiting.forEach((resolve) => resolve({result: {decision: 'permit'}}));
  await Promise.all(asked);
  const next = page.countersign.authorize(ASKED);
  await settled();
  waiting.at(-1)({result: {decision: 'permit'}});
  await next;
});
