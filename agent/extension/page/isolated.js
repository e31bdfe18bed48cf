// Between a page and the extension, in a world that the page cannot reach.
// Passes on requests; who asks is what the browser says, not what is in them.
(() => {
  const {runtime} = globalThis.browser ?? globalThis.chrome;

  addEventListener('message', async (event) => {
    if (event.source !== window || event.data?.countersign !== 'authorize') {
      return;
    }
    const {id, request} = event.data;
    let answer;
    try {
      answer = await runtime.sendMessage({kind: 'authorize', request});
    } catch {
      answer = {error: {code: 'internal', reason: 'internal',
        message: 'The extension was restarted.', remedy: 'Reload the page.'}};
    }
    window.postMessage({countersign: 'answer', id, ...answer}, location.origin);
  });
})();
