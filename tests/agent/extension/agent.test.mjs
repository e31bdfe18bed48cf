// The port, sessions, decisions and who may ask.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {FakePort, failureOf} from './support.mjs';
import {Agent} from '../../../agent/extension/src/agent.js';
import {Authorizer} from '../../../agent/extension/src/authorizer.js';
import {Bridge, readRequest} from '../../../agent/extension/src/bridge.js';
import {Failure} from '../../../agent/extension/src/failure.js';
import {History} from '../../../agent/extension/src/history.js';
import {Parked} from '../../../agent/extension/src/parked.js';
import {readPolicy} from '../../../agent/extension/src/policy.js';
import {AgentPort, MAX_IN_FLIGHT, MAX_QUEUED} from
  '../../../agent/extension/src/port.js';
import {RateLimit} from '../../../agent/extension/src/rate_limit.js';
import {MAX_SESSIONS, Sessions} from '../../../agent/extension/src/sessions.js';

function portOf(more = {}) {
  const ports = [];
  const port = new AgentPort({connect: () => {
    ports.push(new FakePort());
    return ports.at(-1);
  }, ...more});
  return {port, ports};
}

test('answers find their requests in any order', async () => {
  const {port, ports} = portOf();
  const [a, b] = [port.request('status'), port.request('doctor')];
  const [first, second] = ports[0].requests;
  ports[0].answer(second, {doctor: {n: 2}});
  ports[0].answer(first, {status: {n: 1}});
  assert.deepEqual([(await a).status.n, (await b).doctor.n], [1, 2]);
});

test('one port serves all requests, and watches', async () => {
  const events = [];
  const {port, ports} = portOf({onEvent: (event) => events.push(event)});
  port.request('status').catch(() => {});
  port.request('status').catch(() => {});
  assert.equal(ports.length, 1);
  assert.equal(ports[0].sent.filter((m) => m.watch).length, 1);
  ports[0].onMessage.fire({requestId: '1', event: {kind: 'session_end'}});
  assert.deepEqual(events, [{kind: 'session_end'}]);
  port.close();
});

test('the agent’s error is the caller’s', async () => {
  const {port, ports} = portOf();
  const asked = port.request('status');
  ports[0].answer(ports[0].requests[0], {error: {code: 'busy', reason: 'busy',
    message: 'm', remedy: 'r', detail: 'secret path'}});
  const failure = await failureOf(asked);
  assert.deepEqual(failure.plain(),
      {code: 'busy', reason: 'busy', message: 'm', remedy: 'r'});
});

test('a request without an answer fails in time, queued or sent', async () => {
  const {port} = portOf();
  const asked = Array.from({length: MAX_IN_FLIGHT + 1},
      () => port.request('status', {}, 20));
  for (const one of asked) {
    assert.equal((await failureOf(one)).reason, 'timeout');
  }
  assert.equal(port.waiting.size + port.queue.length, 0);
});

test('only so many are under way, and only so many wait', async () => {
  const {port, ports} = portOf();
  const all = Array.from({length: MAX_IN_FLIGHT + MAX_QUEUED + 1},
      () => port.request('status'));
  assert.equal((await failureOf(all.pop())).reason, 'busy');
  assert.equal(ports[0].requests.length, MAX_IN_FLIGHT);
  ports[0].answer(ports[0].requests[0], {status: {}});
  assert.equal(ports[0].requests.length, MAX_IN_FLIGHT + 1);
  all.forEach((one) => one.catch(() => {}));
  port.close();
});

test('an error without an id fails all that wait and starts anew', async () => {
  let resets = 0;
  const {port, ports} = portOf({onReset: () => ++resets});
  const asked = [port.request('status'), port.request('status')];
  ports[0].onMessage.fire({error: {code: 'internal',
    reason: 'daemon_not_running'}});
  for (const one of asked) {
    assert.equal((await failureOf(one)).reason, 'daemon_not_running');
  }
  assert.equal(resets, 1);
  const again = port.request('status');
  assert.equal(ports.length, 1);  // The port is as good as before,
  assert.equal(ports[0].sent.filter((m) => m.watch).length, 2);  // the watch not.
  ports[0].answer(ports[0].requests.at(-1), {status: {}});
  await again;
});

