// What openid-client makes of the signer's refusals: its own error classes, with the RFC's codes.
import { text } from 'node:stream/consumers'
import * as client from 'openid-client'

const given = JSON.parse(await text(process.stdin))
const config = await client.discovery(
  new URL(given.issuer), given.id, undefined, client.ClientSecretBasic(given.secret),
  { execute: [client.allowInsecureRequests] },
)
try {
  await client.clientCredentialsGrant(config, given.scope ? { scope: given.scope } : {})
  console.log(JSON.stringify({ name: null }))
} catch (error) {
  const challenge = error instanceof client.WWWAuthenticateChallengeError
  console.log(JSON.stringify({
    name: error.name,
    status: error.status ?? null,
    error: challenge ? error.cause?.[0]?.scheme ?? null : error.error ?? null,
  }))
}
