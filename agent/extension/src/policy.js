// What managed policy says, read once and then only asked. Pure.
//
// Strict where it protects: a rule with a fault still protects the addresses
// it names, and nothing passes there until it is mended. A rule whose addresses
// cannot be read, or a key that is not known, is a fault that the options page
// shows. managed_schema.json is the same in the browser's words.
import {compileBoundary, compilePatterns, globToRegExp} from './match.js';

const DEFAULT_HEADER = 'Sec-Device-Proof';
const DEFAULT_PURPOSE = 'use an AI application';
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const KEYS = ['mode', 'header', 'rules', 'session', 'page_api',
  'agent_extensions', 'texts'];
const RULE_KEYS = ['match', 'methods', 'protect', 'purpose', 'audience',
  'query', 'unbound_body', 'dpop', 'texts'];
const SESSION_KEYS = ['purpose', 'bind', 'lifetime_s', 'boundaries', 'end_on',
  'end_on_lock'];
const PAGE_KEYS = ['origins', 'actions'];

// Collects what is wrong, each with where.
class Reader {
  constructor(faults) {
    this.faults = faults;
  }

  known(where, object, keys) {
    for (const key of Object.keys(object)) {
      if (!keys.includes(key)) this.faults.push(`${where}.${key}: not known`);
    }
  }

  // `value` if `holds`, else `fallback` and a fault; absent is `fallback`.
  take(where, value, holds, fallback) {
    if (value === undefined) return fallback;
    if (holds(value)) return value;
    this.faults.push(`${where}: not a value that it may have`);
    return fallback;
  }

  tried(where, make, fallback) {
    try {
      return make();
    } catch (error) {
      this.faults.push(`${where}: ${error.message}`);
      return fallback;
    }
  }
}

const isObject = (v) =>
  typeof v === 'object' && v !== null && !Array.isArray(v);
const isText = (v) => typeof v === 'string' && v.length > 0 && v.length <= 256;
const isTexts = (v) => Array.isArray(v) && v.every(isText);
const isBoolean = (v) => typeof v === 'boolean';
const oneOf = (...values) => (v) => values.includes(v);

function readRule(raw, index, faults) {
  const where = `rules[${index}]`;
  if (!isObject(raw) || !isTexts(raw.match) || raw.match.length === 0) {
    faults.push(`${where}.match: no addresses`);
    return undefined;
  }
  const own = [];
  const reader = new Reader(own);
  // A pattern that cannot be read takes none of the others with it.
  const patterns = raw.match.map((pattern, i) => new Reader(faults).tried(
      `${where}.match[${i}]`, () => compilePatterns([pattern])));
  const readable = patterns.filter(Boolean);
  if (readable.length === 0) return undefined;
  reader.known(where, raw, RULE_KEYS);
  const rule = {
    covers: (url) => readable.some((covers) => covers(url)),
    methods: reader.take(`${where}.methods`, raw.methods, isTexts, undefined),
    protect: reader.take(`${where}.protect`, raw.protect, isBoolean, true),
    purpose: reader.take(`${where}.purpose`, raw.purpose, isText, undefined),
    audience: reader.take(`${where}.audience`, raw.audience,
        (v) => isText(v) && URL.canParse(v), undefined),
    bindQuery: reader.take(`${where}.query`, raw.query,
        oneOf('bind', 'omit'), 'bind') === 'bind',
    refuseUnbound: reader.take(`${where}.unbound_body`, raw.unbound_body,
        oneOf('allow', 'refuse'), 'allow') === 'refuse',
    dpop: reader.take(`${where}.dpop`, raw.dpop, isBoolean, false),
    texts: reader.take(`${where}.texts`, raw.texts, isObject, {}),
  };
  rule.broken = own.length > 0;
  faults.push(...own);
  return Object.freeze(rule);
}

function readSession(raw, reader) {
  reader.known('session', raw, SESSION_KEYS);
  const boundaries =
      reader.take('session.boundaries', raw.boundaries, isTexts, []);
  const endOn = reader.take('session.end_on', raw.end_on, isTexts, []);
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
    endsOn: reader.tried('session.end_on', () => compilePatterns(endOn),
        () => false),
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
    const fine = URL.canParse(origin) && new URL(origin).origin === origin &&
        /^https?:/.test(origin);
    if (!fine) faults.push(`${where}.origins: "${origin}" is no origin`);
    return fine;
  });
  const actions = reader.take(`${where}.actions`, raw.actions, isTexts, ['*']);
  return Object.freeze({origins, actions: actions.map(globToRegExp)});
}

export function readPolicy(managed) {
  const faults = [];
  const reader = new Reader(faults);
  const raw = isObject(managed) ? managed : {};
  reader.known('policy', raw, KEYS);
  const list = (name) => reader.take(name, raw[name], Array.isArray, []);
  return Object.freeze({
    configured: Object.keys(raw).length > 0,
    // Anything but a plain "observe" enforces.
    observe: reader.take('mode', raw.mode, oneOf('enforce', 'observe'),
        'enforce') === 'observe',
    header: reader.take('header', raw.header, (v) => HEADER_NAME.test(v),
        DEFAULT_HEADER),
    rules: list('rules').map((rule, i) => readRule(rule, i, faults))
        .filter(Boolean),
    session: readSession(
        reader.take('session', raw.session, isObject, {}), reader),
    pageApi: list('page_api').map((entry, i) => readPageApi(entry, i, faults))
        .filter(Boolean),
    agentExtensions: new Set(reader.take('agent_extensions',
        raw.agent_extensions, isTexts, [])),
    texts: reader.take('texts', raw.texts, isObject, {}),
    faults,
  });
}

// The first rule that covers the request, or undefined if it is not protected.
export function ruleFor(policy, url, method) {
  const rule = policy.rules.find((candidate) => candidate.covers(url) &&
      (candidate.methods === undefined || candidate.methods.includes(method)));
  return rule?.protect ? rule : undefined;
}

export function boundaryOf(policy, urls) {
  for (const url of urls) {
    for (const boundary of policy.session.boundaries) {
      const text = boundary(url);
      if (text !== undefined) return text;
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