test('a port that takes nothing is not used again', async () => {
  let resets = 0;
  const {port, ports} = portOf({onReset: () => ++resets});
  const first = port.request('status');
  ports[0].postMessage = () => {
    throw new Error('Attempting to use a disconnected port object');
  };
  assert.equal((await failureOf(port.request('status'))).reason, 'internal');
  await failureOf(first);
  assert.equal(resets, 1);
  const again = port.request('status');
  assert.equal(ports.length, 2);
  ports[1].answer(ports[1].requests[0], {status: {}});
  await again;
});

test('a port that closes is opened again; one that never spoke, later', async () => {
  let now = 0;
  const {port, ports} = portOf({now: () => now,
    lastError: () => 'Specified native messaging host not found.'});
  const first = port.request('status');
  ports[0].onDisconnect.fire();
  assert.equal((await failureOf(first)).reason, 'host_missing');
  assert.equal((await failureOf(port.request('status'))).reason, 'host_missing');
  assert.equal(ports.length, 1);
  now = 1000;
  const asked = port.request('status');
  assert.equal(ports.length, 2);
  ports[1].answer(ports[1].requests[0], {status: {}});
  await asked;
  ports[1].onDisconnect.fire();
  port.request('status').catch(() => {});
  assert.equal(ports.length, 3);
  port.close();
});

test('a port that cannot be opened is a failure of the request', async () => {
  const port = new AgentPort({connect: () => {
    throw new Error('no permission');
  }});
  assert.equal((await failureOf(port.request('status'))).reason, 'internal');
});

test('bytes travel as base64 and an unbound body not at all', async () => {
  const sent = [];
  const agent = new Agent({request: async (verb, fields) => {
    sent.push(fields);
    return {authorize: {decision: 'permit'}};
  }});
  await agent.authorize('s', {name: 'http:GET', resource: 'r', purpose: 'p',
    sha256: new Uint8Array([255, 254, 253]), key: 'not for the agent'});
  await agent.authorize('s', {name: 'http:GET', resource: 'r', purpose: 'p'});
  assert.deepEqual(sent, [{session_id: 's', name: 'http:GET', resource: 'r',
    purpose: 'p', request_sha256: '//79'}, {session_id: 's', name: 'http:GET',
    resource: 'r', purpose: 'p'}]);
});

function fakeAgent() {
  const agent = {opened: [], closed: [], approvals: [],
    openSession: async (what) => {
      agent.opened.push(what);
      return {sessionId: `s${agent.opened.length}`};
    },
    closeSession: async (id) => agent.closed.push(id),
    listed: [],  // What the agent has besides.
    ask: async () => ({sessions: agent.listed}),
    approve: async (...what) => agent.approvals.push(what),
  };
  return agent;
}

const sessionsOf = (agent, more = {}) => new Sessions({agent,
  profile: Promise.resolve('p'), describe: () => ({purpose: 'x'}), ...more});

test('one session for each key, however many ask at once', async () => {
  const agent = fakeAgent();
  const sessions = sessionsOf(agent);
  const got = await Promise.all(
      ['a', 'a', 'b', 'a'].map((key) => sessions.get(key)));
  assert.deepEqual(got.map((s) => s.id), ['s1', 's1', 's2', 's1']);
});

test('an opening that failed is tried again by the next', async () => {
  const agent = fakeAgent();
  const open = agent.openSession;
  agent.openSession = () => Promise.reject(new Failure('timeout'));
  const sessions = sessionsOf(agent);
  await failureOf(sessions.get('a'));
  agent.openSession = open;
  assert.equal((await sessions.get('a')).id, 's1');
});

test('the session that was longest unused makes room and is closed', async () => {
  const agent = fakeAgent();
  const sessions = sessionsOf(agent);
  for (let i = 0; i < MAX_SESSIONS; ++i) await sessions.get(`k${i}`);
  await sessions.get('k0');
  await sessions.get('one more');
  assert.deepEqual(agent.closed, ['s2']);
});

test('a session that is dropped while it opens is closed at the agent', async () => {
  const agent = fakeAgent();
  const sessions = sessionsOf(agent);
  const opening = sessions.get('a');
  await sessions.endAll();
  await opening;
  assert.deepEqual(agent.closed, ['s1']);
  assert.deepEqual(sessions.list(), []);
});

test('a session that the agent ended is not used again', async () => {
  const agent = fakeAgent();
  const sessions = sessionsOf(agent);
  await sessions.get('a');
  sessions.ended('s1');
  assert.equal((await sessions.get('a')).id, 's2');
});

