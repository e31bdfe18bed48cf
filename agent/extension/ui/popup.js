// Is this device trusted, which session, what happened last.
import {ask, fill} from './page.js';
import {actionList, sessionList, verdictCard} from './state_view.js';

const state = await ask({kind: 'state'});
fill('verdict', verdictCard(state));
fill('sessions', sessionList(state.sessions.slice(-2)));
fill('actions', actionList(state.history, 5));
