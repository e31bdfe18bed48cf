// Asks the user for one action. Grade "prompt" is answered in a window of ours,
// bound to that request's digest and good once, or meanwhile in a terminal;
// every stronger grade on the service's own page, where the extension has no
// say. The window shows the request as the agent remembers it, since that is
// what will be signed.
//
// Whoever makes requests can make many: each has one question open at a time,
// and after one that was not answered with yes, none for a while.
import {hexOfBase64, randomId} from './encoding.js';
import {Failure} from './failure.js';

export const ANSWER_MS = 110_000;
export const QUIET_MS = 10_000;
export const MAX_OPEN = 4;
const MAX_REMEMBERED = 256;
const LAST_WORD_MS = 1000;  // For the answer to reach the agent in time.

function remember(map, key, value) {
  if (map.size >= MAX_REMEMBERED) map.clear();
  map.set(key, value);
}

export class Approvals {
  constructor({agent, windows, tabs, urlOf, serviceUrl, answerMs = ANSWER_MS,
    now = Date.now}) {
    Object.assign(this,
        {agent, windows, tabs, urlOf, serviceUrl, answerMs, now});
    this.quietUntil = new Map();  // Who asks -> when it may again
    this.open = new Map();  // id -> {question, pending, decide, windowId, tabId}
    windows.onRemoved.addListener((windowId) => this.dropWhere(
        (entry) => entry.windowId === windowId));
    tabs.onRemoved.addListener((tabId) => this.dropWhere(
        (entry) => entry.tabId === tabId));
  }

  // {approved, here}: `here` if the word was given in our window, and the agent
  // has yet to be told. Throws when nobody answered, or when the answer is to be
  // given on the service's page.
  async ask(question) {
    const {who} = question.action;
    if (this.now() < (this.quietUntil.get(who) ?? 0)) {
      throw new Failure('approval_quiet');
    }
    for (const entry of this.open.values()) {
      if (entry.question.action.who === who) {
        throw new Failure('approval_open');
      }
    }
    if (this.open.size >= MAX_OPEN) throw new Failure('rate_limited');
    const id = randomId();
    const entry = {question};
    const answer = new Promise((resolve, reject) => {
      entry.decide = resolve;
      entry.fail = reject;
    });
    answer.catch(() => {});  // Perhaps before anybody waits for it.
    this.open.set(id, entry);
    if (question.grade !== 'prompt') {
      // Its answer goes to the service; it is open until its tab is closed.
      void this.end(id, entry, answer).catch(() => {});
      await this.openServicePage(entry);
      throw new Failure('approval_required', {
        message: 'This action needs an approval.',
        remedy: 'Approve it on the page that has opened, then try again.',
      });
    }
    void this.openWindow(id, entry).catch(entry.fail);
    return this.end(id, entry, answer);
  }

  // Waits for `answer`, and for what follows from it.
  async end(id, entry, answer) {
    const {who} = entry.question.action;
    this.timeOut(entry, this.answerMs);
    let approved = false;
    try {
      const word = await answer;
      ({approved} = word);
      return word;
    } finally {
      clearTimeout(entry.timer);
      this.open.delete(id);
      const seen = entry.windowId ?? entry.tabId;
      if (seen !== undefined && !approved) {
        remember(this.quietUntil, who, this.now() + QUIET_MS);
      }
      this.closeWindow(entry);
    }
  }

  timeOut(entry, ms) {
    clearTimeout(entry.timer);
    entry.timer = setTimeout(
        () => entry.fail(new Failure('approval_timeout')), ms);
  }

  async openWindow(id, entry) {
    const {sessionId, requestDigest} = entry.question;
    entry.pending = await this.agent.pending(sessionId, requestDigest);
    // Not longer than the agent remembers it.
    const left = (entry.pending?.leftS ?? 0) * 1000 - LAST_WORD_MS;
    if (left <= 0) throw new Failure('approval_gone');
    if (!this.open.has(id)) return;  // Answered in a terminal meanwhile.
    this.timeOut(entry, Math.min(this.answerMs, left));
    const window = await this.windows.create({
      url: this.urlOf(`ui/approval.html#${id}`), type: 'popup', width: 520,
      height: 620});
    entry.windowId = window.id;
    if (!this.open.has(id)) this.closeWindow(entry);
  }

  closeWindow({windowId}) {
    if (windowId !== undefined) this.windows.remove(windowId).catch(() => {});
  }

  async openServicePage(entry) {
    const {action, requestDigest} = entry.question;
    try {
      const service = await this.serviceUrl();
      if (!/^https?:\/\//.test(service ?? '')) throw new Failure('internal');
      // In front only of what the user has just left.
      const tab = await this.tabs.create({
        url: `${service}/approvals/${hexOfBase64(requestDigest)}`,
        active: action.type === 'main_frame'});
      entry.tabId = tab.id;
    } catch (error) {
      entry.fail(error);
      throw error;
    }
  }

  // The request has gone: whoever made it has left.
  requestGone(requestId) {
    this.dropWhere(({question}) => question.grade === 'prompt' &&
        question.action.requestId === requestId);
  }

  // Of those that `is` tells: nobody will answer, or wait for the answer.
  dropWhere(is) {
    for (const entry of this.open.values()) {
      if (is(entry)) entry.decide({approved: false, here: true});
    }
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
