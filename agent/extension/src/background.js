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
const MAX_TASK_ID = 240;
const everywhere = {urls: ['<all_urls>']};
const urlOf = (path) => api.runtime.getURL(path);

const policies = new PolicyStore({
  storage: api.storage,
  onChange: (policy) => {
    parked.clear();
    pool.clear();
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
  onReset: () => {
    sessions.forgetAll();
    parked.clear();
    pool.clear();
  },
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
  agent,
  describe: async (key) => ({
    purpose: policies.policy.session.purpose,
    taskId: `${await profile} ${key}`.slice(0, MAX_TASK_ID),
    origin: urlOf(''),
    lifetimeS: policies.policy.session.lifetimeS,
  }),
});

const history = new History();
const parked = new Parked();
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
  policies, prover, pool, sessions, notices, history, approvals,
  tabUrl: async (id) => id < 0 ? undefined : (await api.tabs.get(id)).url,
});

policies.start();

api.webRequest.onBeforeRequest.addListener(
    (details) => interceptor.onBeforeRequest(details), everywhere,
    ['requestBody']);
const {EXTRA_HEADERS} = api.webRequest.OnBeforeSendHeadersOptions ?? {};
api.webRequest.onBeforeSendHeaders.addListener(
    (details) => interceptor.onBeforeSendHeaders(details), everywhere,
    ['blocking', 'requestHeaders', ...(EXTRA_HEADERS ? [EXTRA_HEADERS] : [])]);
api.webRequest.onErrorOccurred.addListener(
    ({requestId}) => approvals.requestGone(requestId), everywhere);

void requestsWait(api, (wait) => {
  interceptor.waits = wait;
});

api.idle.onStateChanged.addListener((state) => {
  const {endOnLock} = policies.policy.session;
  if (state === 'locked' && endOnLock) sessions.endAll();
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
