// The user's own word for one action, by its digest. A click within the first
// moments that the window is looked at does not count: it may have appeared, or
// come to the front, under a moving pointer.
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
  fill('title', 'Nothing waits for your approval');
  fill('state', 'This question was answered already.');
  document.getElementById('answers').hidden = true;
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
  let timer;
  const arm = () => {
    clearTimeout(timer);
    if (deny.disabled) return;  // Answered.
    approve.disabled = true;
    if (document.hidden || !document.hasFocus()) return;
    timer = setTimeout(() => {
      approve.disabled = deny.disabled;
    }, UNARMED_MS);
  };
  for (const event of ['focus', 'blur']) window.addEventListener(event, arm);
  document.addEventListener('visibilitychange', arm);
  document.documentElement.addEventListener('pointerenter', arm);
  arm();
  deny.focus();
}
