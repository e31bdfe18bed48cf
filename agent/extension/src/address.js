// The parts of an address as receipts name them (RFC 3986 §6.2.2). Rules are
// matched on these and on nothing else: what a rule covers and what a proof
// says are then the same address. The URL parser has done case, default port
// and dot segments; what it leaves is done here.

const HTTP_SCHEME = {'http:': 'http:', 'https:': 'https:', 'ws:': 'http:',
  'wss:': 'https:'};
const UNRESERVED = /[A-Za-z0-9\-._~]/;
// What RFC 3986 lets stand in a path (§3.3) and, with "/?", in a query (§3.4).
const PATH_CHARACTER = /[A-Za-z0-9\-._~!$&'()*+,;=:@/]/;
const QUERY_CHARACTER = /[A-Za-z0-9\-._~!$&'()*+,;=:@/?]/;
// An escaped separator, "%" or other character that a path may hold as it is, an
// empty segment, or a parameter: some servers read such a path as another one.
const AMBIGUOUS = /%(?:2[1-9A-CF]|3[ABD]|40|5C)|;|\/\//;

// WebSocket handshakes are HTTP requests: http and https stand for ws and wss.
// Undefined for anything else.
export function httpScheme(protocol) {
  return HTTP_SCHEME[protocol];
}

// Needless escapes undone, the rest in upper case, and stray characters, a "%"
// without digits included, escaped.
function normalEscapes(text, mayStand) {
  return text.replace(/%[0-9A-Fa-f]{2}|[^]/gu, (piece) => {
    if (piece.length === 3 && piece[0] === '%') {
      const character = String.fromCharCode(parseInt(piece.slice(1), 16));
      return UNRESERVED.test(character) ? character : piece.toUpperCase();
    }
    return mayStand.test(piece) ? piece : encodeURIComponent(piece);
  });
}

export function normalPath(path) {
  return normalEscapes(path, PATH_CHARACTER);
}

// `query` without its "?".
export function normalQuery(query) {
  return normalEscapes(query, QUERY_CHARACTER);
}

// "localhost." is localhost: the dot only says that the name is complete.
export function hostName(url) {
  return url.hostname.replace(/\.$/, '');
}

// Of a path as normalPath() gives it.
export function isAmbiguous(path) {
  return AMBIGUOUS.test(path);
}
