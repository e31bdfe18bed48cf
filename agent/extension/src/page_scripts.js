// Puts the page API into the pages of the origins that policy allows, and takes
// it out again. Match patterns know no ports everywhere, so a host's other
// ports may get the scripts too; the bridge refuses them by their origin.

const ISOLATED = 'countersign-isolated';
const MAIN = 'countersign-main';

export function matchesFor(policy) {
  const origins = policy.pageApi.flatMap((entry) => entry.origins);
  return [...new Set(origins.map((origin) => {
    const {protocol, hostname} = new URL(origin);
    return `${protocol}//${hostname}/*`;
  }))];
}

export async function placePageScripts(scripting, policy) {
  const placed = await scripting.getRegisteredContentScripts(
      {ids: [ISOLATED, MAIN]});
  if (placed.length > 0) {
    await scripting.unregisterContentScripts({ids: placed.map((s) => s.id)});
  }
  const matches = matchesFor(policy);
  if (matches.length === 0) return;
  const common = {matches, runAt: 'document_start', allFrames: true};
  await scripting.registerContentScripts([
    {...common, id: ISOLATED, js: ['page/isolated.js']},
    {...common, id: MAIN, js: ['page/main.js'], world: 'MAIN'},
  ]);
}
