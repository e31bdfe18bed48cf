// The SHA-256 of a request's body, where the browser shows the body.
//
// Strings and buffers are shown; Blobs, streams and forms are not, or not as
// the bytes that are sent. Nothing is ever guessed: what is not seen is
// unbound, and the proof says so.

// Methods whose requests carry no body: the digest is that of nothing.
const WITHOUT_BODY = new Set(['GET', 'HEAD']);

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
  let bytes;
  if (WITHOUT_BODY.has(details.method)) {
    bytes = new Uint8Array(0);
  } else {
    const raw = details.requestBody?.raw;
    if (!raw?.length || details.requestBody.error || details.requestBody.formData ||
        !raw.every((part) => part.bytes !== undefined)) {
      return undefined;
    }
    bytes = joined(raw.map((part) => part.bytes));
  }
  return new Uint8Array(await subtle.digest('SHA-256', bytes));
}
