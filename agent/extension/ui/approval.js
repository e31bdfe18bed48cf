// The user's own word for one action, by its digest. A click within the first
// moments does not count: the window may have appeared under a moving pointer.
import {ask, facts, fill, here} from './page.js';

const UNARMED_MS = 600;
const id = here();
const question = await ask({kind: 'question', id});
const approve = document.getElementById('approve');
const deny = document.getElementById('deny');

async function answer(approved) {
  approve.disabled = deny.disabled = true;
  await ask({kind: 'answer', id, approved});
  window.close();
}

if (question === null) {
  fill('state', 'This question was answered already.');
  deny.disabled = true;
} else {
  fill('text', question.text ?? '');
  fill('what', facts([['Who asks', question.who], ['What', question.name],
    ['Resource', question.resource], ['Why', question.purpose],
    ['Rule', question.rule],
    ['Content', question.content ? `SHA-256 ${question.content.slice(0, 16)}…` :
      'not bound'],
    ['Request', `${question.digest.slice(0, 16)}…`]]));
  deny.addEventListener('click', () => answer(false));
  approve.addEventListener('click', () => answer(true));
  setTimeout(() => {
    approve.disabled = false;
  }, UNARMED_MS);
  deny.focus();
}
