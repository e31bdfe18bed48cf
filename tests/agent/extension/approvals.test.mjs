// Who is asked for an approval, where, and how often.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {FakeEvent, failureOf, settled} from './support.mjs';
import {Approvals, MAX_OPEN, QUIET_MS} from
  '../../../agent/extension/src/approvals.js';

const ACTION = {key: 'k', who: 'w'};

const PENDING = {sessionId: 's1', requestDigest: 'AAEC', rule: 'ask-first',
  request: {name: 'http:POST', resource: 'https://a.example/as-signed',
    purpose: 'work', requestSha256: '//8='}, leftS: 119};

function approvalsOf({answerMs = 1000, pending = PENDING} = {}) {
  const opened = [];
  const removed = [];
  const clock = {ms: 0};
  const create = async (what) => {
    opened.push(what);
    return {id: opened.length};
  };
  const windows = {onRemoved: new FakeEvent(), create,
    remove: async (id) => removed.push(id)};
  const tabs = {onRemoved: new FakeEvent(), create};
  const approvals = new Approvals({windows, tabs, answerMs,
    now: () => clock.ms, agent: {pending: async () => pending},
    urlOf: (path) => `ext/${path}`,
    serviceUrl: async () => 'https://authz.example'});
  return {approvals, opened, removed, windows, tabs, clock};
}

const idOf = ({url}) => url.split('#')[1];

const QUESTION = {action: ACTION, grade: 'prompt', requestDigest: 'AAEC',
  sessionId: 's1'};

test('a window asks and its answer counts once', async () => {
  const {approvals, opened} = approvalsOf();
  const asked = approvals.ask(QUESTION);
  await settled();
  const id = idOf(opened[0]);
  const question = approvals.question(id);
  assert.equal(question.digest, '000102');
  assert.equal(question.content, 'ffff');
  // What will be signed, whatever was meant.
  assert.equal(question.resource, 'https://a.example/as-signed');
  approvals.answer('another id', true);
  approvals.answer(id, true);
  assert.deepEqual(await asked, {approved: true, here: true});
  assert.equal(approvals.question(id), undefined);
});

test('a window that is closed denies; one that is ignored, in time too', async () => {
  const {approvals, windows} = approvalsOf();
  const asked = approvals.ask(QUESTION);
  await settled();
  windows.onRemoved.fire(1);
  assert.deepEqual(await asked, {approved: false, here: true});
  const ignored = approvalsOf({answerMs: 10});
  assert.equal((await failureOf(ignored.approvals.ask(QUESTION))).reason,
      'approval_timeout');
});

test('anything but true denies', async () => {
  const {approvals, opened} = approvalsOf();
  const asked = approvals.ask(QUESTION);
  await settled();
  approvals.answer(idOf(opened[0]), 'true');
  assert.deepEqual(await asked, {approved: false, here: true});
});

test('a word that is given in a terminal closes the window', async () => {
  for (const approved of [true, false]) {
    const {approvals, removed} = approvalsOf();
    const asked = approvals.ask(QUESTION);
    await settled();
    const event = {kind: approved ? 'approval_given' : 'approval_refused',
      approval: {sessionId: 's1', requestDigest: 'AAEC'}};
    approvals.onEvent({...event, kind: 'approval_asked'});
    approvals.onEvent({...event, approval: {...event.approval,
      sessionId: 's2'}});
    approvals.onEvent({...event, approval: {...event.approval,
      requestDigest: 'AAED'}});
    approvals.onEvent({kind: event.kind});
    await settled();
    assert.equal(approvals.open.size, 1);
    approvals.onEvent(event);
    assert.deepEqual(await asked, {approved, here: false});
    assert.deepEqual(removed, [1]);
  }
});

test('no window asks about what waits no longer', async () => {
  for (const pending of [null, {...PENDING, leftS: undefined},
    {...PENDING, leftS: 1}]) {
    const {approvals, opened} = approvalsOf({pending: pending});
    assert.equal((await failureOf(approvals.ask(QUESTION))).reason,
        'approval_gone');
    assert.deepEqual(opened, []);
    // Nobody was bothered.
    assert.equal((await failureOf(approvals.ask(QUESTION))).reason,
        'approval_gone');
  }
});

