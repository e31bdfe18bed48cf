// What managed policy says, read once and then only asked. Pure.
//
// What cannot be read is a fault that the options page shows; rules.js says why
// none of them unprotects anything. managed_schema.json is the same in the
// browser's words.
import {compileBoundary, compilePattern, globToRegExp} from './match.js';
import {Reader, isBoolean, isObject, isOrigin, isText, isTexts, oneOf}
  from './policy_reader.js';
import {readRules} from './rules.js';

const DEFAULT_HEADER = 'Sec-Device-Proof';
const DEFAULT_PURPOSE = 'use an AI application';
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const KEYS = ['mode', 'header', 'rules', 'session', 'page_api',
  'agent_extensions', 'texts'];
const SESSION_KEYS = ['purpose', 'bind', 'lifetime_s', 'boundaries', 'end_on',
  'end_on_lock'];
const PAGE_KEYS = ['origins', 'actions'];

function readSession(raw, reader) {
  reader.known('session', raw, SESSION_KEYS);
  const boundaries =
      reader.take('session.boundaries', raw.boundaries, isTexts, []);
  const ends = reader.take('session.end_on', raw.end_on, isTexts, [])
      .map((pattern, i) => reader.tried(`session.end_on[${i}]`,
          () => compilePattern(pattern).covers)).filter(Boolean);
  return Object.freeze({
    purpose: reader.take('session.purpose', raw.purpose, isText,
        DEFAULT_PURPOSE),
    // Only the operating system's user so far; an identity provider's session
    // is named here once the agent can sign in to one.
    bind: reader.take('session.bind', raw.bind, oneOf('os'), 'os'),
    lifetimeS: reader.take('session.lifetime_s', raw.lifetime_s,
        (v) => Number.isInteger(v) && v > 0 && v <= 86400, 0),
    boundaries: boundaries.map((template, i) => reader.tried(
        `session.boundaries[${i}]`, () => compileBoundary(template)))
        .filter(Boolean),
    endsOn: (url) => ends.some((covers) => covers(url)),
    endOnLock: reader.take('session.end_on_lock', raw.end_on_lock, isBoolean,
        false),
  });
}

function readPageApi(raw, index, faults) {
  const where = `page_api[${index}]`;
  const reader = new Reader(faults);
  if (!isObject(raw) || !isTexts(raw.origins)) {
    faults.push(`${where}.origins: none`);
    return undefined;
  }
  reader.known(where, raw, PAGE_KEYS);
  const origins = raw.origins.filter((origin) => {
    const fine = isOrigin(origin);
    if (!fine) faults.push(`${where}.origins: "${origin}" is no origin`);
    return fine;
  });
  const actions = reader.take(`${where}.actions`, raw.actions, isTexts, ['*']);
  return Object.freeze({origins, actions: actions.map(globToRegExp)});
}

// `lastRules`: the last value of "rules" that could be read whole.
export function readPolicy(managed, lastRules = []) {
  const faults = [];
  const reader = new Reader(faults);
  const raw = isObject(managed) ? managed : {};
  const configured = Object.keys(raw).length > 0;
  reader.known('policy', raw, KEYS);
  const texts = reader.texts('texts', raw.texts);
  const {rules, whole} = readRules(configured ? raw.rules : [],
      {last: lastRules, texts, faults});
  const list = (name) => reader.take(name, raw[name], Array.isArray, []);
  return Object.freeze({
    configured,
    // Anything but a plain "observe" enforces.
    observe: reader.take('mode', raw.mode, oneOf('enforce', 'observe'),
        'enforce') === 'observe',
    header: reader.take('header', raw.header, (v) => HEADER_NAME.test(v),
        DEFAULT_HEADER),
    rules,
    rulesWhole: whole,
    session: readSession(
        reader.take('session', raw.session, isObject, {}), reader),
    pageApi: list('page_api').map((entry, i) => readPageApi(entry, i, faults))
        .filter(Boolean),
    agentExtensions: new Set(reader.take('agent_extensions',
        raw.agent_extensions, isTexts, [])),
    texts,
    faults,
  });
}

// Which conversation one of these addresses is of, the first that is of any; ''
// if none is. Two applications never share one.
export function boundaryOf({session: {boundaries}}, urls) {
  for (const url of urls) {
    for (const [index, boundary] of boundaries.entries()) {
      const text = boundary(url);
      if (text !== undefined) return `${index}:${url.host}/${text}`;
    }
  }
  return '';
}

export function pageMayAsk(policy, origin, name) {
  const entries = policy.pageApi.filter((e) => e.origins.includes(origin));
  if (entries.length === 0) return 'origin_not_allowed';
  return entries.some((e) => e.actions.some((action) => action.test(name))) ?
    undefined : 'action_not_allowed';
}
