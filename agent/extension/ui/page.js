// What the extension's pages share. Text only ever becomes text: nothing here
// reads HTML.
import {api} from '../src/api.js';

export const ask = (message) => api.runtime.sendMessage(message);

export const here = () => location.hash.slice(1);

// element('p', {class: 'quiet'}, 'text', otherElement…)
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, '');
    else if (value || value === 0) made.setAttribute(key, value);
  }
  made.append(...children.filter((c) => c !== undefined && c !== ''));
  return made;
}

export function fill(id, ...children) {
  document.getElementById(id).replaceChildren(
      ...children.filter((c) => c !== undefined));
}

// A definition list of [term, text] pairs; those without text are left out,
// which 0 is not.
export function facts(pairs) {
  return element('dl', {}, ...pairs.filter(([, text]) => text || text === 0)
      .flatMap(([term, text]) =>
        [element('dt', {}, term), element('dd', {}, String(text))]));
}

export function safeLink(url, text) {
  if (!URL.canParse(url ?? '') || new URL(url).protocol !== 'https:') {
    return undefined;
  }
  return element('p', {}, element('a', {href: url, rel: 'noreferrer'}, text));
}

export function ago(ms, now = Date.now()) {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  const [amount, unit] = seconds < 60 ? [seconds, 'second'] :
    seconds < 3600 ? [Math.round(seconds / 60), 'minute'] :
      seconds < 86400 ? [Math.round(seconds / 3600), 'hour'] :
        [Math.round(seconds / 86400), 'day'];
  return new Intl.RelativeTimeFormat('en', {numeric: 'auto'})
      .format(-amount, unit);
}
