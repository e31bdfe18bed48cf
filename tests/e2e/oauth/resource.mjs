// An Express server that takes payments with a grant. All that it knows of
// Countersign is its issuer: tokens and proofs are checked by oauth4webapi.
import https from 'node:https';
import {readFileSync} from 'node:fs';

import express from 'express';
import * as oauth from 'oauth4webapi';

const {ISSUER, AUDIENCE, CERT, KEY} = process.env;
const issuer = new URL(ISSUER);
const as = await oauth.processDiscoveryResponse(
    issuer, await oauth.discoveryRequest(issuer, {algorithm: 'oauth2'}));
const seen = new Set();

function isFor(claims, request) {
  return claims.authorization_details?.some(
      (detail) => detail.type === 'countersign_action' &&
          detail.actions.includes(`http:${request.method}`) &&
          detail.locations.includes(request.url));
}

// RFC 9068 and RFC 9449, then what this server asks for besides.
async function check(incoming, response, next) {
  const request = new Request(AUDIENCE + incoming.originalUrl, {
    method: incoming.method, headers: incoming.headers});
  try {
    const claims = await oauth.validateJwtAccessToken(
        as, request, AUDIENCE, {requireDPoP: true});
    const {jti} = JSON.parse(
        Buffer.from(incoming.get('dpop').split('.')[1], 'base64url'));
    if (seen.has(jti)) throw new Error('the proof was used before');
    seen.add(jti);
    if (!isFor(claims, request)) throw new Error('another action');
    response.locals.claims = claims;
    next();
  } catch (error) {
    response.status(401).json({reason: error.message});
  }
}

const app = express();
app.use(check);
app.post('/orders/:id', (request, response) => {
  const {sub, act} = response.locals.claims;
  response.json({accepted: request.params.id, for: sub, by: act.sub});
});
https.createServer({cert: readFileSync(CERT), key: readFileSync(KEY)}, app)
    .listen(Number(new URL(AUDIENCE).port), '127.0.0.1',
            () => console.log('ready'));
