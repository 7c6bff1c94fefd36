// An OpenID provider of `oidc-provider`, as its documentation sets one up: tokens for services by client credentials,
// JWT access tokens by resource indicators (RFC 8707, RFC 9068).
//
// node oidc-provider.mjs PORT ALGORITHM
//
// Lines on standard input change its keys: `announce` publishes another key behind the one that signs, `sign` lets it
// sign from now on, `retire` publishes it alone. Each is answered by a line with the kid that signs.

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { exportJWK, generateKeyPair, calculateJwkThumbprint } from 'jose';
import { Provider } from 'oidc-provider';

const [port, alg] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const resource = 'urn:jwtgate:services';

async function makeKey() {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg, use: 'sig', kid: await calculateJwkThumbprint(jwk) };
}

function makeProvider(keys) {
  return new Provider(issuer, {
    jwks: { keys },
    clients: [
      {
        client_id: 'service',
        client_secret: 'a secret of the tests, and of nobody else',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: alg,
      },
    ],
    scopes: ['read', 'write'],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({
          scope: 'read write',
          audience: resource,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg } },
        }),
      },
    },
  });
}

let keys = [await makeKey()];
let handle = makeProvider(keys).callback();

const changes = {
  announce: async () => [...keys, await makeKey()],
  sign: () => [...keys].reverse(),
  retire: () => keys.slice(0, 1),
};

createServer((request, response) => handle(request, response)).listen(Number(port), '127.0.0.1', () => {
  console.log(`ready ${keys[0].kid}`);
});

for await (const line of createInterface({ input: process.stdin })) {
  keys = await changes[line]();
  handle = makeProvider(keys).callback();
  console.log(`${line} ${keys[0].kid}`);
}
process.exit(0);
