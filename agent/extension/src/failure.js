// Why something did not work, in the words of the agent's error table: a code
// for programs, a sentence for people and what to do.

// Reasons that the extension itself can meet; all others come from the agent.
const OWN = {
  timeout: ['The device agent did not answer in time.', 'Try again.'],
  host_missing: [
    'The device agent is not installed for this browser.',
    'Ask your administrator to install Countersign.',
  ],
  host_forbidden: [
    'This browser may not talk to the device agent.',
    'Ask your administrator to allow the native messaging host.',
  ],
  host_gone: ['The device agent’s helper has stopped.', 'Try again.'],
  busy: ['Too many requests are waiting for a proof.', 'Try again.'],
  rate_limited: ['Too many requests at once.', 'Wait a moment.'],
  origin_not_allowed: [
    'This page may not ask for actions.',
    'Ask your administrator to allow its origin.',
  ],
  action_not_allowed: [
    'This page may not ask for this action.',
    'Ask your administrator to allow it.',
  ],
  bad_request: ['The request is not well formed.', 'Correct the request.'],
  body_unbound: [
    'The browser does not show this request’s body, and policy asks for it.',
    'Send the body as text, or ask your administrator.',
  ],
  address_too_long: [
    'The address is too long to be proven.',
    'Shorten the address.',
  ],
  proof_too_long: ['The proof is too long for a header.',
    'Ask your administrator.'],
  proof_missing: ['The agent permitted the request without a proof.',
    'Update the device agent.'],
  policy_invalid: [
    'The policy for this address cannot be read.',
    'Ask your administrator to correct the extension’s policy.',
  ],
  not_ready: ['A proof for this address is being fetched.', 'Try again.'],
  approval_denied: [
    'You denied this action.',
    'Ask again if it was a mistake.',
  ],
  approval_timeout: ['Nobody approved this action in time.', 'Try again.'],
  approval_open: [
    'Another action of the same origin waits for your approval.',
    'Answer or close that first, then try again.',
  ],
  approval_quiet: [
    'You were asked a moment ago, and did not approve.',
    'Wait ten seconds, then try again.',
  ],
  approval_gone: ['This action waits for no approval any more.', 'Try again.'],
  internal: ['Something went wrong in the extension.', 'Try again.'],
};

export class Failure extends Error {
  constructor(reason, {code = reason, message, remedy, detail} = {}) {
    const [sentence, advice] = OWN[reason] ?? OWN.internal;
    super(message ?? sentence);
    this.name = 'Failure';
    this.reason = reason;
    this.code = code;
    this.remedy = remedy ?? advice;
    this.detail = detail;
  }

  // From the agent's ErrorInfo.
  static fromAgent(info) {
    return new Failure(String(info.reason || 'internal'), {
      code: info.code,
      message: info.message,
      remedy: info.remedy,
      detail: info.detail,
    });
  }

  // Whatever was thrown.
  static of(error) {
    if (error instanceof Failure) return error;
    return new Failure('internal', {detail: String(error?.message ?? error)});
  }

  // What pages and windows may know: no detail.
  plain() {
    return {code: this.code, reason: this.reason, message: this.message,
      remedy: this.remedy};
  }
}
