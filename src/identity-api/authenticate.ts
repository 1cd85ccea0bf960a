/** Keystone's authentication: all methods that the client chose must succeed, in its order, and agree. */
import { agree, together } from '../auth/agreement.ts'
import { objectAt, textAt } from '../auth/methods/payload.ts'
import { isEnough } from '../auth/multi-factor.ts'
import { type Progress as Attested, type Receipts, readReceiptHeader } from '../auth/receipts.ts'
import { GatewayError } from '../errors.ts'
import type { AuthMethod, Caller, Identity, Outcome, User } from '../types.ts'
import { type AuthRequest, domainBeside } from './auth-request.ts'
import type { Directory } from './directory.ts'
import { expecting, KeystoneError, tokenNotFound, unauthorized } from './keystone-error.ts'

export interface AuthenticateOptions {
  readonly methods: ReadonlyMap<string, AuthMethod>
  readonly receipts: Receipts
  readonly directory: Directory
}

/** An identity with a user. */
export type Known = Identity & { readonly user: NonNullable<Identity['user']> }

/** What the client has proved, and whether it is enough. */
export type Authentication =
  | { readonly status: 'complete'; readonly identity: Known }
  | ({ readonly status: 'insufficient' } & Insufficient)

interface Insufficient {
  readonly identity: Known
  /** The combinations that include what was proved. */
  readonly required: readonly (readonly string[])[]
  /** What the client's receipt attested. */
  readonly before: Attested | undefined
}

/** The state of a request whose methods are being asked. */
interface Progress {
  found: Identity | undefined
  before: Attested | undefined
  readonly challenges: Map<string, unknown>
  /** Further methods that some methods demand, such as the password of a mapped user. */
  readonly requires: Set<string>
}

/** @throws KeystoneError; GatewayError GW_UNDECIDED where it cannot be decided */
export async function authenticate(
  caller: Caller,
  { methods: asked }: AuthRequest,
  options: AuthenticateOptions,
): Promise<Authentication> {
  const progress: Progress = { found: undefined, before: undefined, challenges: new Map(), requires: new Set() }
  await askExternal(caller, progress, options)
  for (const [name, payload] of asked) {
    const method = options.methods.get(name) as AuthMethod
    const named = namesUser(name, payload) ? namedIn(name, payload, options.directory) : undefined
    const outcome = await method.authenticate(caller, named ? named.payload : payload, progress.found)
    if (named) assertMeant(named, outcome)
    take(name, named ? asNamed(named, outcome) : outcome, progress)
  }
  if (progress.challenges.size > 0) throw additionalSteps(progress.challenges)
  const found = known(progress.found)
  if (!found) throw unauthorized('no method found a user')
  return judge(await withReceipt(found, caller, progress, options), progress, options)
}

/**
 * The front server's user counts first, even where the client does not name that method. Where the front server names nobody, the other methods go
 * on.
 */
async function askExternal(caller: Caller, progress: Progress, { methods }: AuthenticateOptions): Promise<void> {
  const external = methods.get('external')
  if (!external) return
  const outcome = await external.authenticate(caller)
  if (outcome.status === 'accepted') take('external', outcome, progress)
}

function take(name: string, outcome: Outcome, progress: Progress): void {
  switch (outcome.status) {
    case 'accepted': {
      if ((outcome.expiresAt ?? Number.POSITIVE_INFINITY) <= Date.now()) throw unauthorized(`${name}: has expired`)
      const found = agree(progress.found, name, outcome)
      if (found instanceof Error) throw unauthorized(found.message)
      progress.found = found
      for (const method of outcome.requires ?? []) progress.requires.add(method)
      return
    }
    case 'challenged':
      progress.challenges.set(name, outcome.challenge)
      return
    case 'absent':
      throw unauthorized(`${name}: the request says nothing to it`)
    case 'denied':
      if (name === 'token') throw tokenNotFound(outcome.reason)
      throw unauthorized(`${name}: ${outcome.reason}`, outcome.headers)
  }
}

/** Whether the payload names a user: that of an application credential does where it says the credential's name instead of its id. */
function namesUser(method: string, payload: unknown): boolean {
  if (method === 'application_credential') return textAt(payload, 'id') === undefined
  return method === 'password' || method === 'totp'
}

interface Named {
  /** Undefined where there is no such user in that domain. */
  readonly user: User | undefined
  /** For the log: who, and in which domain, as the name of a domain is easily given for its id. */
  readonly told: string
  readonly payload: object
}

/**
 * Replaces users' names by ids, since a name identifies a user only within a domain. An unknown user is replaced by a placeholder, so that the answer
 * takes as long and attempts are counted as for a real user. A user of another domain is asked for all the same: were attempts at `ada` counted
 * anew in each domain, and those at nobody's name not, the pauses would show who exists.
 */
