// Says why a request was stopped: a page in place of one that was navigated to,
// a notification (one for each site and while) and the badge for all others.
import {randomId} from './encoding.js';

const QUIET_MS = 10_000;
const MAX_NOTICES = 50;

// Is it prepared in the background (prefetch, prerender)? Nobody looks at it;
// it is asked for again when somebody does. Chromium calls such a navigation the
// tab's own in all but this header, which no page can set.
function isAhead({requestHeaders = []}) {
  return requestHeaders.some(({name, value}) =>
    name.toLowerCase() === 'sec-purpose' && /\bprefetch\b/.test(value));
}

export class Notices {
  constructor({tabs, notifications, action, urlOf, now = Date.now}) {
    Object.assign(this, {tabs, notifications, action, urlOf, now});
    this.byId = new Map();  // For the page: id -> what it shows
    this.lastAt = new Map();  // host -> when it was last spoken of
  }

  stopped(details, failure, texts = {}) {
    if (isAhead(details)) return;
    const url = new URL(details.url);
    void this.action.setBadgeText({text: '!'});
    if (details.type === 'main_frame') {
      this.showPage(details, url, failure, texts);
      return;
    }
    const lastAt = this.lastAt.get(url.host) ?? -Infinity;
    if (this.now() - lastAt < QUIET_MS) return;
    this.lastAt.set(url.host, this.now());
    void this.notifications.create({
      type: 'basic', iconUrl: this.urlOf('icons/128.png'),
      title: `Stopped: a request to ${url.host}`,
      message: `${failure.message} ${failure.remedy}`,
    });
  }

  // The address stays here: a page's own may be read by others.
  showPage(details, url, failure, texts) {
    const id = randomId();
    this.byId.set(id, {address: details.url, host: url.host,
      tabId: details.tabId, ...failure.plain(), text: texts.blocked,
      // Only what was asked for is asked for again: not a form without its data.
      retries: details.method === 'GET', help: texts.help_url});
    if (this.byId.size > MAX_NOTICES) {
      this.byId.delete(this.byId.keys().next().value);
    }
    void this.tabs.update(details.tabId, {url: this.pageOf(id)});
  }

  pageOf(id) {
    return this.urlOf(`ui/blocked.html#${id}`);
  }

  // A proof for a navigation that was stopped is there now. The user may have
  // gone elsewhere meanwhile.
  async ready({tabId, url}) {
    const [id] = [...this.byId].findLast(([, notice]) =>
      notice.tabId === tabId && notice.address === url) ?? [];
    if (id === undefined) return;
    const tab = await this.tabs.get(tabId).catch(() => undefined);
    if ((tab?.pendingUrl ?? tab?.url) === this.pageOf(id)) {
      this.retry(id, tabId);
    }
  }

  page(id) {
    const notice = this.byId.get(id);
    if (notice === undefined) return undefined;
    const {host, code, reason, message, remedy, text, help, retries} = notice;
    return {host, code, reason, message, remedy, text, help, retries};
  }

  // In the tab that shows the notice.
  retry(id, tabId) {
    const notice = this.byId.get(id);
    if (!notice?.retries || tabId === undefined) return;
    void this.tabs.update(tabId, {url: notice.address});
  }

  seen() {
    void this.action.setBadgeText({text: ''});
  }
}
