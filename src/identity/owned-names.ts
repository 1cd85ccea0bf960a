/** Which header names only we may write, and which belong to one hop. */
import { fold } from './fold.ts'
import { KEYSTONE_ONLY } from './keystone.ts'
import { headersOf, PRESETS, type PresetName } from './presets.ts'

/**
 * The names by which gateways tell backends who is calling: nginx, HAProxy, Apache, Envoy, Traefik, Kong, AWS, Azure, Google, Cloudflare, Tailscale,
 * oauth2-proxy, Authelia, authentik, Pomerium, Vouch, SiteMinder, WebSEAL, Kubernetes, RFC 9440. A backend that once stood behind another gateway may
 * still believe them, so a client's own never pass (RFC 9440 section 4: even where no client certificate is asked for). Assertions whose signature a
 * backend verifies are not among them.
 */
const IDENTITY_NAMES = new Set([
  ...(Object.keys(PRESETS) as PresetName[]).flatMap(headersOf).map(fold),
  ...KEYSTONE_ONLY,
  'verified',
  'dn',
  'client-cert',
  'client-cert-chain',
  'remote-user',
  'remote-groups',
  'remote-email',
  'remote-name',
  'x-remote-user',
  'x-remote-group',
  'x-remote-uid',
  'x-webauth-user',
  'x-vouch-user',
  'x-userinfo',
  'x-amzn-oidc-identity',
  'cf-access-authenticated-user-email',
  'sm-user',
  'sm-userdn',
  'sm-universalid',
  'iv-user',
  'iv-user-l',
  'iv-groups',
  'iv-creds',
  'x-credential-identifier',
  'x-credential-username',
  'x-anonymous-consumer',
  'x-authenticated-user',
  'x-authenticated-userid',
  'x-authenticated-groups',
  'x-authenticated-scope',
  'x-arr-clientcert',
  'x-ssl',
  'x-ssl-cert',
  'x-ssl-issuer',
  'x-ssl-issuer-dn',
  'x-client-verify',
  'x-client-verified',
  'x-client-dn',
  'x-client-cn',
  'x-client-subject',
  'x-client-issuer',
  'x-client-serial',
  'x-client-fingerprint',
])

const IDENTITY_PREFIXES = [
  'x-ssl-client-',
  'ssl-client-',
  'x-client-cert',
  'x-consumer-',
  'x-remote-extra-',
  'x-auth-request-',
  'x-amzn-mtls-',
  'cf-client-cert-',
  'cf-cert-',
  'x-clientcert-',
  'x-ms-client-principal',
  'x-goog-authenticated-user-',
  'tailscale-user-',
  'x-pomerium-claim-',
  'x-authentik-',
]

/** Whether a folded name says who is calling, in any gateway's words. */
export function namesIdentity(folded: string): boolean {
  return IDENTITY_NAMES.has(folded) || IDENTITY_PREFIXES.some((prefix) => folded.startsWith(prefix))
}

/** Whether a folded name says where a request came from: X-Forwarded-For and its relatives, and also X-Forwarded-User and X-Forwarded-Client-Cert. */
export function namesOrigin(folded: string): boolean {
  return (
    folded.startsWith('x-forwarded-') ||
    folded === 'x-forwarded' ||
    folded === 'forwarded' ||
    folded === 'x-real-ip' ||
    folded === 'x-request-id'
  )
}

/** Those in which a proxy of ours is believed (forwarded.ts). */
export const BELIEVED_ORIGIN: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'forwarded',
  'x-request-id',
])

/** Headers of one connection only (RFC 9110 7.6.1), and of a message's framing, which is written anew from what the parser understood. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])
