// The device agent's verbs that the extension uses.
import {toBase64} from './encoding.js';
import {Failure} from './failure.js';

export class Agent {
  constructor(port) {
    this.port = port;
  }

  async ask(verb, result, fields) {
    const answer = (await this.port.request(verb, fields))[result];
    if (answer === undefined) throw new Failure('internal');
    return answer;
  }

  status() {
    return this.ask('status', 'status', {});
  }

  async openSession({purpose, taskId, origin, lifetimeS}) {
    const {session} = await this.ask('open_session', 'openSession', {
      purpose, task_id: taskId, origin, lifetime_s: lifetimeS,
    });
    return session;
  }

  closeSession(sessionId) {
    return this.ask('close_session', 'closeSession', {session_id: sessionId});
  }

  // `sha256` is 32 bytes, or undefined: body-unbound.
  authorize(sessionId,
      {name, resource, purpose, sha256, audience, taskId}) {
    return this.ask('authorize', 'authorize', {
      session_id: sessionId, name, resource, purpose,
      ...(sha256 && {request_sha256: toBase64(sha256)}),
      ...(audience && {grant_audience: audience}),
      ...(taskId && {task_id: taskId}),
    });
  }

  async signDpop(sessionId, {method, uri, grant}) {
    const {proof} = await this.ask('sign_dpop', 'signDpop',
        {session_id: sessionId, method, uri, grant});
    return proof;
  }

  // What the agent remembers of a request that waits for the user's word:
  // {request, rule, leftS, …}; undefined if it waits no longer.
  async pending(sessionId, requestDigest) {
    const {pending = []} = await this.ask('list_sessions', 'listSessions', {});
    return pending.find((one) => one.sessionId === sessionId &&
        one.requestDigest === requestDigest);
  }

  // The user's own word for one request, by its digest (base64).
  approve(sessionId, requestDigest, approved) {
    return this.ask('approve', 'approve', {session_id: sessionId,
      request_digest: requestDigest, approve: approved});
  }
}
