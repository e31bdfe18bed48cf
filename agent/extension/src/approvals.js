// Asks the user for one action. Grade "prompt" is answered in a window of ours,
// bound to that request's digest and good once, or meanwhile in a terminal;
// every stronger grade on the service's own page, where the extension has no
// say. The window shows the request as the agent remembers it, since that is
// what will be signed.
import {hexOfBase64, randomId} from './encoding.js';
import {Failure} from './failure.js';

export const ANSWER_MS = 110_000;  // The agent remembers it for 120 s.
const MAX_OPEN = 4;
const MAX_REMEMBERED = 256;

export class Approvals {
  constructor({agent, windows, tabs, urlOf, serviceUrl, answerMs = ANSWER_MS,
    now = Date.now}) {
    Object.assign(this,
        {agent, windows, tabs, urlOf, serviceUrl, answerMs, now});
    this.closedAt = new Map();  // Session's key -> when its last was answered
    this.open = new Map();  // id -> {question, pending, decide, windowId}
    windows.onRemoved.addListener((windowId) => {
      for (const entry of this.open.values()) {
        if (entry.windowId === windowId) {
          entry.decide({approved: false, here: true});
        }
      }
    });
  }

  // {approved, here}: `here` if the word was given in our window, and the agent
  // has yet to be told. Throws when nobody answered, or when the answer is to be
  // given on the service's page.
  async ask(question) {
    if (question.grade !== 'prompt') {
      await this.openServicePage(question);
      throw new Failure('approval_required', {
        message: 'This action needs an approval.',
        remedy: 'Approve it on the page that has opened, then try again.',
      });
    }
    if (this.open.size >= MAX_OPEN) throw new Failure('rate_limited');
    const id = randomId();
    const entry = {question};
    const answer = new Promise((resolve, reject) => {
      entry.decide = resolve;
      entry.timer = setTimeout(
          () => reject(new Failure('approval_timeout')), this.answerMs);
    });
    answer.catch(() => {});  // Perhaps before anybody waits for it.
    this.open.set(id, entry);
    try {
      entry.pending = await this.agent.pending(
          question.sessionId, question.requestDigest);
      if (entry.pending === undefined) throw new Failure('approval_gone');
      const window = await this.windows.create({
        url: this.urlOf(`ui/approval.html#${id}`), type: 'popup', width: 520,
        height: 620});
      entry.windowId = window.id;
      return await answer;
    } finally {
      clearTimeout(entry.timer);
      this.open.delete(id);
      if (this.closedAt.size > MAX_REMEMBERED) this.closedAt.clear();
      this.closedAt.set(question.action.key, this.now());
      if (entry.windowId !== undefined) {
        this.windows.remove(entry.windowId).catch(() => {});
      }
    }
  }

  async openServicePage({requestDigest}) {
    const service = await this.serviceUrl();
    if (!/^https?:\/\//.test(service ?? '')) return;
    await this.tabs.create(
        {url: `${service}/approvals/${hexOfBase64(requestDigest)}`});
  }

  // Milliseconds since the user was last asked about an action of this session:
  // 0 while a window is open, Infinity if never.
  sinceAsked(key) {
    if ([...this.open.values()].some((e) => e.question.action.key === key)) {
      return 0;
    }
    return this.now() - (this.closedAt.get(key) ?? -Infinity);
  }

  // For the window.
  question(id) {
    const entry = this.open.get(id);
    if (entry === undefined) return undefined;
    const {action, requestDigest} = entry.question;
    const {request = {}, rule} = entry.pending ?? {};
    return {name: request.name, resource: request.resource,
      purpose: request.purpose, rule, who: action.who,
      content: request.requestSha256 && hexOfBase64(request.requestSha256),
      text: action.texts?.approval, digest: hexOfBase64(requestDigest)};
  }

  answer(id, approved) {
    this.open.get(id)?.decide({approved: approved === true, here: true});
  }

  // The agent tells of a word that was given somewhere, perhaps by us.
  onEvent({kind, approval}) {
    const approved = kind === 'approval_given';
    if (!approved && kind !== 'approval_refused') return;
    for (const {question, decide} of this.open.values()) {
      if (question.sessionId === approval?.sessionId &&
          question.requestDigest === approval?.requestDigest) {
        decide({approved, here: false});
      }
    }
  }
}
