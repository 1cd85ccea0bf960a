/** Variables that are not read although they may be meant for the gateway: what to write instead, where that can be told. */
import type { Problem } from '../../errors.ts'
import { nearest } from '../nearest.ts'
import { schema } from '../schema/config.ts'
import { allSettings, blockOf } from '../schema/settings.ts'
import { remedyOfNginx } from '../unknown-settings.ts'
import { BY_VARIABLE, CONFIG_FILE, ENVIRONMENT, UPSTREAM_URL, type Variables } from './variables.ts'

const KNOWN = new Set([CONFIG_FILE, ...[...BY_VARIABLE.keys(), UPSTREAM_URL].flatMap((name) => [name, `${name}_FILE`])])

const OURS = 'SALLYPORT_'

/** What other programs call it, too far from our name to be taken for a misspelling of it, or nearer to another one. */
const CALLED_ELSEWHERE = [
  ['SALLYPORT_LISTEN', 'HOST ADDRESS BIND'],
  [UPSTREAM_URL, 'UPSTREAM BACKEND TARGET URL'],
  ['SALLYPORT_SSL_CERTIFICATE', 'CERT CERTIFICATE SSL_CERT TLS_CERT SERVER_CERT'],
  ['SALLYPORT_SSL_CERTIFICATE_KEY', 'KEY SSL_KEY SSL_CERT_KEY TLS_KEY SERVER_KEY'],
  ['SALLYPORT_SSL_CLIENT_CERTIFICATE', 'CA CA_CERT SSL_CA TLS_CA CLIENT_CA'],
  ['SECRET_CLIENT_CERT', 'CLIENT_CERT'],
  ['SECRET_CLIENT_KEY', 'CLIENT_KEY'],
  ['SALLYPORT_LOG_LEVEL', 'DEBUG LOGLEVEL'],
] as const

/** The same of what begins with SECRET_CLIENT_. */
const OF_CLIENT_CALLED_ELSEWHERE = [
  ['SECRET_CLIENT_CERT', 'CERTIFICATE'],
  ['SECRET_CLIENT_KEY', 'CERT_KEY CERTIFICATE_KEY PRIVATE_KEY'],
  ['SECRET_CLIENT_KEY_PASSPHRASE', 'PASSWORD KEY_PASSWORD'],
  ['SALLYPORT_PROXY_SSL_TRUSTED_CERTIFICATE', 'CA CA_CERT'],
] as const

/** Settings without a variable. */
const ONLY_IN_FILES = new Set(
  [...allSettings(blockOf(schema))].filter(({ field }) => field.env.length === 0).map(({ key }) => key),
)

/** Kubernetes gives every pod such variables for a Service that happens to be named "sallyport", or "kong-proxy". */
const KUBERNETES =
  /^(?:SALLYPORT|KONG)_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/

const OURS_IN_ANY_CASE = /^(SALLYPORT_|SECRET_CLIENT_)/i

/** A misspelt variable must not be ignored: it may be the one that demands certificates. */
export function unknownVariables(env: Variables): Problem[] {
  return Object.keys(env)
    .filter((name) => OURS_IN_ANY_CASE.test(name) && !KNOWN.has(name) && !isOfKubernetes(name, env[name]))
    .map((name) => ({ path: name, source: ENVIRONMENT, message: aboutUnknown(name) }))
}

export function isOfKubernetes(name: string, value = ''): boolean {
  // SALLYPORT_PORT is Kubernetes's only in the form tcp://10.0.0.1:8443; a plain number was meant for us.
  return KUBERNETES.test(name) && (name !== 'SALLYPORT_PORT' || value.includes('://'))
}

function aboutUnknown(name: string): string {
  if (name === 'SALLYPORT_PORT') return 'is no variable that Sallyport knows; SALLYPORT_LISTEN sets address and port'
  if (KNOWN.has(name.toUpperCase())) return `is not read: write ${name.toUpperCase()}, in upper case`
  const [, prefix = '', bare = ''] = /^(SALLYPORT_|SECRET_CLIENT_)(.*?)(?:_FILE)?$/.exec(name) ?? []
  const elsewhere = prefix === OURS ? CALLED_ELSEWHERE : OF_CLIENT_CALLED_ELSEWHERE
  const meant = elsewhere.find(([, words]) => words.split(' ').includes(bare))
  if (meant) return `is no variable that Sallyport knows; ${meant[0]} is what sets it here`
  const word = name.replace(/^SALLYPORT_/, '').toLowerCase()
  const foreign = remedyOfNginx(word)
  if (foreign !== undefined) return `is no variable that Sallyport knows; ${word} is nginx's: ${foreign}`
  if (ONLY_IN_FILES.has(word)) return `is no variable: write ${word} in a file (-c)`
  // The prefix is no mistake: counted in, it would make any two short words alike.
  const known = [...KNOWN].filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length))
  const near = nearest(bare, known) ?? known.find((each) => each.endsWith(`_${bare}`))
  return `is no variable that Sallyport knows${near === undefined ? '' : ` (did you mean "${prefix}${near}"?)`}`
}

/** So few mistakes make one of our names, which have a dozen characters and more, that it must have been meant. */
const MOST_MISTAKES = 2
/** What follows the beginning of each, and the whole. */
const ENDS = [...KNOWN].map((name) => [name.replace(/^(SALLYPORT|SECRET_CLIENT)/, ''), name] as const)

/**
 * A variable whose beginning is misspelt. It may be the one that demands certificates; but as it may also be another program's, it is only warned of.
 */
export function misspeltVariables(env: Variables): Problem[] {
  return Object.keys(env).flatMap((name) => {
    // Kubernetes gives a pod thousands of variables: comparing their ends first rules out all of them, and costs little.
    if (!/^s/i.test(name) || KNOWN.has(name) || OURS_IN_ANY_CASE.test(name)) return []
    const alike = ENDS.filter(([end]) => name.endsWith(end)).map(([, known]) => known)
    const near = nearest(name, alike, MOST_MISTAKES)
    return near === undefined
      ? []
      : [{ path: name, source: ENVIRONMENT, message: `is not read; if it is meant for Sallyport, write ${near}` }]
  })
}
