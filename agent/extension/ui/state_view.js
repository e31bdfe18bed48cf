// The worker's state in words, for popup and options page.
import {ago, element, facts} from './page.js';

// {good, sentence, remedy}: the one thing to know.
export function verdict({status, error, policy}) {
  if (error) {
    return {good: false, sentence: error.message, remedy: error.remedy};
  }
  if (!status.enrolled) {
    return {good: false, sentence: 'This device is not enrolled.',
      remedy: 'Ask your administrator to enroll it: countersign enroll.'};
  }
  // First what no retry will mend.
  const trouble = status.deviceError ?? status.tpmError ?? status.serviceError;
  if (trouble) {
    return {good: false, sentence: trouble.message, remedy: trouble.remedy};
  }
  if (!policy.configured) {
    return {good: false, sentence: 'No policy has reached this browser.',
      remedy: 'A new browser needs a few seconds; then ask your administrator.'};
  }
  if (policy.faults.length > 0) {
    return {good: false, sentence: 'Part of the policy cannot be read.',
      remedy: 'Ask your administrator to correct it; see the options page.'};
  }
  return {good: true, sentence: policy.observe ?
    'This device is trusted. Requests are observed, not stopped.' :
    'This device is trusted. Requests to protected applications carry a proof.'};
}

export function verdictCard(state) {
  const {good, sentence, remedy} = verdict(state);
  return element('div', {class: 'card', role: 'status'},
      element('p', {}, element('strong', {class: good ? 'good' : 'bad'},
          good ? '✓ ' : '! ', sentence)),
      ...(remedy ? [element('p', {}, remedy)] : []));
}

const OUTCOMES = {permit: 'Permitted', deny: 'Denied', failed: 'Stopped',
  observed: 'Would have been stopped'};

export function actionList(history, limit) {
  if (history.length === 0) {
    return element('p', {class: 'quiet'}, 'None yet.');
  }
  return element('ul', {class: 'plain'}, ...history.slice(0, limit).map((a) =>
    element('li', {},
        element('div', {},
            element('strong', {class: a.outcome === 'permit' ? 'good' : 'bad'},
                OUTCOMES[a.outcome] ?? 'Under way'), ` ${a.name}`),
        element('div', {}, a.resource),
        ...(a.message ? [element('div', {}, a.message)] : []),
        element('div', {class: 'quiet small'},
            [ago(a.at), a.purpose,
              a.approvalGrade && `approval: ${a.approvalGrade}`,
              a.ledgerIndex !== undefined && `ledger entry ${a.ledgerIndex}`]
                .filter(Boolean).join(' · ')))));
}

export function sessionList(sessions) {
  if (sessions.length === 0) {
    return element('p', {class: 'quiet'},
        'None: one is opened when it is first needed.');
  }
  return element('ul', {class: 'plain'}, ...sessions.map((s) =>
    element('li', {}, facts([
      ['Opened', ago(s.openedAt)], ['Purpose', s.purpose], ['User', s.user],
      ['Program', s.executable], ['For', s.key], ['Actions', s.actions],
    ]))));
}
