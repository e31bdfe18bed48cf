// The rules of a policy: which requests are protected, and how. Pure.
//
// Nothing is unprotected by mistake. A rule with a fault still covers the
// addresses it names, and nothing passes there until it is mended. Where it is
// not known which addresses were meant (Chromium leaves out all rules for one
// value of a wrong type), the last rules that could be read stay as well and
// stop what they protected.
import {isAmbiguous, normalPath} from './address.js';
import {compilePattern} from './match.js';
import {Reader, isBoolean, isObject, isOrigin, isText, isTexts, oneOf, someOf}
  from './policy_reader.js';

const KEYS = ['match', 'methods', 'initiators', 'protect', 'purpose',
  'audience', 'query', 'unbound_body', 'dpop', 'texts'];
const DEMANDS = ['dpop', 'refuseUnbound', 'broken'];
const METHOD = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;

const isMethod = (v) => typeof v === 'string' && METHOD.test(v);
const isAudience = (v) => isText(v) && URL.canParse(v);

// {rule, whole}: `whole` if all addresses could be read.
function readRule(raw, index, faults, commonTexts) {
  const where = `rules[${index}]`;
  if (!isObject(raw) || !isTexts(raw.match) || raw.match.length === 0) {
    faults.push(`${where}.match: no addresses`);
    return {whole: false};
  }
  // A pattern that cannot be read takes none of the others with it.
  const readable = raw.match.map((pattern, i) => new Reader(faults).tried(
      `${where}.match[${i}]`, () => compilePattern(pattern)))
      .filter(Boolean);
  const whole = readable.length === raw.match.length;
  if (readable.length === 0) return {whole};
  const own = [];
  const reader = new Reader(own);
  const take = (key, holds, fallback) =>
    reader.take(`${where}.${key}`, raw[key], holds, fallback);
  reader.known(where, raw, KEYS);
  const methods = take('methods', someOf(isMethod), undefined);
  const rule = {
    site: (url) => readable.some((pattern) => pattern.site(url)),
    covers: (url) => readable.some((pattern) => pattern.covers(url)),
    methods: methods && new Set(methods.map((m) => m.toUpperCase())),
    initiators: take('initiators', someOf(isOrigin), undefined),
    protect: take('protect', isBoolean, true),
    purpose: take('purpose', isText, undefined),
    audience: take('audience', isAudience, undefined),
    bindQuery: take('query', oneOf('bind', 'omit'), 'bind') === 'bind',
    refuseUnbound:
        take('unbound_body', oneOf('allow', 'refuse'), 'allow') === 'refuse',
    dpop: take('dpop', isBoolean, false),
    texts: {...commonTexts, ...reader.texts(`${where}.texts`, raw.texts)},
  };
  rule.broken = own.length > 0;
  // Nor does a rule with a fault make an exception.
  if (rule.broken) rule.protect = true;
  faults.push(...own);
  return {rule: Object.freeze(rule), whole};
}

function readAll(list, faults, texts) {
  const read = list.map((raw, i) => readRule(raw, i, faults, texts));
  return {rules: read.map(({rule}) => rule).filter(Boolean),
    whole: read.every(({whole}) => whole)};
}

// Of `raw`, the value of the policy's key "rules". {rules, whole}; if not
// `whole`, `last` (such a value, the last that was) is in force after the rules
// that could be read.
export function readRules(raw, {last = [], texts = {}, faults}) {
  if (!Array.isArray(raw)) faults.push('rules: no list');
  const {rules, whole} = Array.isArray(raw) ? readAll(raw, faults, texts) :
    {rules: [], whole: false};
  if (whole) return {rules, whole};
  const kept = readAll(last, [], texts).rules.map((rule) =>
    rule.protect ? Object.freeze({...rule, broken: true}) : rule);
  if (kept.length > 0) {
    faults.push('rules: what the last ones protected is stopped until then');
  }
  return {rules: [...rules, ...kept], whole};
}

// The first rule that covers the request, or undefined if it is not protected.
// A path that a server may read as another one is no exception from anything:
// if no rule protects it as it stands, the first that protects something of its
// site does. What any of those demands is then demanded.
export function ruleFor({rules}, url, method) {
  const named = method.toUpperCase();
  const fits = (rule) => rule.methods === undefined || rule.methods.has(named);
  if (!isAmbiguous(normalPath(url.pathname))) {
    const rule = rules.find((one) => fits(one) && one.covers(url));
    return rule?.protect ? rule : undefined;
  }
  const meant = rules.filter((one) =>
    one.protect && fits(one) && one.site(url));
  const rule = meant.find((one) => one.covers(url)) ?? meant[0];
  return rule && {...rule, ...Object.fromEntries(DEMANDS.map((name) =>
    [name, meant.some((one) => one[name])]))};
}
