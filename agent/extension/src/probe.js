// Does a request wait for a listener that answers with a promise? Firefox's
// documentation says so (webRequest, since 52). Chromium's says no more than
// that it depends, so it is tried: a listener that takes its time turns a
// loopback address, where nothing is ever asked, into a data: address.
import {randomId} from './encoding.js';

const DELAY_MS = 30;
const TIMEOUT_MS = 5000;
// The browser takes a moment until it asks a new listener: a request that comes
// sooner is not held up and says nothing.
const TRIES = 4;
const BETWEEN_MS = 500;

export async function requestsWait(
    {webRequest, fetch = globalThis.fetch, betweenMs = BETWEEN_MS}) {
  if (webRequest.filterResponseData !== undefined) return true;  // Firefox's.
  for (let left = TRIES; left > 0; --left) {
    if (await oneWaits(webRequest, fetch)) return true;
    await new Promise((resolve) => {
      setTimeout(resolve, betweenMs);
    });
  }
  return false;
}

async function oneWaits(webRequest, fetch) {
  const url = `http://127.0.0.1:9/countersign-probe-${randomId()}`;
  const listener = (details) => details.url !== url ? undefined :
    new Promise((resolve) => {
      setTimeout(() => resolve({redirectUrl: 'data:text/plain,waited'}),
          DELAY_MS);
    });
  try {
    webRequest.onBeforeRequest.addListener(
        listener, {urls: ['http://127.0.0.1/*']}, ['blocking']);
    const answer = await fetch(url, {signal: AbortSignal.timeout(TIMEOUT_MS)});
    return await answer.text() === 'waited';
  } catch {
    return false;
  } finally {
    webRequest.onBeforeRequest.removeListener(listener);
  }
}
