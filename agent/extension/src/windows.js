// What the extension's own pages (ui/) ask of the worker.
import {Failure} from './failure.js';

async function tried(work) {
  try {
    return {value: await work()};
  } catch (error) {
    return {error: Failure.of(error).plain()};
  }
}

async function state({agent, policies, sessions, history, notices,
  interceptor}) {
  await policies.ready;
  notices.seen();
  const status = await tried(() => agent.status());
  const {policy} = policies;
  return {
    status: status.value, error: status.error,
    policy: {configured: policy.configured, observe: policy.observe,
      rules: policy.rules.length, faults: policy.faults},
    waits: interceptor.waits,
    sessions: sessions.list().map(({key, openedAt, actions, info}) =>
      ({key, openedAt, actions, purpose: info?.purpose, user: info?.user,
        executable: info?.executable})),
    history: history.list(),
  };
}

const PAGES = {
  state: (_, parts) => state(parts),
  end_sessions: (_, {sessions}) => sessions.endAll(),
  notice: ({id}, {notices}) => notices.page(id),
  retry: ({id}, {notices}, sender) => notices.retry(id, sender.tab?.id),
  question: ({id}, {approvals}) => approvals.question(id),
  answer: ({id, approved}, {approvals}) => approvals.answer(id, approved),
};

// `sender`: which of them, as the browser says.
export async function serve(message, parts, sender) {
  const page = Object.hasOwn(PAGES, message?.kind) ? PAGES[message.kind] :
    undefined;
  return await page?.(message, parts, sender) ?? null;
}