test('a stronger grade is asked for at the service', async () => {
  const {approvals, opened} = approvalsOf();
  const failure = await failureOf(approvals.ask({...QUESTION, grade: 'webauthn'}));
  assert.equal(failure.reason, 'approval_required');
  assert.deepEqual(opened,
      [{url: 'https://authz.example/approvals/000102', active: false}]);
});

test('only a navigation brings the service’s page to the front', async () => {
  const {approvals, opened} = approvalsOf();
  await failureOf(approvals.ask({...QUESTION, grade: 'webauthn',
    action: {...ACTION, type: 'main_frame'}}));
  assert.equal(opened[0].active, true);
});

const other = (n) => ({...QUESTION, requestDigest: `AA${n}=`});
const from = (who) => ({...QUESTION, action: {...ACTION, who}});

test('a flood of one origin opens one window, or one page', async () => {
  for (const grade of ['prompt', 'webauthn']) {
    const {approvals, opened} = approvalsOf();
    const asked = Array.from({length: 15}, (_, i) =>
      failureOf(approvals.ask({...other(i), grade})));
    const reasons = await Promise.all(asked.slice(1));
    assert.ok(reasons.every((f) => f.reason === 'approval_open'));
    await settled();
    assert.equal(opened.length, 1);
    approvals.dropWhere(() => true);
    await asked[0].catch(() => {});
  }
});

test('many origins open few windows and pages', async () => {
  const {approvals, opened} = approvalsOf();
  for (let i = 0; i < 20; ++i) {
    const grade = i % 2 ? 'prompt' : 'webauthn';
    approvals.ask({...from(`w${i}`), grade}).catch(() => {});
    await settled();
  }
  assert.equal(opened.length, MAX_OPEN);
  approvals.dropWhere(() => true);
});

test('who was denied is quiet for a while, and others are not', async () => {
  const {approvals, opened, clock, windows} = approvalsOf();
  for (const deny of [() => approvals.answer(idOf(opened.at(-1)), false),
    () => windows.onRemoved.fire(opened.length)]) {
    const asked = approvals.ask(QUESTION);
    await settled();
    deny();
    assert.equal((await asked).approved, false);
    const again = await failureOf(approvals.ask(other(1)));
    assert.equal(again.reason, 'approval_quiet');
    clock.ms += QUIET_MS;
  }
  const before = opened.length;
  approvals.ask(from('w2')).catch(() => {});
  await settled();
  assert.equal(opened.length, before + 1);
  approvals.dropWhere(() => true);
});

test('who was approved may ask for the next thing at once', async () => {
  const {approvals, opened} = approvalsOf();
  for (let i = 0; i < 2; ++i) {
    const asked = approvals.ask(QUESTION);
    await settled();
    approvals.answer(idOf(opened[i]), true);
    assert.equal((await asked).approved, true);
  }
});

test('the service’s page is open until its tab is closed', async () => {
  const {approvals, tabs, clock} = approvalsOf();
  const strong = {...QUESTION, grade: 'webauthn'};
  await failureOf(approvals.ask(strong));
  assert.equal((await failureOf(approvals.ask(strong))).reason, 'approval_open');
  tabs.onRemoved.fire(1);
  await settled();
  clock.ms += QUIET_MS;
  assert.equal((await failureOf(approvals.ask(strong))).reason,
      'approval_required');
  tabs.onRemoved.fire(2);
});

test('a window goes with its request, and when the agent forgets', async () => {
  const {approvals, removed} = approvalsOf();
  const asked = approvals.ask({...QUESTION,
    action: {...ACTION, requestId: '7'}});
  await settled();
  approvals.requestGone('8');
  approvals.requestGone('7');
  assert.deepEqual(await asked, {approved: false, here: true});
  assert.deepEqual(removed, [1]);
  const short = approvalsOf({answerMs: 60_000,
    pending: {...PENDING, leftS: 1.02}});
  assert.equal((await failureOf(short.approvals.ask(QUESTION))).reason,
      'approval_timeout');
});
