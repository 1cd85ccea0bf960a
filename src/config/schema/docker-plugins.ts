/** Plugins as Docker's hosts know them: who maps certificates to users (`certmap`), and who has a say in what may pass. */
import type * as z from 'zod'
import { block, field, type Kind, list, map, Unfit } from './field.ts'
import { duration, integer, matching, positiveDuration, size, text } from './scalars.ts'

const pluginAddress: Kind<string> = {
  expected: 'unix:///run/plugin.sock, http://host:port or https://host:port',
  json: { type: 'string', pattern: '^(unix|tcp|https?)://|\\$\\{.+\\}' },
  parse(value) {
    if (typeof value === 'string' && /^(unix:\/\/\/|(tcp|https?):\/\/[^/])/.test(value)) return value
    throw new Unfit('')
  },
}

const folder = matching(/^\//, 'an absolute path')

export const dockerPlugins = block(
  "Plugins that speak Docker's plugin protocol. They are found by their names, as in Docker, when they are first needed.",
  {
    socket_directories: list(folder, {
      default: ['/run/docker/plugins'],
      about: 'Where NAME.sock or NAME/NAME.sock is looked for, first.',
    }),
    spec_directories: list(folder, {
      default: ['/etc/docker/plugins', '/usr/lib/docker/plugins'],
      about: 'Where NAME.spec (an address) or NAME.json (an address and TLS files) is looked for, in this order.',
    }),
    addresses: map(pluginAddress, {
      default: {},
      about: 'Addresses by name, for plugins that stand in no directory. They go first.',
    }),
    options: map(text, {
      default: {},
      about: "What each mapping plugin gets as Options, as Docker's --authn-opt.",
    }),
    timeout: field(positiveDuration, { default: '2s', about: 'How long a plugin may take for one answer.' }),
    max_answer_size: field(size(64, 16 * 1024 * 1024), { default: '64k', about: 'The largest answer that is read.' }),
    rest: field(duration, {
      default: '5s',
      about:
        'A plugin that could not be asked three times in a row is left alone for so long; until then its requests get 503 at once.',
    }),
    cache_time: field(duration, {
      default: '5m',
      about:
        'For so long a user that a plugin named is believed, at most until the certificate ends. A reload forgets all.',
    }),
    negative_cache_time: field(duration, {
      default: '10s',
      about: 'For so long a certificate that a plugin does not know is not asked about again.',
    }),
    cache_size: field(integer(1, 10_000_000), {
      default: 10_000,
      about: 'How many certificates the answer of each plugin is remembered for.',
    }),
  },
)

export type DockerPluginsConfig = z.output<typeof dockerPlugins>
