// Which session a request belongs to: the text that names all that must not
// share a credential.
import {boundaryOf} from './policy.js';

// `urls`: the request's, then its tab's if that is known. Where policy tells
// conversations apart, a request of none and of no tab belongs to its
// initiator: no other's session is its.
export function sessionKey(policy, {incognito, cookieStoreId = '', initiator},
    urls) {
  const boundary = boundaryOf(policy, urls);
  const alone = boundary === '' && urls.length < 2 &&
      policy.session.boundaries.length > 0;
  return [incognito ? 'private' : 'profile', cookieStoreId,
    alone ? `by ${initiator ?? 'nobody'}` : boundary].filter(Boolean).join(' ');
}

export function isPrivate(key) {
  return key.split(' ', 1)[0] === 'private';
}
