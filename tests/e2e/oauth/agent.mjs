// What a client that knows OAuth but holds no key asks of the agent: through
// the command line, as any program may.
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';

const run = promisify(execFile);

async function countersign(...words) {
  const {stdout} = await run(process.env.COUNTERSIGN, [...words, '--json']);
  return JSON.parse(stdout);
}

// A permitted action: its receipt and, which these tests do not present, the
// grant that came with the decision.
export function authorize(resource, audience, name = 'http:POST') {
  return countersign('authorize', '--name', name, '--resource', resource,
                     '--purpose', 'testing', '--audience', audience);
}

// {proof, client_attestation} for one request.
export function prove(method, uri, {grant, nonce} = {}) {
  const words = ['dpop', '--method', method, '--uri', uri];
  if (nonce) words.push('--nonce', nonce);
  if (!grant) return countersign(...words);
  const child = execFile(process.env.COUNTERSIGN,
                         [...words, '--grant-file', '-', '--json']);
  child.stdin.end(grant);
  return new Promise((resolve, reject) => {
    let out = '';
    child.stdout.on('data', (data) => out += data);
    child.on('close', (code) => code === 0 ? resolve(JSON.parse(out))
                                           : reject(new Error(`dpop: ${code}`)));
  });
}

// oauth4webapi's form of client authentication: attest_jwt_client_auth_dpop,
// with a proof that somebody else signs.
export function attested(endpoint, nonces) {
  return async (as, client, body, headers) => {
    const {proof, client_attestation: attestation} =
        await prove('POST', endpoint, {nonce: nonces.newest});
    headers.set('OAuth-Client-Attestation', attestation);
    headers.set('DPoP', proof);
  };
}
