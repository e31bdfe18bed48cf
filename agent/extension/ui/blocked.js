// In place of a page whose request was stopped: what, why and what to do.
import {ask, element, fill, here, safeLink} from './page.js';

const id = here();
const retry = document.getElementById('retry');
const notice = await ask({kind: 'notice', id});
if (notice === null) {
  fill('what', element('p', {}, 'The reason is no longer known.'));
  retry.hidden = true;
} else {
  document.title = `Stopped: ${notice.host}`;
  fill('what',
      element('p', {}, 'Your browser was about to ask ',
          element('strong', {}, notice.host), ' for a page.'),
      element('p', {}, element('strong', {class: 'bad'}, notice.message)),
      element('p', {}, notice.remedy));
  fill('help', ...(notice.text ? [element('p', {}, notice.text)] : []),
      safeLink(notice.help, 'Get help'));
  fill('code', `Reason: ${notice.reason}`);
  if (!notice.retries) {
    retry.hidden = true;
    fill('again', 'What you sent is not sent again from here: go back to do so.');
  }
}
retry.addEventListener('click', () => ask({kind: 'retry', id}));
