// The browser's extension API under one name. Both families return promises.
export const api = globalThis.browser ?? globalThis.chrome;
