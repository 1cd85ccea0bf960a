/** Rights from a program of the operator's, asked over a Unix socket. Where it does not answer, the result is never a yes. */
import { boundedRequest } from '../bounded-request.ts'
import { GatewayError } from '../errors.ts'
import { actionsAsked, type Judgement, type Rights, type Subject, type Tag } from './rights.ts'
import type { Resource } from './scope.ts'

export interface ExternalRightsOptions {
  readonly socketPath: string
  /** Milliseconds for the whole answer. */
  readonly timeout: number
}

/** A list of a few words. */
const LARGEST_ANSWER = 64 * 1024

/** The fields of docker_auth's ext_authz, so that its programs need only a socket; `Tag` and `Certificate` are ours. */
function questionOf(
  { user, certificate, address, service }: Subject,
  { type, name }: Resource,
  actions: readonly string[],
  tag: Tag,
) {
  return {
    Account: user?.name ?? '',
    Type: type,
    Name: name,
    Service: service,
    IP: address,
    Actions: actions,
    Labels: { groups: user?.groups ?? [] },
    ...(tag !== undefined && tag !== '' && { Tag: tag }),
    ...(certificate && { Certificate: certificate.pem }),
  }
}

export function createExternalRights({ socketPath, timeout }: ExternalRightsOptions): Rights {
  return {
    byCertificate: true,
    async judge(subject, resource, tag) {
      const asked = actionsAsked(resource)
      const answer = await ask(socketPath, timeout, JSON.stringify(questionOf(subject, resource, asked, tag)))
      return judgementOf(asked, grantedIn(answer), socketPath)
    },
  }
}

function judgementOf(asked: readonly string[], granted: ReadonlySet<string>, rule: string): Judgement {
  const reasons = asked.map((action) => ({ action, granted: granted.has(action), rule }))
  return { granted: reasons.filter((each) => each.granted).map(({ action }) => action), reasons }
}

/** `["pull"]`, or `{"actions": ["pull"]}`. */
function grantedIn(text: string): ReadonlySet<string> {
  const value = parsed(text)
  const list = typeof value === 'object' && value !== null && 'actions' in value ? value.actions : value
  if (!Array.isArray(list) || !list.every((each) => typeof each === 'string')) {
    throw undecided('answered with neither a list of actions nor a map with "actions"')
  }
  return new Set(list)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw undecided('answered with what is no JSON')
  }
}

async function ask(socketPath: string, timeout: number, question: string): Promise<string> {
  const headers = { 'content-type': 'application/json' }
  const post = { socketPath, path: '/authorize', method: 'POST', headers, agent: false } as const
  const { status, body } = await boundedRequest(post, question, { timeout, most: LARGEST_ANSWER }).catch((error) => {
    throw undecided(`cannot be asked: ${error.message}`, error)
  })
  if (status !== 200) throw undecided(`answered with status ${status}`)
  return body.toString()
}

function undecided(what: string, cause?: unknown): GatewayError {
  return new GatewayError('GW_UNDECIDED', `the program of authorization_socket ${what}`, { cause })
}
