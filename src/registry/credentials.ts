/** The credentials that a client may send to a token server. */

export type Credentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly name: string; readonly password: string }
  | { readonly kind: 'refresh'; readonly token: string }
  /** An Authorization that cannot be used here. */
  | { readonly kind: 'unusable' }

const NONE: Credentials = { kind: 'none' }
const UNUSABLE: Credentials = { kind: 'unusable' }

/** Nothing may follow: parsers have removed blanks at the end, and ` +` and ` *` would divide those of a long header in all ways, for half a second. */
const BASIC = /^basic +([A-Za-z0-9+/_-]*={0,2})$/i

/** RFC 7617's Basic. podman and skopeo send `Og==`, an empty name with an empty password, for an anonymous client. */
export function basicCredentials(rawHeaders: readonly string[]): Credentials {
  const [value, ...more] = authorizations(rawHeaders)
  if (value === undefined) return NONE
  const encoded = BASIC.exec(value)?.[1]
  if (encoded === undefined || more.length > 0) return UNUSABLE
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0) return UNUSABLE
  const name = text.slice(0, colon)
  const password = text.slice(colon + 1)
  if (name === '') return password === '' ? NONE : UNUSABLE
  return { kind: 'password', name, password }
}

/** Every Authorization of a request: two would be ambiguous. */
export function authorizations(rawHeaders: readonly string[]): string[] {
  const found: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 'authorization'.length && name.toLowerCase() === 'authorization') {
      found.push(rawHeaders[i + 1] as string)
    }
  }
  return found
}

/** The form of distribution's OAuth 2: `grant_type`, and what belongs to it. Undefined for another grant. */
export function formCredentials(form: URLSearchParams): Credentials | undefined {
  const grant = form.get('grant_type')
  if (grant === 'refresh_token') {
    const token = form.get('refresh_token')
    return token ? { kind: 'refresh', token } : UNUSABLE
  }
  if (grant !== 'password') return undefined
  const name = form.get('username') ?? ''
  const password = form.get('password') ?? ''
  if (name === '') return password === '' ? NONE : UNUSABLE
  return { kind: 'password', name, password }
}
