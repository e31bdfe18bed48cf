// A URL as the resource of an action: the one spelling that agent, service and
// relying party compare (RFC 3986 §6.2.2), at most 1 KiB.
import {httpScheme, normalPath, normalQuery} from './address.js';
import {Failure} from './failure.js';

export const MAX_RESOURCE_BYTES = 1024;

// `withQuery` false: any query is as good, and the proof does not bind it.
export function resourceOf(url, {withQuery = true} = {}) {
  const protocol = httpScheme(url.protocol);
  if (protocol === undefined) throw new Failure('bad_request');
  const query = withQuery && url.search !== '' ?
    `?${normalQuery(url.search.slice(1))}` : '';
  const resource =
      `${protocol}//${url.host}${normalPath(url.pathname)}${query}`;
  // All ASCII by now: characters are bytes.
  if (resource.length > MAX_RESOURCE_BYTES) {
    throw new Failure('address_too_long');
  }
  return resource;
}

export function originOf(url) {
  return `${httpScheme(url.protocol)}//${url.host}`;
}
