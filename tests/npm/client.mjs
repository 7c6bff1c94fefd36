// openid-client and jose, as their own documentation uses them, against the signer whose issuer is named.
//
// Reads {issuer, id, secret, key, method, algorithm, scope, resource} as JSON from standard input and writes what it
// got as JSON. `method`: client_secret_basic, client_secret_post or private_key_jwt, for which `key` is the private
// JWK. `algorithm`: where the metadata is looked for, oidc (OpenID Connect Discovery) or oauth2 (RFC 8414).
import { text } from 'node:stream/consumers'
import * as jose from 'jose'
import * as client from 'openid-client'

const given = JSON.parse(await text(process.stdin))

const methods = {
  client_secret_basic: async () => client.ClientSecretBasic(given.secret),
  client_secret_post: async () => client.ClientSecretPost(given.secret),
  private_key_jwt: async () => client.PrivateKeyJwt(
    { key: await jose.importJWK(given.key, given.key.alg), kid: given.key.kid },
  ),
}

const config = await client.discovery(
  new URL(given.issuer),
  given.id,
  undefined,
  await methods[given.method](),
  { algorithm: given.algorithm, execute: [client.allowInsecureRequests] }, // plain HTTP, on loopback
)
const metadata = config.serverMetadata()

const parameters = {}
if (given.scope) parameters.scope = given.scope
if (given.resource) parameters.resource = given.resource
const tokens = await client.clientCredentialsGrant(config, parameters)

const keys = jose.createRemoteJWKSet(new URL(metadata.jwks_uri))
const verified = await jose.jwtVerify(tokens.access_token, keys, {
  issuer: metadata.issuer,
  audience: given.resource ?? 'services',
  typ: 'at+jwt',
  requiredClaims: ['jti', 'iat', 'exp', 'client_id', 'sub'],
})

const { uri, idx } = verified.payload.status.status_list
const list = await (await fetch(uri)).text()
const statuses = await jose.jwtVerify(list, keys, { subject: uri, typ: 'statuslist+jwt', issuer: metadata.issuer })

const before = await client.tokenIntrospection(config, tokens.access_token)
await client.tokenRevocation(config, tokens.access_token)
const after = await client.tokenIntrospection(config, tokens.access_token)

console.log(JSON.stringify({
  issuer: metadata.issuer,
  algorithm: verified.protectedHeader.alg,
  claims: verified.payload,
  expires_in: tokens.expires_in,
  scope: tokens.scope ?? null,
  idx,
  bits: statuses.payload.status_list.bits,
  active_before: before.active,
  active_after: after.active,
}))
