// The SHA-256 of a request's body, where the browser shows the body.
//
// Strings and buffers are shown; Blobs, streams and forms are not, or not as
// the bytes that are sent. Nothing is ever guessed: what is not seen is
// unbound, and the proof says so.
import {fromHex} from './encoding.js';

// Methods whose requests carry no body: the digest is that of nothing.
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

// `details` of webRequest.onBeforeRequest. A promise of 32 bytes, or of
// undefined for "body-unbound".
export async function bodyDigest(details, subtle = crypto.subtle) {
  if (WITHOUT_BODY.has(details.method)) return OF_NOTHING;
  const raw = details.requestBody?.raw;
  if (!raw?.length || details.requestBody.error ||
      details.requestBody.formData ||
      !raw.every((part) => part.bytes !== undefined)) {
    return undefined;
  }
  const bytes = joined(raw.map((part) => part.bytes));
  return new Uint8Array(await subtle.digest('SHA-256', bytes));
}
