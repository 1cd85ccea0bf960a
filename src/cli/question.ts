/** The request that `inspect` is asked about. */
import { isIP, Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { HttpRequest } from '../http-messages.ts'
import { CommandError } from './command-error.ts'

export interface Question {
  readonly method: string
  /** Where the client connects to. Its path is normalised, so that it is not what the gateway gets. */
  readonly url: URL
  /** The path and the query as the client writes them. */
  readonly target: string
  /** Name and value of each header that the client sends besides Host. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** The user whose credentials are assumed to be valid, whatever the route asks for. */
  readonly user: string | undefined
  /** Where the client comes from. */
  readonly address: string | undefined
}

interface QuestionOptions {
  readonly header?: readonly string[]
  readonly user?: string
  readonly address?: string
}

/** @throws CommandError */
export function readQuestion(written: string, { header = [], user, address: from }: QuestionOptions): Question {
  const [, method = 'GET', address = ''] = /^(?:([A-Z]+) +)?(\S+)$/.exec(written.trim()) ?? []
  const url = URL.parse(address)
  if (url?.protocol !== 'https:')
    throw new CommandError(`--for takes a method and a URL with https, as 'GET https://api.example.com/orders'`)
  if (from !== undefined && isIP(from) === 0) throw new CommandError(`--address ${from} is no IP address`)
  return { method, url, target: targetOf(address), headers: header.map(readHeader), user, address: from }
}

/** What a client sends that changes nothing but what it must: the fragment stays with it, and of a path it sends ASCII alone. */
function targetOf(address: string): string {
  const [, rest = ''] = /^[a-z]+:[\\/]*[^\\/?#]*([^#]*)/i.exec(address) ?? []
  const target = rest.replace(/[^\0-\x7f]+/g, (text) => encodeURIComponent(text.toWellFormed()))
  return target.startsWith('/') ? target : `/${target}`
}

function readHeader(line: string): readonly [string, string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? []
  if (name === undefined || value === undefined) throw new CommandError("--header takes a line as 'Name: value'")
  if (name.toLowerCase() === 'host') throw new CommandError('--header cannot name Host: it is that of the URL')
  return [name, value.trimEnd()]
}

export function hostOf({ url }: Question): string {
  return url.hostname.toLowerCase().replace(/\.$/, '')
}

/** The request of a client that sends only what it must, and what was given. */
export function requestOf({ method, url, target, headers }: Question): HttpRequest {
  const { host } = url
  return {
    method,
    url: target,
    rawHeaders: ['Host', host, ...headers.flat()],
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
    // Not connected: parts of the gateway use it to remember whose request it carries.
    socket: new Socket(),
    complete: true,
    wholeBody: undefined,
    body: Readable.from([]),
  }
}
