// Asks the agent for one action: opens the session that it needs, has the user
// approve where policy wants that, and gives a permit or throws a Failure.
import {Failure} from './failure.js';

export const MAX_TASK_ID = 240;
const UNASKED = {message: 'This action needs an approval.',
  remedy: 'Nobody is asked while requests are only observed.'};
// A session that ended behind our back is opened again, once.
const SESSION_OVER = new Set(['session_expired', 'session_revoked']);
const OVER_REASONS = new Set(['session_unknown', 'session_ended',
  'session_expired', 'stale_boot', 'not_session_owner', 'lease_stale']);

function isOver(failure) {
  return SESSION_OVER.has(failure.code) || OVER_REASONS.has(failure.reason);
}

function outcomeOf(failure, {observe}) {
  if (observe) return 'observed';
  return failure.code === 'policy_denied' ? 'deny' : 'failed';
}

export class Authorizer {
  // `approvals.ask(question)` gives the user's word.
  constructor({agent, sessions, approvals, history}) {
    Object.assign(this, {agent, sessions, approvals, history});
  }

  // `action`: {key, name, resource, purpose, sha256, audience, who, texts}, and
  // of a request of the browser {initiator, deadline, observe}. Gives {answer,
  // session}; answer.decision is "permit". What comes too late is not recorded:
  // whoever waited has done so.
  async permit(action) {
    const entry = this.history.begin(action);
    try {
      let result = await this.decide(action);
      if (result.answer.decision === 'approval_required') {
        result = await this.approved(action, result);
      }
      if (result.answer.decision !== 'permit') {
        throw Failure.fromAgent(result.answer.reason ??
            {reason: 'policy_denied', code: 'policy_denied'});
      }
      if (action.deadline?.over) throw new Failure('timeout');
      this.history.end(entry, 'permit', result.answer);
      return result;
    } catch (error) {
      const failure = Failure.of(error);
      if (action.deadline?.over) throw failure;
      this.history.end(entry, outcomeOf(failure, action), failure);
      failure.inHistory = true;
      throw failure;
    }
  }

  async decide(action) {
    for (let again = true; ; again = false) {
      const session = await this.sessions.get(action.key, action.who);
      try {
        return {answer: await this.ask(session, action), session};
      } catch (error) {
        if (!again || !isOver(Failure.of(error))) throw error;
        this.sessions.forget(session);
      }
    }
  }

  // The evidence says which origin's page asked: in the action's task, before
  // the session's.
  async ask(session, action) {
    const taskId = action.initiator &&
        `from ${action.initiator} ${session.taskId}`.slice(0, MAX_TASK_ID);
    const answer = await this.agent.authorize(session.id, {...action, taskId});
    ++session.actions;
    return answer;
  }

  // Until it is decided: a word that was given elsewhere may have gone to
  // another request of the same bytes, for each word is for one.
  async approved(action, {answer, session}) {
    while (answer.decision === 'approval_required') {
      // Whoever only observes asks nobody.
      if (action.observe) throw new Failure('approval_required', UNASKED);
      // Nor anybody for a request that has been stopped already.
      if (action.deadline?.over) throw new Failure('timeout');
      const {requestDigest} = answer;
      action.deadline?.stop();
      const {approved, here} = await this.approvals.ask({
        action, grade: answer.approvalGrade || 'webauthn', requestDigest,
        sessionId: session.id,
      });
      action.deadline?.restart();
      if (here) await this.tell(session, requestDigest, approved);
      if (!approved) {
        throw new Failure('approval_denied', {code: 'policy_denied'});
      }
      answer = await this.ask(session, action);
    }
    return {answer, session};
  }

  async tell(session, requestDigest, approved) {
    try {
      await this.agent.approve(session.id, requestDigest, approved);
    } catch (error) {
      // A no that the agent did not hear stays one: it forgets the question.
      if (approved) throw error;
    }
  }
}
