// URL patterns of the policy: SCHEME://HOST[:PORT]/PATH, where HOST may start
// with "*." (and then covers the domain itself too) and PATH may hold "*".
// WebSocket handshakes are HTTP requests: http and https cover ws and wss.
// Anything else is refused when the policy is read, never when it is used.

const HTTP_SCHEME = {'http:': 'http:', 'https:': 'https:', 'ws:': 'http:',
  'wss:': 'https:'};
const PATTERN = new RegExp(
    '^(https?|\\*)://' +  // scheme
    '(\\*\\.)?([^/*?#@:[\\]]+|\\[[0-9a-fA-F:.]+\\])' +  // host
    '(?::(\\d{1,5}))?' +  // port
    '(/[^#]*)$');  // path and query
const DEFAULT_PORT = {'http:': '80', 'https:': '443'};

export function httpScheme(protocol) {
  return HTTP_SCHEME[protocol];
}

function escapeRegExp(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

// "a*b" as an anchored regular expression; `*` covers anything.
export function globToRegExp(glob) {
  return new RegExp(`^${glob.split('*').map(escapeRegExp).join('.*')}$`, 's');
}

// A function that tells whether a URL object is covered. Throws TypeError with
// the pattern in its message if it is not one.
export function compilePattern(pattern) {
  const parts = PATTERN.exec(pattern);
  if (parts === null) throw new TypeError(`"${pattern}" is not a URL pattern`);
  const [, scheme, anyLabel, hostText, port, path] = parts;
  // The URL parser's own idea of this host: case, punycode, IPv6 form.
  const host = new URL(`https://${hostText}/`).hostname;
  const covered = globToRegExp(path);
  return (url) => {
    const protocol = httpScheme(url.protocol);
    if (protocol === undefined) return false;
    if (scheme !== '*' && `${scheme}:` !== protocol) return false;
    if (url.hostname !== host &&
        !(anyLabel && url.hostname.endsWith(`.${host}`))) {
      return false;
    }
    const itsPort = url.port || DEFAULT_PORT[protocol];
    if (itsPort !== (port ?? DEFAULT_PORT[protocol])) return false;
    return covered.test(url.pathname + url.search);
  };
}

export function compilePatterns(patterns) {
  const compiled = patterns.map(compilePattern);
  return (url) => compiled.some((covers) => covers(url));
}

// A conversation boundary: a URL pattern in which "{name}" stands for one path
// segment or query value. Gives the text that tells conversations apart, or
// undefined where it does not apply.
export function compileBoundary(template) {
  const holes = template.match(/\{[a-z_]+\}/g) ?? [];
  if (holes.length === 0) {
    throw new TypeError(`"${template}" names no {part}`);
  }
  const covers = compilePattern(template.replace(/\{[a-z_]+\}/g, '*'));
  const path = template.replace(/^[^/]*\/\/[^/]*/, '');
  const source = path.split(/(\{[a-z_]+\}|\*)/).map((piece) => {
    if (piece === '*') return '.*';
    return piece.startsWith('{') ? '([^/?&#]+)' : escapeRegExp(piece);
  }).join('');
  const parts = new RegExp(`^${source}$`, 's');
  return (url) => {
    if (!covers(url)) return undefined;
    const found = parts.exec(url.pathname + url.search);
    return found === null ? undefined : found.slice(1).join('/');
  };
}
