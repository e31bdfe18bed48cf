// Which session a request belongs to: the text that names all that must not
// share a credential.
import {boundaryOf} from './policy.js';

// `urls`: the request's, then its tab's if that is known. Where policy tells
// conversations apart, a request of none and of no tab belongs to its
// initiator: no other's session is its. So does one of which it is not known
// whether its window is private (`incognito` is undefined).
export function sessionKey(policy, {incognito, cookieStoreId = '', initiator},
    urls) {
  const boundary = boundaryOf(policy, urls);
  const alone = incognito === undefined || (boundary === '' &&
      urls.length < 2 && policy.session.boundaries.length > 0);
  const window = {true: 'private', false: 'profile'}[incognito] ?? 'windowless';
  return [window, cookieStoreId,
    alone ? `by ${initiator ?? 'nobody'}` : boundary].filter(Boolean).join(' ');
}

export function isPrivate(key) {
  return /^(private|windowless)( |$)/.test(key);  // Or may be.
}
