// URL patterns of the policy: SCHEME://HOST[:PORT]/PATH[?QUERY], where HOST may
// start with "*." (and then covers the domain itself too) and PATH and QUERY
// may hold "*". They cover addresses in the form that receipts name; a pattern
// without "?" covers any query. WebSocket handshakes are HTTP requests: http
// and https cover ws and wss. Anything else is refused when the policy is read,
// never when it is used.
import {hostName, httpScheme, normalPath, normalQuery} from './address.js';

const PATTERN = new RegExp(
    '^(https?|\\*)://' +  // scheme
    '(\\*\\.)?([^/*?#@:[\\]]+|\\[[0-9a-fA-F:.]+\\])' +  // host
    '(?::(\\d{1,5}))?' +  // port
    '(/[^?#]*)(?:\\?([^#]*))?$');  // path and query
const DOT_SEGMENT = /\/(\.|%2e){1,2}(\/|$)/i;
const HOLE = /\{[a-z_]+\}/g;
const DEFAULT_PORT = {'http:': '80', 'https:': '443'};

function escapeRegExp(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

// "a*b" as an anchored regular expression; `*` covers anything.
export function globToRegExp(glob) {
  return new RegExp(`^${glob.split('*').map(escapeRegExp).join('.*')}$`, 's');
}

// {site, covers}: functions that tell whether a URL object is of the pattern's
// scheme, host and port, and whether it is covered. Throws TypeError with the
// pattern in its message if it is not one.
export function compilePattern(pattern) {
  const parts = PATTERN.exec(pattern);
  if (parts === null || DOT_SEGMENT.test(parts[5])) {
    throw new TypeError(`"${pattern}" is not a URL pattern`);
  }
  const [, scheme, anyLabel, hostText, port, pathText, queryText] = parts;
  // The URL parser's own idea of this host: case, punycode, IPv6 form.
  const host = hostName(new URL(`https://${hostText}/`));
  const path = globToRegExp(normalPath(pathText));
  const query = queryText === undefined ? undefined :
    globToRegExp(normalQuery(queryText));
  const site = (url) => {
    const protocol = httpScheme(url.protocol);
    if (protocol === undefined) return false;
    if (scheme !== '*' && `${scheme}:` !== protocol) return false;
    const name = hostName(url);
    if (name !== host && !(anyLabel && name.endsWith(`.${host}`))) {
      return false;
    }
    const itsPort = url.port || DEFAULT_PORT[protocol];
    return itsPort === (port ?? DEFAULT_PORT[protocol]);
  };
  const covers = (url) => site(url) && path.test(normalPath(url.pathname)) &&
      (query === undefined || query.test(normalQuery(url.search.slice(1))));
  return {site, covers};
}

// A conversation boundary: a URL pattern in which "{name}" stands for one path
// segment or query value. Gives the text that tells conversations apart, or
// undefined where it does not apply.
export function compileBoundary(template) {
  if (template.match(HOLE) === null) {
    throw new TypeError(`"${template}" names no {part}`);
  }
  const {covers} = compilePattern(template.replace(HOLE, '*'));
  const [pathText, queryText] =
      template.replace(/^[^/]*\/\/[^/]*/, '').split(/\?(.*)/s);
  const source = (text, normal) =>
    text.split(/(\{[a-z_]+\}|\*)/).map((piece) => {
      if (piece === '*') return '.*';
      return piece.startsWith('{') ? '([^/?&#]+)' : escapeRegExp(normal(piece));
    }).join('');
  const parts = new RegExp(`^${source(pathText, normalPath)}` +
      (queryText === undefined ? '$' :
        `\\?${source(queryText, normalQuery)}$`), 's');
  return (url) => {
    if (!covers(url)) return undefined;
    const text = normalPath(url.pathname) + (queryText === undefined ? '' :
      `?${normalQuery(url.search.slice(1))}`);
    return parts.exec(text)?.slice(1).join('/');
  };
}