test('sessions that nobody here knows are closed before one is opened, and ' +
     'when all end', async () => {
  const agent = fakeAgent();
  agent.listed = [{sessionId: 'old', taskId: 'p profile'},
    {sessionId: 'over', taskId: 'p profile', state: 'ended'},
    {sessionId: 'another profile’s', taskId: 'p2 profile'},
    {sessionId: 'a program’s'}];
  const sessions = sessionsOf(agent);
  await sessions.get('profile');
  assert.deepEqual(agent.closed, ['old']);
  agent.listed = [{sessionId: 's1', taskId: 'p profile'}];
  await sessions.get('b');
  assert.deepEqual(agent.closed, ['old']);
  // After a restart of worker or host, and only its lock or logout.
  sessions.forgetAll();
  await sessions.endAll();
  assert.deepEqual(agent.closed, ['old', 's1']);
});

test('a session whose opening was not answered is closed before the next, ' +
     'one that is being opened is not', async () => {
  const agent = fakeAgent();
  const sessions = sessionsOf(agent);
  const open = agent.openSession;
  let answer;
  const asked = new Promise((begun) => {
    agent.openSession = () => new Promise((resolve) => {
      answer = () => resolve({sessionId: 'slow'});
      begun();
    });
  });
  const slow = sessions.get('slow');
  await asked;
  agent.openSession = () => Promise.reject(new Failure('timeout'));
  await failureOf(sessions.get('a'));
  agent.openSession = open;
  agent.listed = [{sessionId: 'late', taskId: 'p a'},
    {sessionId: 'slow', taskId: 'p slow'}];
  await sessions.get('a');
  answer();
  assert.equal((await slow).id, 'slow');
  assert.deepEqual(agent.closed, ['late']);
});

test('an agent that cannot say what it has opens one all the same', async () => {
  const agent = fakeAgent();
  agent.ask = () => Promise.reject(new Failure('timeout'));
  assert.equal((await sessionsOf(agent).get('a')).id, 's1');
});

test('the last private window takes its sessions with it', async () => {
  const agent = fakeAgent();
  const sessions = sessionsOf(agent);
  await sessions.get('profile');
  await sessions.get('private by https://a.example');
  sessions.endPrivate();
  assert.deepEqual(agent.closed, ['s2']);
  assert.deepEqual(sessions.list().map(({key}) => key), ['profile']);
});

test('whatever ends a session ends what was made in it', async () => {
  const agent = fakeAgent();
  let ends = 0;
  const sessions = sessionsOf(agent, {onEnd: () => ++ends});
  const open = await sessions.get('a');
  assert.ok(sessions.isOpen(open));
  sessions.ended('another');
  sessions.ended(undefined);
  assert.equal(ends, 0);
  sessions.ended(open.id);
  assert.equal(ends, 1);
  assert.ok(!sessions.isOpen(open) && !sessions.has('a'));
  await sessions.endAll();
  sessions.endPrivate();  // There is none.
  assert.equal(ends, 2);
  await sessions.get('windowless by https://a.example');
  sessions.endPrivate();
  sessions.forgetAll();
  assert.equal(ends, 4);
});

test('one that asks for session after session is held back', async () => {
  const agent = fakeAgent();
  const sessions = sessionsOf(agent,
      {limit: new RateLimit({burst: 2, perSecond: 0, now: () => 0})});
  const ask = (key, asker) => sessions.get(key, asker);
  await ask('c/1', 'https://evil.example');
  await ask('c/2', 'https://evil.example');
  assert.equal((await failureOf(ask('c/3', 'https://evil.example'))).reason,
      'rate_limited');
  await ask('c/2', 'https://evil.example');  // Open already.
  await ask('c/3', 'https://a.example');
  assert.equal(agent.opened.length, 3);
});

const ACTION = {key: 'k', name: 'http:GET', resource: 'https://a.example/?q=1',
  purpose: 'p', who: 'w'};

