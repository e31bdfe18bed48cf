// Does a request wait for a listener that answers with a promise? Firefox's
// documentation says so (webRequest, since 52). Chromium's says no more than
// that it depends, so it is tried: a listener that takes its time turns a
// loopback address, where nothing is ever asked, into a data: address.
import {randomId} from './encoding.js';

const DELAY_MS = 30;
const TIMEOUT_MS = 5000;
// The browser takes a moment until it asks a new listener, and longer while it
// starts on a busy machine: a request that comes sooner is not held up and says
// nothing. So a no is told after the first pauses and tried again after the
// others.
const SOON_MS = [500, 500, 500, 500];
const LATER_MS = [2000, 4000, 8000, 16_000, 32_000];

// Tells `found(waits)`, perhaps first no and then yes.
export async function requestsWait({webRequest, fetch = globalThis.fetch,
  soonMs = SOON_MS, laterMs = LATER_MS}, found) {
  if (webRequest.filterResponseData !== undefined) {  // Firefox's.
    found(true);
    return;
  }
  for (const pauses of [soonMs, laterMs]) {
    for (const pause of pauses) {
      if (await oneWaits(webRequest, fetch)) {
        found(true);
        return;
      }
      await new Promise((resolve) => {
        setTimeout(resolve, pause);
      });
    }
    found(false);
  }
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
