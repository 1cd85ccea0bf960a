/** Certificate → user by asking a plugin: `ClientCertificateMapper` as proposed for Docker (moby PR 18514), or `Authentication` (PR 20883). */
import { GatewayError } from '../errors.ts'
import type { CertificateFacts } from '../tls-cert-utils/certificate.ts'
import type { CertificateMapper, Mapping, Users } from '../types.ts'
import { clientHeaders } from './answer-headers.ts'
import { memberOf, userOf } from './authed-user.ts'
import type { Plugin } from './plugin.ts'

export interface PluginMapperOptions {
  readonly plugin: Plugin
  readonly users: Users
  /** Options for the plugin, from `--authn-opt` or the configuration. */
  readonly options: Readonly<Record<string, string>>
  /** For how many milliseconds a user that was found is remembered. */
  readonly cacheTime: number
  /** For how many milliseconds a certificate without a user is not asked about again. */
  readonly negativeCacheTime: number
  /** How many answers are remembered. */
  readonly cacheSize: number
}

interface Remembered {
  readonly mapping: Mapping | Promise<Mapping>
  /** Milliseconds since the epoch. */
  readonly until: number
}

/**
 * Remembers a plugin's answers by the certificate's SHA-256, but no longer than the certificate is valid. A reload makes a new mapper, and the
 * answers are gone. There is one call for one certificate, however many requests wait for it. Failures are not remembered.
 */
export class PluginMapper implements CertificateMapper {
  readonly name: string
  readonly #options: PluginMapperOptions
  readonly #remembered = new Map<string, Remembered>()
  #form: Promise<Form> | undefined

  constructor(options: PluginMapperOptions) {
    this.name = options.plugin.name
    this.#options = options
  }

  map(certificate: CertificateFacts): Mapping | Promise<Mapping> {
    const key = certificate.fingerprintSha256
    const known = this.#remembered.get(key)
    if (known && Date.now() < known.until) return known.mapping
    const asked = this.#ask(certificate).then(
      (found) => this.#remember(key, found, certificate),
      (error: unknown) => {
        this.#remembered.delete(key)
        throw undecided(this.name, error)
      },
    )
    this.#keep(key, { mapping: asked, until: Number.POSITIVE_INFINITY })
    return asked
  }

  /** Adds the time until which it holds, which connections that remember it keep to as well. */
  #remember(key: string, found: Mapping, { notAfter }: CertificateFacts): Mapping {
    const { cacheTime, negativeCacheTime } = this.#options
    // A refusal with headers is one step of an exchange: the next may follow at once.
    const isStep = found.status === 'unmapped' && (found.headers?.length ?? 0) > 0
    const time = found.status === 'mapped' ? cacheTime : isStep ? 0 : negativeCacheTime
    const until = Math.min(Date.now() + time, notAfter)
    const mapping = Object.freeze({ ...found, until })
    this.#keep(key, { mapping, until })
    return mapping
  }

  #keep(key: string, remembered: Remembered): void {
    this.#remembered.delete(key)
    this.#remembered.set(key, remembered)
    if (this.#remembered.size <= this.#options.cacheSize) return
    const oldest = this.#remembered.keys().next().value
    if (oldest !== undefined) this.#remembered.delete(oldest)
  }

  async #ask(certificate: CertificateFacts): Promise<Mapping> {
    const { plugin, users, options } = this.#options
    const form = await this.#formOf(plugin)
    const answer = await plugin.call(form.method, form.request(certificate.raw.toString('base64'), options))
    const user = userOf(answer, users)
    const reason = user && `plugin ${this.name} says ${user.name}`
    if (user && users.isDisabled(user.name))
      return { status: 'unmapped', reason: `${reason}, who is not enabled`, disabled: true }
    if (user && users.isIdOfAnother(user.name))
      return {
        status: 'unmapped',
        reason: `plugin ${this.name}: ${JSON.stringify(user.name)} is the id of another user`,
      }
    if (user) return { status: 'mapped', user, reason: `${reason}` }
    return {
      status: 'unmapped',
      reason: `plugin ${this.name} knows nobody with this certificate`,
      headers: clientHeaders(memberOf(answer, 'header')),
    }
  }

  /** Asked again after a failure: another program may answer under this name by then. */
  #formOf(plugin: Plugin): Promise<Form> {
    this.#form ??= this.#findForm(plugin).catch((error: unknown) => {
      this.#form = undefined
      throw error
    })
    return this.#form
  }

  async #findForm(plugin: Plugin): Promise<Form> {
    const names = await plugin.implements()
    if (names.includes('ClientCertificateMapper')) return MAPPER
    if (!names.includes('Authentication')) {
      throw new Error(
        `plugin ${plugin.name} implements ${names.join(', ') || 'nothing'}, not ClientCertificateMapper or Authentication`,
      )
    }
    await plugin.call('Authentication.SetOptions', { Options: this.#options.options })
    return AUTHENTICATION
  }
}

/** One of the proposal's two forms. The certificate is the leaf's DER in base64 in both. */
interface Form {
  readonly method: string
  request(certificate: string, options: Readonly<Record<string, string>>): object
}

const MAPPER: Form = {
  method: 'ClientCertificateMapper.MapClientCertificateToUser',
  request: (Certificate, Options) => ({ Certificate, Options }),
}

/** The answer is remembered for the certificate, so nothing of the request that happened to ask is sent. */
const AUTHENTICATION: Form = {
  method: 'Authentication.Authenticate',
  request: (Certificate) => ({ Method: '', URL: '', Host: '', Header: {}, Certificate }),
}

function undecided(name: string, error: unknown): GatewayError {
  if (error instanceof GatewayError) return error
  return new GatewayError('GW_UNDECIDED', `certificate mapper ${name}: ${(error as Error).message}`, { cause: error })
}
