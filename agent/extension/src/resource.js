// A URL as the resource of an action: the one spelling that agent, service and
// relying party compare (RFC 3986 §6.2.2), at most 1 KiB. The URL parser has
// done case, default port and dot segments; what it leaves is done here.
import {Failure} from './failure.js';
import {httpScheme} from './match.js';

export const MAX_RESOURCE_BYTES = 1024;

const UNRESERVED = /[A-Za-z0-9\-._~]/;
// What RFC 3986 lets stand in a path (§3.3) and, with "/?", in a query (§3.4).
const PATH_CHARACTER = /[A-Za-z0-9\-._~!$&'()*+,;=:@/]/;
const QUERY_CHARACTER = /[A-Za-z0-9\-._~!$&'()*+,;=:@/?]/;

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

// `withQuery` false: any query is as good, and the proof does not bind it.
export function resourceOf(url, {withQuery = true} = {}) {
  const protocol = httpScheme(url.protocol);
  if (protocol === undefined) throw new Failure('bad_request');
  const query = withQuery && url.search !== '' ?
    `?${normalEscapes(url.search.slice(1), QUERY_CHARACTER)}` : '';
  const resource = `${protocol}//${url.host}` +
      normalEscapes(url.pathname, PATH_CHARACTER) + query;
  // All ASCII by now: characters are bytes.
  if (resource.length > MAX_RESOURCE_BYTES) {
    throw new Failure('address_too_long');
  }
  return resource;
}

export function originOf(url) {
  return `${httpScheme(url.protocol)}//${url.host}`;
}
