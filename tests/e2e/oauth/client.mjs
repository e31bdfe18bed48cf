// The client's and the resource server's side of each test, with libraries
// that no one here wrote. `client.mjs NAME` runs one and prints what was seen.
import {readFileSync, writeFileSync} from 'node:fs';

import * as status from '@sd-jwt/jwt-status-list';
import * as dpop from 'dpop';
import * as jose from 'jose';
import * as oauth from 'oauth4webapi';

import {attested, authorize, prove} from './agent.mjs';

const {ISSUER, AUDIENCE, SECRET, KEY_FILE} = process.env;
const issuer = new URL(ISSUER);
const place = `${AUDIENCE}/orders/17`;
const as = await oauth.processDiscoveryResponse(
    issuer, await oauth.discoveryRequest(issuer, {algorithm: 'oauth2'}));
const keys = jose.createRemoteJWKSet(new URL(as.jwks_uri));
const client = {client_id: 'orders', introspection_signed_response_alg: 'ES256'};

// For the library: who we are, the attestation says.
const session = {client_id: 'attested'};

// What `ask` makes of an answer, once more if the service wanted a nonce.
async function withNonce(nonces, ask) {
  try {
    return await ask();
  } catch (error) {
    nonces.asked = oauth.isDPoPNonceError(error);
    if (!nonces.asked) throw error;
    return ask();
  }
}

// The token answer, or the OAuth error that was the answer.
async function exchange(receipt, changes = {}, nonces = {}) {
  const parameters = {
    subject_token: receipt,
    subject_token_type: 'urn:countersign:oauth:token-type:receipt',
    audience: AUDIENCE, ...changes};
  try {
    return await withNonce(nonces, async () => {
      const response = await oauth.genericTokenEndpointRequest(
          as, session, attested(as.token_endpoint, nonces),
          'urn:ietf:params:oauth:grant-type:token-exchange', parameters);
      nonces.newest = response.headers.get('dpop-nonce');
      return oauth.processGenericTokenEndpointResponse(as, session, response);
    });
  } catch (error) {
    if (!(error instanceof oauth.ResponseBodyError)) throw error;
    return {error: error.error, why: error.error_description};
  }
}

async function present(grant, url = place, proof) {
  proof ??= (await prove('POST', url, {grant})).proof;
  const response = await fetch(url, {
    method: 'POST',
    headers: {authorization: `DPoP ${grant}`, dpop: proof}});
  return {status: response.status, body: await response.json()};
}

async function newGrant() {
  const decision = await authorize(place, AUDIENCE);
  return exchange(decision.receipt).then((answer) => answer.access_token);
}

function withSecret() { return oauth.ClientSecretBasic(SECRET); }
async function withKey() {
  const jwk = JSON.parse(readFileSync(KEY_FILE, 'utf8'));
  return oauth.PrivateKeyJwt(
      {key: await jose.importJWK(jwk, 'ES256'), kid: jwk.kid});
}

async function introspect(grant, authentication, signed = false) {
  const response = await oauth.introspectionRequest(
      as, client, authentication, grant, {requestJwtResponse: signed});
  const type = response.headers.get('content-type');
  const answer = await oauth.processIntrospectionResponse(as, client, response);
  if (signed) await oauth.validateApplicationLevelSignature(as, response);
  return {type, answer};
}

async function revoke(grant, authentication) {
  const response = await oauth.revocationRequest(as, client, authentication,
                                                 grant);
  await oauth.processRevocationResponse(response);
}

// 0: valid, 1: invalid, of a list whose signature jose has checked.
async function statusOf(grant) {
  const {idx, uri} = status.getStatusListFromJWT(grant);
  const list = await (await fetch(uri)).text();
  const {payload} = await jose.jwtVerify(
      list, keys, {typ: 'statuslist+jwt', subject: uri});
  return {bit: status.getListFromStatusListJWT(list).getStatus(idx),
          ttl: payload.ttl};
}

const tests = {
  async redeem() {
    const decision = await authorize(place, AUDIENCE);
    const nonces = {};
    const answer = await exchange(decision.receipt, {}, nonces);
    const {payload} = await jose.jwtVerify(
        answer.access_token, keys,
        {issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt'});
    return {answer, asked: nonces.asked, jti: payload.jti,
            decided: decision.grant_jti, details: payload.authorization_details,
            use: await present(answer.access_token),
            again: await exchange(decision.receipt, {}, nonces)};
  },

  async refusals() {
    const decision = await authorize(place, AUDIENCE);
    const other = await exchange(decision.receipt,
                                 {audience: 'https://other.example'});
    const noReceipt = await exchange(decision.grant);
    const elsewhere = await fetch(as.token_endpoint, {
      method: 'POST', body: new URLSearchParams({grant_type: 'x'})});
    const foreign = await prove('POST', 'https://other.example/oauth/token')
        .then(() => 'signed', () => 'refused');
    return {other, noReceipt, foreign,
            bare: {status: elsewhere.status, body: await elsewhere.json()}};
  },

  async otherKey() {
    const grant = await newGrant();
    const pair = await dpop.generateKeyPair('ES256');
    const forged = await dpop.generateProof(pair, place, 'POST', undefined,
                                            grant);
    const proof = (await prove('POST', place, {grant})).proof;
    const wrongPlace = await dpop.generateProof(
        pair, `${AUDIENCE}/orders/18`, 'POST', undefined, grant);
    return {forged: await present(grant, place, forged),
            wrongPlace: await present(grant, place, wrongPlace),
            good: await present(grant, place, proof),
            replayed: await present(grant, place, proof),
            otherAction: await present(grant, `${AUDIENCE}/orders/18`)};
  },

  async makeKey() {
    const {privateKey, publicKey} = await jose.generateKeyPair(
        'ES256', {extractable: true});
    const jwk = await jose.exportJWK(publicKey);
    jwk.kid = await jose.calculateJwkThumbprint(jwk);
    writeFileSync(KEY_FILE, JSON.stringify(
        {...await jose.exportJWK(privateKey), kid: jwk.kid}), {mode: 0o600});
    return {keys: [jwk]};
  },

  async introspection() {
    const grant = await newGrant();
    return {plain: await introspect(grant, withSecret()),
            signed: await introspect(grant, withSecret(), true),
            none: await introspect('x', withSecret())};
  },

  async byKey() {
    client.client_id = 'signer';
    return introspect(await newGrant(), await withKey(), true);
  },

  async revocation() {
    const grant = await newGrant();
    const before = await statusOf(grant);
    await revoke(grant, withSecret());
    const {answer} = await introspect(grant, withSecret());
    // A list is made at most once a second.
    let after = await statusOf(grant);
    for (const end = Date.now() + 10_000;
         after.bit === 0 && Date.now() < end;) after = await statusOf(grant);
    return {before, after, active: answer.active};
  },

  // RFC 7009 by the session that the grant was issued to.
  async giveBack() {
    const grant = await newGrant();
    const nonces = {};
    await withNonce(nonces, async () => {
      const response = await oauth.revocationRequest(
          as, session, attested(as.revocation_endpoint, nonces), grant);
      nonces.newest = response.headers.get('dpop-nonce');
      return oauth.processRevocationResponse(response);
    });
    return {active: (await introspect(grant, withSecret())).answer.active};
  },
};

console.log(JSON.stringify(await tests[process.argv[2]]()));
