// Does a request wait for a listener that answers with a promise? Browsers do
// not say, so one is tried: a listener that takes its time turns a loopback
// address, where nothing is ever asked, into a data: address.
import {randomId} from './encoding.js';

const DELAY_MS = 30;
const TIMEOUT_MS = 2000;

export async function requestsWait({webRequest, fetch = globalThis.fetch}) {
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
