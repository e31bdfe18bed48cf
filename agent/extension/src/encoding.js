// Bytes as the agent's JSON writes them.

export function toBase64(bytes) {
  let text = '';
  for (const byte of new Uint8Array(bytes)) text += String.fromCharCode(byte);
  return btoa(text);
}

export function fromHex(text) {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; ++i) {
    bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

export function hexOfBase64(text) {
  return [...atob(text)].map(
      (c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('');
}

export function randomId() {
  return hexOfBase64(toBase64(crypto.getRandomValues(new Uint8Array(16))));
}
