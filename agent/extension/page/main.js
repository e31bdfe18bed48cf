// In the page: countersign.authorize({name, resource, purpose, requestDigest}).
// Promises the decision; rejects with an Error that has `code`, `reason` and
// `remedy`. Holds no secret and is trusted with none: whatever a page does to
// this script it does to itself.
(() => {
  const waiting = new Map();
  let nextId = 1;

  addEventListener('message', (event) => {
    if (event.source !== window || event.data?.countersign !== 'answer') return;
    const promise = waiting.get(event.data.id);
    if (promise === undefined) return;
    waiting.delete(event.data.id);
    const {result, error} = event.data;
    if (error === undefined) {
      promise.resolve(result);
    } else {
      promise.reject(Object.assign(new Error(error.message), error));
    }
  });

  const authorize = (request) => new Promise((resolve, reject) => {
    const {name, resource, purpose, requestDigest} = Object(request);
    const id = nextId++;
    waiting.set(id, {resolve, reject});
    window.postMessage({countersign: 'authorize', id,
      request: {name, resource, purpose, requestDigest}}, location.origin);
  });

  Object.defineProperty(window, 'countersign', {
    value: Object.freeze({authorize}), enumerable: true});
})();
