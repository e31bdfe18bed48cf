// All that the extension knows, and a button to end its sessions.
import {ago, ask, element, facts, fill} from './page.js';
import {hexOfBase64} from '../src/encoding.js';
import {actionList, sessionList, verdictCard} from './state_view.js';

function device({status}) {
  if (!status) {
    return element('p', {class: 'quiet'}, 'The agent does not answer.');
  }
  return facts([
    ['Device', status.deviceId && hexOfBase64(status.deviceId)],
    ['Service', status.service],
    ['TPM', [status.ekClass, status.ekTrust].filter(Boolean).join(', ')],
    ['Agent', status.version],
    ['Service answered', Number(status.lastAnswerMs) > 0 ?
      ago(Number(status.lastAnswerMs)) : 'never'],
  ]);
}

function policy({policy, waits}) {
  return element('div', {},
      facts([
        ['Mode', !policy.configured ? 'no policy' :
          policy.observe ? 'observe' : 'enforce'],
        ['Rules', policy.rules],
        ['Proofs', waits ? 'made for each request' :
          'fetched ahead: this browser does not let requests wait'],
      ]),
      element('ul', {}, ...policy.faults.map((fault) =>
        element('li', {class: 'bad'}, fault))));
}

async function show() {
  const state = await ask({kind: 'state'});
  fill('verdict', verdictCard(state));
  fill('device', device(state));
  fill('policy', policy(state));
  fill('sessions', sessionList(state.sessions));
  fill('actions', actionList(state.history, 50));
}

document.getElementById('end').addEventListener('click', async () => {
  await ask({kind: 'end_sessions'});
  await show();
});
await show();
