// The SHA-256 of a request's body, where the browser shows the body.
//
// Strings and buffers are shown; Blobs, streams and forms are not, or not as
// the bytes that are sent. Nothing is ever guessed: what is not seen is
// unbound, and the proof says so.
import {fromHex} from './encoding.js';

const WITHOUT_BODY = new Set(['GET', 'HEAD']);
const OF_NOTHING = fromHex(
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');

function joined(parts) {
  if (parts.length === 1) return parts[0];
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return whole;
}

// The digest of nothing, if this request can carry no body: by its method, or
// as the browser's own question before a request to another origin (a
// preflight, whose header no page can set). Undefined if it may carry one. The
// headers are there in webRequest.onBeforeSendHeaders alone.
export function emptyBody({method, requestHeaders = []}) {
  const preflight = method === 'OPTIONS' && requestHeaders.some(({name}) =>
    name.toLowerCase() === 'access-control-request-method');
  return preflight || WITHOUT_BODY.has(method) ? OF_NOTHING : undefined;
}

// `details` of webRequest.onBeforeRequest. A promise of 32 bytes, or of
// undefined for "body-unbound".
export async function bodyDigest(details, subtle = crypto.subtle) {
  const empty = emptyBody(details);
  if (empty !== undefined) return empty;
  const raw = details.requestBody?.raw;
  if (!raw?.length || details.requestBody.error ||
      details.requestBody.formData ||
      !raw.every((part) => part.bytes !== undefined)) {
    return undefined;
  }
  const bytes = joined(raw.map((part) => part.bytes));
  return new Uint8Array(await subtle.digest('SHA-256', bytes));
}
