/** The method plugins of a configuration: started before it is used, ended when another one is in use. */
import { HttpPlugin } from '../auth/plugins/http-plugin.ts'
import { createPluginMethod } from '../auth/plugins/method.ts'
import { ModulePlugin } from '../auth/plugins/module-plugin.ts'
import type { Plugin } from '../auth/plugins/plugin.ts'
import type { Config, MethodPluginConfig } from '../config/index.ts'
import type { Log } from '../log/log.ts'
import type { AuthMethod, Users } from '../types.ts'
import type { AddressOf } from './authorization.ts'
import type { Materials } from './materials.ts'

export interface MethodPlugins {
  readonly methods: readonly AuthMethod[]
  /** Waits until each can be called; problems are reported to the materials. */
  ready(): Promise<void>
  /** Other plugins are in use now; requests that have begun may still call these. */
  retire(): void
  close(): void
}

interface PluginSurroundings {
  readonly users: Users
  readonly addressOf: AddressOf
  readonly log: Log
  readonly materials: Materials
}

/** Nothing is started before `ready` or the first call. */
export function createMethodPlugins(
  config: Config,
  { users, addressOf, log, materials }: PluginSurroundings,
): MethodPlugins {
  const made = config.method_plugins.map((settings) => ({ settings, plugin: createPlugin(settings, log, materials) }))
  return {
    methods: made.map(({ settings, plugin }) =>
      createPluginMethod({
        ...{ name: settings.name, realm: config.auth.realm, plugin, payload: settings.payload },
        ...{ users, addressOf, ephemeralUsers: settings.ephemeral_users },
      }),
    ),
    async ready() {
      const starting = made.map(({ settings, plugin }) =>
        plugin
          .ready()
          .catch((error: Error) => materials.problem(`${settings.at}.module`, `cannot be used: ${error.message}`)),
      )
      await Promise.all(starting)
    },
    retire() {
      // A call after the end would start the module again, with its file as it is by then. So the old one stays for a while, for requests that still
      // wait for a password check.
      for (const { settings, plugin } of made) setTimeout(() => plugin.close(), settings.timeout).unref()
    },
    close() {
      for (const { plugin } of made) plugin.close()
    },
  }
}

function createPlugin(config: MethodPluginConfig, log: Log, materials: Materials): Plugin {
  const { name, address, settings, timeout, max_pending: maxPending, url_trusted_certificate: trusted } = config
  switch (address.kind) {
    case 'module': {
      const warn = (message: string) => log.warn({ plugin: name }, `method plugin: ${message}`)
      return new ModulePlugin({ path: address.path, settings, timeout, maxPending, log: warn })
    }
    case 'unix':
    case 'url':
      return new HttpPlugin({ address, timeout, maxPending, ca: trusted && materials.trustStore(trusted, name)?.pems })
  }
}
