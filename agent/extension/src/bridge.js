// Agents that act by themselves: in a page of an origin that policy allows, or
// in another extension that policy names.
//
// Nothing a caller says of itself counts: the browser names its origin or id.
// A page is told the decision; the proof is kept for its own next request and
// never shown to it. An extension acts where we see no requests, so it is given
// the receipt.
import {emptyBody} from './body.js';
import {fromHex, hexOfBase64} from './encoding.js';
import {Failure} from './failure.js';
import {pageMayAsk} from './policy.js';
import {actionFor} from './prover.js';
import {originOf, resourceOf} from './resource.js';
import {ruleFor} from './rules.js';
import {sessionKey} from './session_key.js';

// protocol:operation, as the agent checks it again.
const NAME = /^(?!:)[\w.~:/+@-]*:[\w.~:/+@-]*(?<!:)$/;
// What may not stand in a text that people read; a lone surrogate is no text at
// all, and the agent would refuse the whole message for it.
const CONTROL = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/u;
const ASCII = /^[\x21-\x7e]*$/;
const DIGEST = /^[0-9a-f]{64}$/;
const MAX_TEXT = 256;

function isText(value, max = MAX_TEXT) {
  return typeof value === 'string' && value.length > 0 &&
      value.length <= max && value.isWellFormed() && !CONTROL.test(value);
}

// What was asked, as an action without its session. Throws Failure.
export function readRequest(asked) {
  const fine = typeof asked === 'object' && asked !== null &&
      isText(asked.name) && NAME.test(asked.name) &&
      isText(asked.purpose) && isText(asked.resource, 1024) &&
      ASCII.test(asked.resource) && URL.canParse(asked.resource) &&
      (asked.requestDigest === undefined || DIGEST.test(asked.requestDigest));
  if (!fine) throw new Failure('bad_request');
  const url = new URL(asked.resource);
  const web = /^(https?|wss?):$/.test(url.protocol);
  return {
    name: asked.name,
    purpose: asked.purpose,
    resource: web ? resourceOf(url) : asked.resource,
    audience: web ? originOf(url) : undefined,
    sha256: asked.requestDigest && fromHex(asked.requestDigest),
  };
}

// Neither the device's own count nor the ledger's: a page could read from them
// what goes on elsewhere.
function told({answer}) {
  return {
    decision: answer.decision,
    actionDigest: hexOfBase64(answer.actionDigest),
    requestDigest: hexOfBase64(answer.requestDigest),
    // Which approval a permit rests on; empty if it needed none.
    approvalGrade: answer.approvalGrade ?? '',
  };
}

export class Bridge {
  constructor({policies, authorizer, parked, limit}) {
    Object.assign(this, {policies, authorizer, parked, limit});
  }

  // Of a content script's message. Answers {result} or {error}, never throws.
  async fromPage(asked, sender) {
    return this.answered(async () => {
      const origin = sender.origin ??
          (sender.url ? new URL(sender.url).origin : undefined);
      const action = this.asSent(await this.admit(asked, origin,
          (policy, name) => pageMayAsk(policy, origin, name)), origin, sender);
      const permit = await this.authorizer.permit(action);
      this.parked.put(origin, action, permit);
      return told(permit);
    });
  }

  // Of a message on a port of runtime.connect.
  async fromExtension(asked, sender) {
    return this.answered(async () => {
      const action = await this.admit(asked, sender.id, (policy) =>
        policy.agentExtensions.has(sender.id) ? undefined :
          'origin_not_allowed');
      action.key = `extension ${sender.id}`;
      const permit = await this.authorizer.permit(action);
      return {...told(permit), receipt: permit.answer.receipt};
    });
  }

  // Who asks comes first: a stranger learns nothing, not even what is wrong.
  async admit(asked, who, mayAsk) {
    await this.policies.ready;
    if (!this.limit.take(String(who))) throw new Failure('rate_limited');
    const reason = mayAsk(this.policies.policy, String(asked?.name));
    if (reason !== undefined) throw new Failure(reason);
    return {...readRequest(asked), who, texts: this.policies.policy.texts};
  }

  // The action as the rules make it of the page's own request: a permit that
  // said less would be another one's.
  asSent(action, origin, {tab, url: page}) {
    const {policy} = this.policies;
    const top = tab?.url ?? page;
    const url = new URL(action.resource);
    const from = {...action, initiator: origin, key: sessionKey(policy,
        {...tab, initiator: origin},
        [url, ...(URL.canParse(top) ? [new URL(top)] : [])])};
    const [, method] = /^http:(.+)$/.exec(action.name) ?? [];
    const rule = method && ruleFor(policy, url, method);
    if (rule === undefined) return from;
    return actionFor({...from, rule, method, url,
      purpose: policy.session.purpose,
      sha256: action.sha256 ?? emptyBody({method})});
  }

  async answered(work) {
    try {
      return {result: await work()};
    } catch (error) {
      return {error: Failure.of(error).plain()};
    }
  }
}
