/** Authentication methods by plugins: a module, or a program behind HTTP or a Unix socket. */
import type * as z from 'zod'
import type { Problem } from '../../errors.ts'
import { namedFile, type PemReader, pem } from '../pem.ts'
import { AUTH_METHODS, headerName, methodName } from './auth.ts'
import { block, field, type Kind, type Located, map, Unfit } from './field.ts'
import { integer, onOff, positiveDuration, text } from './scalars.ts'

export type PluginAddress =
  | { readonly kind: 'module'; readonly path: string }
  | { readonly kind: 'unix'; readonly socketPath: string }
  | { readonly kind: 'url'; readonly url: URL }

const pluginUrl: Kind<PluginAddress> = {
  expected: 'a URL such as http://127.0.0.1:9000/authenticate, or unix:/run/plugin.sock',
  json: { type: 'string', pattern: '^(https?://|unix:/)|\\$\\{.+\\}' },
  parse(value) {
    if (typeof value !== 'string') throw new Unfit('')
    const socket = /^unix:(?:\/\/)?(\/[^\0]{1,107})$/.exec(value)
    if (socket?.[1] !== undefined) return { kind: 'unix', socketPath: socket[1] }
    if (!URL.canParse(value) || !/^https?:\/\//.test(value)) throw new Unfit('')
    const url = new URL(value)
    if (url.username !== '' || url.password !== '') throw new Unfit('holds user information; expected a URL without it')
    return { kind: 'url', url }
  },
}

export const methodPlugin = block('A method by which callers say who they are, made by others (docs/plugins.md).', {
  name: field(methodName, { required: true, about: 'What rules call it.' }),
  module: field(text, {
    about:
      'A file of JavaScript that exports authenticate(context, payload, authContext). It runs in a thread of its own.',
  }),
  url: field(pluginUrl, {
    about:
      'In place of a module: where to POST the three arguments as JSON; a program on a Unix socket gets them at /authenticate.',
  }),
  url_trusted_certificate: field(pem, {
    otherwise: "Node's list of public authorities",
    about: "For an https url: the authorities that may have issued the program's certificate.",
  }),
  settings: map(text, { default: {}, about: 'What the class that the module exports is made with.' }),
  payload: map(headerName, {
    default: {},
    about:
      'At the gate: which members the payload has, each with the header that holds it. They do not go to the backend.',
  }),
  timeout: field(positiveDuration, {
    default: '2s',
    about: 'How long an answer may take; after that nobody can tell: 503.',
  }),
  max_pending: field(integer(1, 10_000), { default: 100, about: 'How many answers may be waited for at once.' }),
  ephemeral_users: field(onOff, {
    default: 'off',
    about: 'Whether it may bring users whom the configuration does not know, with user_name and groups.',
  }),
})

export type WrittenMethodPlugin = z.output<typeof methodPlugin> & Located

export interface MethodPluginConfig extends Omit<WrittenMethodPlugin, 'module' | 'url'> {
  readonly address: PluginAddress
}

export function checkMethodPlugin(plugin: WrittenMethodPlugin): Problem[] {
  const { at, name, module, url, url_trusted_certificate, settings } = plugin
  const problems: Problem[] = []
  if ((AUTH_METHODS as readonly string[]).includes(name)) {
    problems.push({ path: `${at}.name`, message: 'is a method of Sallyport itself; choose another name' })
  }
  if ((module === undefined) === (url === undefined)) {
    problems.push({ path: at, message: 'must set one of module and url' })
  }
  if (url_trusted_certificate && !(url?.kind === 'url' && url.url.protocol === 'https:')) {
    problems.push({
      path: `${at}.url_trusted_certificate`,
      message: 'has no meaning without a url that begins with https',
    })
  }
  if (url !== undefined && Object.keys(settings).length > 0) {
    problems.push({ path: `${at}.settings`, message: 'only reach a module; configure the program itself' })
  }
  return problems
}

/** @throws Unfit where the module's file is not there */
export function addressOf({ module, url }: WrittenMethodPlugin, pems: PemReader): PluginAddress {
  if (module === undefined) return url as PluginAddress
  return { kind: 'module', path: namedFile(module, pems, 'plain') }
}
