// Between a page and the extension, in a world that the page cannot reach.
// Passes on requests; who asks is what the browser says, not what is in them.
// What is no request, or one too many, does not leave the page's own process.
(() => {
  const {runtime} = globalThis.browser ?? globalThis.chrome;
  const FIELDS = ['name', 'resource', 'purpose', 'requestDigest'];
  const MAX_LENGTH = 1024;  // Of the longest field, the resource.
  const MAX_IN_FLIGHT = 64;
  let inFlight = 0;

  const refusal = (reason, message, remedy) =>
    ({error: {code: reason, reason, message, remedy}});

  // The known fields, or undefined if one is no text or too long.
  function copyOf(request) {
    const copy = {};
    for (const field of FIELDS) {
      const value = request?.[field];
      if (value === undefined) continue;
      if (typeof value !== 'string' || value.length > MAX_LENGTH) {
        return undefined;
      }
      copy[field] = value;
    }
    return copy;
  }

  async function answerTo(request) {
    const copy = copyOf(request);
    if (copy === undefined) {
      return refusal('bad_request', 'The request is not well formed.',
          'Correct the request.');
    }
    if (inFlight >= MAX_IN_FLIGHT) {
      return refusal('rate_limited', 'Too many requests at once.',
          'Wait a moment.');
    }
    ++inFlight;
    try {
      return await runtime.sendMessage({kind: 'authorize', request: copy});
    } catch {
      return refusal('internal', 'The extension was restarted.',
          'Reload the page.');
    } finally {
      --inFlight;
    }
  }

  addEventListener('message', async (event) => {
    if (event.source !== window || event.data?.countersign !== 'authorize') {
      return;
    }
    const {id, request} = event.data;
    const answer = await answerTo(request);
    window.postMessage({countersign: 'answer', id, ...answer}, location.origin);
  });
})();