function authorizerOf(answers, approves = true, words = []) {
  const agent = fakeAgent();
  const asked = [];
  agent.authorize = async (id, action) => {
    agent.last = action;
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const history = new History();
  const authorizer = new Authorizer({agent, sessions: sessionsOf(agent), history,
    approvals: {ask: async (question) => {
      asked.push(question);
      return {here: true, approved: approves, ...words[asked.length - 1]};
    }}});
  return {authorizer, agent, asked, history};
}

test('nobody is asked about a request that was stopped already', async () => {
  const {authorizer, asked} = authorizerOf([NEEDED]);
  const deadline = {over: true, stop() {}, restart() {}};
  const failure = await failureOf(authorizer.permit({...ACTION, deadline}));
  assert.equal(failure.reason, 'timeout');
  assert.deepEqual(asked, []);
});

test('a permit comes with its session', async () => {
  const {authorizer, history} = authorizerOf([{decision: 'permit', receipt: 'r'}]);
  const {answer, session} = await authorizer.permit(ACTION);
  assert.equal(answer.receipt, 'r');
  assert.equal(session.id, 's1');
  const shown = JSON.stringify(history.list());
  assert.ok(shown.includes('"permit"') && !shown.includes('q=1'), shown);
});

test('the evidence names the origin that asked', async () => {
  const {authorizer, agent} = authorizerOf(
      [{decision: 'permit'}, {decision: 'permit'}, {decision: 'permit'}]);
  await authorizer.permit({...ACTION, initiator: 'https://evil.example'});
  assert.equal(agent.last.taskId, 'from https://evil.example p k');
  await authorizer.permit(
      {...ACTION, initiator: `https://${'x'.repeat(250)}.example`});
  assert.equal(agent.last.taskId.length, 240);
  await authorizer.permit(ACTION);
  assert.equal(agent.last.taskId, undefined);
  const sent = [];
  await new Agent({request: async (verb, fields) => {
    sent.push(fields);
    return {authorize: {}};
  }}).authorize('s', {...ACTION, taskId: 'from x'});
  assert.equal(sent[0].task_id, 'from x');
});

test('what comes too late is no permit, and not recorded as one', async () => {
  const {authorizer, history} = authorizerOf([{decision: 'permit'}]);
  const late = {...ACTION, deadline: {over: true}};
  assert.equal((await failureOf(authorizer.permit(late))).reason, 'timeout');
  assert.deepEqual(history.list(), []);
});

test('whoever only observes asks nobody', async () => {
  const {authorizer, asked, history} = authorizerOf([NEEDED]);
  assert.equal((await failureOf(
      authorizer.permit({...ACTION, observe: true}))).reason,
  'approval_required');
  assert.deepEqual(asked, []);
  assert.equal(history.list()[0].outcome, 'observed');
});

test('a person may take longer than the agent', async () => {
  const steps = [];
  const {authorizer} = authorizerOf([NEEDED, {decision: 'permit'}]);
  authorizer.approvals.ask = async () => {
    steps.push('asked');
    return {approved: true, here: true};
  };
  await authorizer.permit({...ACTION, deadline: {over: false,
    stop: () => steps.push('stop'), restart: () => steps.push('restart')}});
  assert.deepEqual(steps, ['stop', 'asked', 'restart']);
});

test('a denial is a failure with the agent’s words', async () => {
  const {authorizer, history} = authorizerOf([{decision: 'deny',
    reason: {code: 'policy_denied', reason: 'policy_denied', message: 'No.'}}]);
  assert.equal((await failureOf(authorizer.permit(ACTION))).message, 'No.');
  assert.equal(history.list()[0].outcome, 'deny');
});

test('a session that is over is opened again, once', async () => {
  const over = () => new Failure('session_ended', {code: 'session_expired'});
  const good = authorizerOf([over(), {decision: 'permit'}]);
  await good.authorizer.permit(ACTION);
  assert.equal(good.agent.opened.length, 2);
  const bad = authorizerOf([over(), over()]);
  assert.equal((await failureOf(bad.authorizer.permit(ACTION))).reason,
      'session_ended');
});

const NEEDED = {decision: 'approval_required', approvalGrade: 'prompt',
  requestDigest: 'AAAA'};

test('an approval is for that request and asks for a decision again', async () => {
  const {authorizer, agent, asked} =
      authorizerOf([NEEDED, {decision: 'permit', receipt: 'r'}]);
  await authorizer.permit(ACTION);
  assert.equal(asked[0].requestDigest, 'AAAA');
  assert.equal(asked[0].sessionId, 's1');
  assert.deepEqual(agent.approvals, [['s1', 'AAAA', true]]);
});

test('a permit says which approval it rests on', async () => {
  const permit = {decision: 'permit', receipt: 'r', approvalGrade: 'prompt'};
  const {authorizer, history} = authorizerOf([NEEDED, permit]);
  const {answer} = await authorizer.permit(ACTION);
  assert.equal(answer.approvalGrade, 'prompt');
  assert.equal(history.list()[0].approvalGrade, 'prompt');
});

test('a word that was given elsewhere is not given again', async () => {
  const {authorizer, agent} = authorizerOf(
      [NEEDED, {decision: 'permit', receipt: 'r'}], true, [{here: false}]);
  await authorizer.permit(ACTION);
  assert.deepEqual(agent.approvals, []);
});

test('a word that went to another request is asked for anew', async () => {
  const {authorizer, agent, asked} = authorizerOf(
      [NEEDED, NEEDED, {decision: 'permit', receipt: 'r'}], true,
      [{here: false}]);
  await authorizer.permit(ACTION);
  assert.equal(asked.length, 2);
  assert.deepEqual(agent.approvals, [['s1', 'AAAA', true]]);
});

test('an approval that the agent refuses permits nothing', async () => {
  const {authorizer, agent, history} = authorizerOf([NEEDED]);
  agent.approve = async () => {
    throw new Failure('approver_not_apart', {code: 'policy_denied'});
  };
  assert.equal((await failureOf(authorizer.permit(ACTION))).reason,
      'approver_not_apart');
  assert.equal(history.list()[0].outcome, 'deny');
});

test('what the user denies is not approved', async () => {
  const {authorizer, agent} = authorizerOf([NEEDED], false);
  assert.equal((await failureOf(authorizer.permit(ACTION))).reason,
      'approval_denied');
  assert.deepEqual(agent.approvals, [['s1', 'AAAA', false]]);
});

test('a denial stays one if the agent does not hear it', async () => {
  const {authorizer, agent} = authorizerOf([NEEDED], false);
  agent.approve = async () => {
    throw new Failure('host_gone');
  };
  assert.equal((await failureOf(authorizer.permit(ACTION))).reason,
      'approval_denied');
});

const PENDING = {sessionId: 's1', requestDigest: 'AAEC'};

test('the agent is asked what waits, by session and digest', async () => {
  const asked = [];
  const agent = new Agent({request: async (...what) => {
    asked.push(what);
    return {listSessions: {pending: [{...PENDING, sessionId: 's2'},
      {...PENDING, requestDigest: 'AAED'}, PENDING]}};
  }});
  assert.equal(await agent.pending('s1', 'AAEC'), PENDING);
  assert.equal(await agent.pending('s3', 'AAEC'), undefined);
  assert.deepEqual(asked[0], ['list_sessions', {}]);
  const silent = new Agent({request: async () => ({listSessions: {}})});
  assert.equal(await silent.pending('s1', 'AAEC'), undefined);
});

// -- pages and other extensions -------------------------------------------------

const ASKED = {name: 'http:POST', resource: 'https://a.example/x',
  purpose: 'work', requestDigest: 'ab'.repeat(32)};
const PERMIT = {answer: {decision: 'permit', receipt: 'secret', grant: 'secret',
  actionDigest: 'AA==', requestDigest: 'AQ==', sequence: '7',
  approvalGrade: 'prompt'}, session: {}};

function bridgeOf({limit = new RateLimit({burst: 100, perSecond: 1}), ...more} =
{}) {
  const permitted = [];
  const parked = new Parked();
  const bridge = new Bridge({parked, limit,
    policies: {ready: Promise.resolve(), policy: readPolicy({
      page_api: [{origins: ['https://agent.example']}],
      agent_extensions: ['good'], rules: [], ...more})},
    authorizer: {permit: async (action) => {
      permitted.push(action);
      return PERMIT;
    }}});
  return {bridge, permitted, parked};
}

const PAGE = {origin: 'https://agent.example', id: 'self',
  tab: {incognito: false, url: 'https://agent.example/c/1'}};

test('a page of an allowed origin is told the decision and nothing secret',
    async () => {
      const {bridge, parked} = bridgeOf();
      const answer = await bridge.fromPage(ASKED, PAGE);
      assert.equal(answer.result.decision, 'permit');
      assert.deepEqual(Object.keys(answer.result), ['decision', 'actionDigest',
        'requestDigest', 'approvalGrade']);
      assert.equal(answer.result.approvalGrade, 'prompt');
      assert.ok(!JSON.stringify(answer).includes('secret'));
      assert.equal(parked.entries.length, 1);
    });

test('a page’s action is what the rules make of its request', async () => {
  const {bridge, permitted} = bridgeOf({
    session: {purpose: 'work', boundaries: ['https://agent.example/c/{id}']},
    rules: [{match: ['https://a.example/pay/*'], purpose: 'pay', query: 'omit',
      audience: 'urn:bank'},
    {match: ['https://a.example/form'], unbound_body: 'refuse'},
    {match: ['https://a.example/broken'], dpop: 'yes'},
    {match: ['https://a.example/*']}]});
  const ask = (more) => bridge.fromPage(
      {...ASKED, purpose: 'harmless', ...more}, PAGE);
  await ask({resource: 'https://a.example/pay/1?to=me'});
  await ask({name: 'http:GET', requestDigest: undefined});
  const [pay, get] = permitted;
  assert.deepEqual([pay.resource, pay.purpose, pay.audience, pay.key,
    pay.initiator], ['https://a.example/pay/1', 'pay', 'urn:bank',
    'profile 0:agent.example/1', 'https://agent.example']);
  assert.equal(get.purpose, 'work');
  assert.equal(get.sha256.length, 32);
  for (const [resource, reason] of [
    ['https://a.example/form', 'body_unbound'],
    ['https://a.example/broken', 'policy_invalid']]) {
    const answer = await ask({resource, requestDigest: undefined});
    assert.equal(answer.error.reason, reason);
  }
  // What is no request of the browser's says for itself why.
  await ask({name: 'mcp:tools/call'});
  assert.equal(permitted.at(-1).purpose, 'harmless');
});

test('a page of another origin is refused, whatever it says of itself',
    async () => {
      const {bridge, permitted} = bridgeOf();
      for (const sender of [{...PAGE, origin: 'https://evil.example'},
        {url: 'https://evil.example/https://agent.example'},
        {origin: 'null'}, {}]) {
        const answer = await bridge.fromPage(
            {...ASKED, origin: 'https://agent.example'}, sender);
        assert.equal(answer.error.reason, 'origin_not_allowed');
      }
      assert.equal(permitted.length, 0);
    });

test('a flood of one sender is held back and others are not', async () => {
  const {bridge, permitted} = bridgeOf(
      {limit: new RateLimit({burst: 3, perSecond: 1})});
  const answers = await Promise.all(
      Array.from({length: 50}, () => bridge.fromPage(ASKED, PAGE)));
  assert.equal(answers.filter(
      (a) => a.error?.reason === 'rate_limited').length, 47);
  assert.equal(permitted.length, 3);
  const other = await bridge.fromExtension(ASKED, {id: 'good'});
  assert.equal(other.result.decision, 'permit');
});

test('a rate limit fills up again and forgets the silent', () => {
  let now = 0;
  const limit = new RateLimit({burst: 2, perSecond: 2, now: () => now,
    maxSenders: 2});
  assert.deepEqual([1, 2, 3].map(() => limit.take('a')), [true, true, false]);
  now = 500;
  assert.deepEqual([1, 2].map(() => limit.take('a')), [true, false]);
  limit.take('b');
  limit.take('c');
  assert.equal(limit.senders.size, 2);
});

test('only an extension that policy names gets a receipt', async () => {
  const {bridge} = bridgeOf();
  assert.equal((await bridge.fromExtension(ASKED, {id: 'good'})).result.receipt,
      'secret');
  assert.equal((await bridge.fromExtension(ASKED, {id: 'bad'})).error.reason,
      'origin_not_allowed');
});

test('what is not well formed is refused', () => {
  for (const asked of [null, undefined, 'text', 7, {}, {...ASKED, name: 'nocolon'},
    {...ASKED, name: 'a:b c'}, {...ASKED, name: ':x'}, {...ASKED, purpose: ''},
    {...ASKED, purpose: 'x'.repeat(257)}, {...ASKED, resource: 'no url'},
    {...ASKED, requestDigest: 'AB'.repeat(32)}, {...ASKED, requestDigest: 7},
    {...ASKED, resource: {toString: () => 'https://a.example'}},
    // The agent would refuse the message, and with it all that wait.
    {...ASKED, purpose: 'a\ud800b'}, {...ASKED, resource: 'urn:\ud800'},
    {...ASKED, purpose: 'a\nb'}, {...ASKED, purpose: 'a\0b'},
    {...ASKED, purpose: 'invoice\u202efdp.exe'},
    {...ASKED, resource: 'urn:x:\u00fc'}, {...ASKED, resource: 'urn:x:y z'}]) {
    assert.throws(() => readRequest(asked), {reason: 'bad_request'});
  }
  assert.equal(readRequest({...ASKED, resource: 'urn:x:y'}).audience, undefined);
  assert.equal(readRequest({...ASKED, purpose: 'Überweisung 🐟'}).purpose,
      'Überweisung 🐟');
});
