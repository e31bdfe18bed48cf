// A real OpenID provider for the tests: npm oidc-provider, over HTTPS, with
// accounts that need no password. Told by one JSON object:
//   port, cert, key        files
//   client                 its metadata
//   keys                   [{kid, alg}], made here, the first signs
//   accounts               {id: claims}
// Prints "ready" once it listens.
import {readFileSync} from 'node:fs';
import {generateKeyPairSync} from 'node:crypto';
import https from 'node:https';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const told = JSON.parse(process.argv[2]);
const require = createRequire(told.modules + '/');
const {default: Provider} =
    await import(pathToFileURL(require.resolve('oidc-provider')).href);

const kinds = {
  RS256: ['rsa', {modulusLength: 2048}],
  PS256: ['rsa', {modulusLength: 2048}],
  ES256: ['ec', {namedCurve: 'P-256'}],
  EdDSA: ['ed25519', {}],
};

function makeKey({kid, alg}) {
  const {privateKey} = generateKeyPairSync(...kinds[alg]);
  return {...privateKey.export({format: 'jwk'}), kid, alg, use: 'sig'};
}

const issuer = `https://localhost:${told.port}`;
const provider = new Provider(issuer, {
  clients: [told.client],
  jwks: {keys: told.keys.map(makeKey)},
  enabledJWA: {idTokenSigningAlgValues: Object.keys(kinds)},
  claims: {openid: ['sub'], profile: ['preferred_username', 'groups', 'name']},
  conformIdTokenClaims: false,
  acrValues: ['urn:mfa'],
  pkce: {required: () => true, methods: ['S256']},
  cookies: {keys: ['for tests']},
  features: {
    devInteractions: {enabled: false},
    deviceFlow: {enabled: true},
    backchannelLogout: {enabled: true},
    rpInitiatedLogout: {enabled: true},
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({sub: id, ...told.accounts[id]}),
  }),
  // Nobody is asked for consent: this is the company's own client.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid profile');
    await grant.save();
    return grant;
  },
});

// GET /interaction/UID?login=ID signs that account in.
async function interact(request, response) {
  const {prompt} = await provider.interactionDetails(request, response);
  const account = new URL(request.url, issuer).searchParams.get('login');
  // A native client needs a word about consent each time; the grant is there.
  if (prompt.name === 'consent') {
    await provider.interactionFinished(request, response, {consent: {}},
                                       {mergeWithLastSubmission: true});
    return;
  }
  if (!account) {
    response.writeHead(200, {'content-type': 'text/plain'});
    response.end(`prompt ${prompt.name}`);
    return;
  }
  const result = account === 'nobody' ?
      {error: 'access_denied', error_description: 'not today'} :
      {login: {accountId: account, acr: told.acr, amr: ['pwd']}};
  await provider.interactionFinished(request, response, result,
                                     {mergeWithLastSubmission: false});
}

const callback = provider.callback();
https.createServer(
    {cert: readFileSync(told.cert), key: readFileSync(told.key)},
    (request, response) => {
      if (!request.url.startsWith('/interaction/')) {
        callback(request, response);
        return;
      }
      interact(request, response).catch((error) => {
        response.writeHead(500);
        response.end(String(error));
      });
    }).listen(told.port, '127.0.0.1', () => console.log('ready'));
