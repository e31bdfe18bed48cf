// Wires the parts together. Every listener is registered here, at once: a
// worker that is woken for an event must have them before it awaits anything.
import {Agent} from './agent.js';
import {api} from './api.js';
import {Approvals} from './approvals.js';
import {Authorizer} from './authorizer.js';
import {Bridge} from './bridge.js';
import {randomId} from './encoding.js';
import {Failure} from './failure.js';
import {History} from './history.js';
import {Interceptor} from './interceptor.js';
import {Notices} from './notices.js';
import {placePageScripts} from './page_scripts.js';
import {Parked} from './parked.js';
import {PolicyStore} from './policy_store.js';
import {ProofPool} from './pool.js';
import {AgentPort} from './port.js';
import {requestsWait} from './probe.js';
import {Prover} from './prover.js';
import {RateLimit} from './rate_limit.js';
import {Sessions} from './sessions.js';
import {serve} from './windows.js';

const HOST = 'countersign.agent';
const everywhere = {urls: ['<all_urls>']};
const urlOf = (path) => api.runtime.getURL(path);

const policies = new PolicyStore({
  storage: api.storage,
  onChange: (policy, changed) => {
    forgetProofs();
    if (changed.sessions) void sessions.endAll();
    placing = placing.then(() => placePageScripts(api.scripting, policy))
        .catch(() => {});
  },
});
let placing = Promise.resolve();

const port = new AgentPort({
  connect: () => api.runtime.connectNative(HOST),
  lastError: (closed) => (closed.error ?? api.runtime.lastError)?.message,
  onEvent: (event) => {
    if (event.kind === 'session_end') sessions.ended(event.session?.sessionId);
    approvals.onEvent(event);
  },
  onReset: () => sessions.forgetAll(),
});
const agent = new Agent(port);

// One name for each profile of the browser: two profiles never share a task.
const profile = api.storage.local.get('profile').then(async (stored) => {
  if (stored.profile) return stored.profile;
  const made = randomId();
  await api.storage.local.set({profile: made});
  return made;
});
const sessions = new Sessions({
  agent, profile,
  describe: () => ({
    purpose: policies.policy.session.purpose,
    origin: urlOf(''),
    lifetimeS: policies.policy.session.lifetimeS,
  }),
  // More than a person opens, less than a page could to keep the TPM busy.
  limit: new RateLimit({burst: 32, perSecond: 0.5}),
  onEnd: forgetProofs,
});

const history = new History();
const parked = new Parked({isOpen: (session) => sessions.isOpen(session)});
const approvals = new Approvals({
  agent, windows: api.windows, tabs: api.tabs, urlOf,
  serviceUrl: async () => (await agent.status()).service,
});
const authorizer = new Authorizer({agent, sessions, approvals, history});
const prover = new Prover(
    {agent, authorizer, parked, headerName: () => policies.policy.header});
const pool = new ProofPool(
    {fetchProof: (request) => prover.headersFor(request)});
const notices = new Notices({tabs: api.tabs, notifications: api.notifications,
  action: api.action, urlOf});
const bridge = new Bridge({policies, authorizer, parked,
  limit: new RateLimit({burst: 40, perSecond: 20})});
const interceptor = new Interceptor({
  policies, prover, pool, sessions, notices, history,
  // Each initiator: more than any application, less than what fills the queue.
  limit: new RateLimit({burst: 2000, perSecond: 200}),
  endLimit: new RateLimit({burst: 1, perSecond: 0.1}),
  tab: async (id) => id < 0 ? undefined : api.tabs.get(id),
});
void api.extension.isAllowedIncognitoAccess().then((allowed) => {
  interceptor.seesPrivate = allowed;
});

// What was made for a policy or a session that is over is good no longer.
function forgetProofs() {
  parked.clear();
  pool.clear();
}

void policies.start().then(() => {
  interceptor.loaded = true;
});

api.webRequest.onBeforeRequest.addListener(
    (details) => interceptor.onBeforeRequest(details), everywhere,
    ['requestBody']);
const {EXTRA_HEADERS} = api.webRequest.OnBeforeSendHeadersOptions ?? {};
api.webRequest.onBeforeSendHeaders.addListener(
    (details) => interceptor.onBeforeSendHeaders(details), everywhere,
    ['blocking', 'requestHeaders', ...(EXTRA_HEADERS ? [EXTRA_HEADERS] : [])]);
for (const event of ['onBeforeRedirect', 'onCompleted', 'onErrorOccurred']) {
  api.webRequest[event].addListener(
      (details) => interceptor.onDone(details), everywhere);
}
api.webRequest.onErrorOccurred.addListener(
    ({requestId}) => approvals.requestGone(requestId), everywhere);

void requestsWait(api, (wait) => {
  interceptor.waits = wait;
});

api.idle.onStateChanged.addListener(async (state) => {
  await policies.ready;  // Perhaps this very event woke the worker.
  const {endOnLock} = policies.policy.session;
  if (state === 'locked' && endOnLock) await sessions.endAll();
});

api.windows.onRemoved.addListener(async () => {
  const left = await api.windows.getAll();
  if (!left.some(({incognito}) => incognito)) sessions.endPrivate();
});

api.runtime.onMessage.addListener((message, sender, respond) => {
  if (message?.kind === 'authorize') {
    bridge.fromPage(message.request, sender).then(respond);
    return true;
  }
  if (sender.id !== api.runtime.id || !sender.url?.startsWith(urlOf('ui/'))) {
    return false;
  }
  serve(message, {agent, policies, sessions, history, notices, approvals,
    interceptor}, sender).then(respond, (error) => {
    respond({error: Failure.of(error).plain()});
  });
  return true;
});

api.runtime.onConnectExternal.addListener((external) => {
  external.onMessage.addListener(async (message) => {
    const answer =
        await bridge.fromExtension(message?.request, external.sender);
    try {
      external.postMessage({id: message?.id, ...answer});
    } catch {
      // It has gone.
    }
  });
});
