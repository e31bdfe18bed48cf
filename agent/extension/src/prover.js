// The headers that prove one request: the receipt and, where the rule says so,
// the grant with a DPoP proof. Only for permitted requests.
import {Failure} from './failure.js';
import {originOf, resourceOf} from './resource.js';

export const MAX_HEADER_BYTES = 4096;

function header(name, value) {
  if (value.length >= MAX_HEADER_BYTES) throw new Failure('proof_too_long');
  return {name, value};
}

export class Prover {
  constructor({agent, authorizer, parked, headerName}) {
    Object.assign(this, {agent, authorizer, parked, headerName});
  }

  // `request`: {rule, key, method, url, sha256, who, initiator}.
  // Throws Failure.
  async headersFor(request) {
    const {rule, method, url} = request;
    if (rule.broken) throw new Failure('policy_invalid');
    if (rule.refuseUnbound && request.sha256 === undefined) {
      throw new Failure('body_unbound');
    }
    const action = {
      key: request.key,
      name: `http:${method}`,
      resource: resourceOf(url, {withQuery: rule.bindQuery}),
      purpose: rule.purpose ?? request.purpose,
      sha256: request.sha256,
      audience: rule.audience ?? originOf(url),
      who: request.who,
      requestId: request.requestId,
      type: request.type,
      texts: rule.texts,
    };
    const {answer, session} =
        this.parked.take(request.initiator, action) ??
        await this.authorizer.permit(action);
    if (!answer.receipt) throw new Failure('proof_missing');
    const headers = [header(this.headerName(), answer.receipt)];
    if (rule.dpop) {
      headers.push(...await this.dpop(method, url, answer, session));
    }
    return headers;
  }

  async dpop(method, url, {grant}, session) {
    if (!grant) throw new Failure('proof_missing');
    const uri = resourceOf(url, {withQuery: false});
    const proof = await this.agent.signDpop(session.id, {method, uri, grant});
    return [header('Authorization', `DPoP ${grant}`), header('DPoP', proof)];
  }
}

// Without what only this extension may say: pages cannot set Sec- headers, but
// policy may name another one, and `Authorization` is anybody's.
export function withProof(requestHeaders, headers, ours) {
  const names = new Set([...ours, ...headers.map((h) => h.name)]
      .map((name) => name.toLowerCase()));
  return requestHeaders.filter((h) => !names.has(h.name.toLowerCase()))
      .concat(headers);
}