function namedIn(method: string, payload: unknown, directory: Directory): Named {
  const given = objectAt(payload, 'user')
  if (given === undefined) throw expecting('user', method)
  const named = { id: textAt(given, 'id'), name: textAt(given, 'name') }
  if (named.id === undefined && named.name === undefined) throw expecting('id or name', 'user')
  const domain = named.name === undefined ? undefined : domainBeside(given, 'user', directory)
  const user = directory.user(named, domain)
  const id = (user ?? directory.userNamed(named.name))?.id ?? `${NOBODY}${named.name ?? named.id}`
  const place = named.name === undefined ? '' : placeOf(given, domain !== undefined)
  const told = `${JSON.stringify(named.name ?? named.id)}${place}`
  return { user, told, payload: { ...(payload as object), user: { ...(given as object), name: undefined, id } } }
}

function placeOf(user: unknown, isThere: boolean): string {
  const domain = objectAt(user, 'domain')
  const called = (textAt(domain, 'id') ?? textAt(domain, 'name'))?.slice(0, 64)
  if (called === undefined) return ''
  return ` in the domain ${JSON.stringify(called)}${isThere ? '' : ', which is not there'}`
}

/** Whoever is not in that domain is nobody, whatever is wrong besides; only that there were too many tries is told as it is. */
function asNamed({ user, told }: Named, outcome: Outcome): Outcome {
  if (user || outcome.status !== 'denied') return outcome
  const isPause = outcome.headers !== undefined
  return { ...outcome, reason: isPause ? outcome.reason.replace(WRITTEN_NOBODY, '"') : `nobody is named ${told}` }
}

/** A log-in name may equal another user's id: the user who was found must be the one who was named. */
function assertMeant({ user, told }: Named, outcome: Outcome): void {
  if (outcome.status !== 'accepted' || outcome.user.id === user?.id) return
  throw unauthorized(user ? `${outcome.user.name} was found where ${user.name} was named` : `nobody is named ${told}`)
}

/** The prefix of placeholders for unknown users. No user of the configuration can have a NUL in a name. */
const NOBODY = '\0'

/** As the reasons of methods begin a name with it. */
const WRITTEN_NOBODY = JSON.stringify(NOBODY).slice(0, -1)

function known(identity: Identity | undefined): Known | undefined {
  return identity?.user ? (identity as Known) : undefined
}

function additionalSteps(challenges: ReadonlyMap<string, unknown>): KeystoneError {
  return new KeystoneError(401, 'Additional authentications steps required.', {
    identity: { methods: [...challenges.keys()], ...Object.fromEntries(challenges) },
  })
}

/** Adds what the receipt attests, its attributes too: they say what a token may be good for. @throws KeystoneError 401 for a receipt of another user */
async function withReceipt(
  found: Known,
  caller: Caller,
  progress: Progress,
  options: AuthenticateOptions,
): Promise<Known> {
  const id = receiptOf(caller)
  if (id === undefined) return found
  const before = await openReceipt(id, caller, options)
  if (before.user.id !== found.user.id) throw receiptNotFound(id, 'the receipt belongs to somebody else')
  progress.before = before
  for (const method of before.attributes?.[REQUIRES]?.split(' ') ?? []) progress.requires.add(method)
  const expiresAt = Math.min(found.expiresAt, before.expiresAt ?? Number.POSITIVE_INFINITY)
  const attributes = { ...before.attributes, ...found.attributes }
  return { ...found, inherited: undefined, ...together(found, before), expiresAt, attributes }
}

function receiptOf(caller: Caller): string | undefined {
  return readReceiptHeader(caller.request.rawHeaders) || undefined
}

async function openReceipt(id: string, caller: Caller, { receipts, methods }: AuthenticateOptions): Promise<Attested> {
  try {
    return await receipts.open(id, caller, methods.get('certificate'))
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'GW_UNAUTHENTICATED') throw receiptNotFound(id, error.detail)
    throw error
  }
}

function receiptNotFound(id: string, reason: string): KeystoneError {
  return new KeystoneError(401, `Could not find auth receipt: ${id.slice(0, 64)}.`, { reason })
}

/** The attribute under which a receipt remembers which methods are still required: nothing less is enough with it. */
const REQUIRES = 'requires'

/** Keystone's multi-factor rules: of those that can be met at all, one must be met. */
function judge(identity: Known, progress: Progress, options: AuthenticateOptions): Authentication {
  const { requires, before } = progress
  const missing = [...requires].filter((method) => !identity.methods.includes(method))
  if (missing.length > 0) {
    const attributes = { ...identity.attributes, [REQUIRES]: missing.join(' ') }
    const required = [[...identity.methods, ...missing]]
    return { status: 'insufficient', identity: { ...identity, attributes }, required, before }
  }
  const rules = options.directory
    .multiFactorRulesOf(identity.user)
    .map((rule) => rule.filter((method) => options.methods.has(method)))
    .filter((rule) => rule.length > 0)
  if (isEnough(rules, identity.methods)) return { status: 'complete', identity }
  const required = rules.filter((rule) => rule.some((method) => identity.methods.includes(method)))
  return { status: 'insufficient', identity, required, before }
}
