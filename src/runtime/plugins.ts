import type { DockerPluginsConfig } from '../config/index.ts'
import { findPlugin, parseAddress } from '../plugins/address.ts'
import { PluginMapper } from '../plugins/certificate-mapper.ts'
import { Plugin } from '../plugins/plugin.ts'
import type { CertificateMapper, Users } from '../types.ts'

/** The plugins of one configuration, each made once however often it is named. */
export class Plugins {
  readonly #config: DockerPluginsConfig
  readonly #users: Users
  readonly #plugins = new Map<string, Plugin>()
  readonly #mappers = new Map<string, PluginMapper>()

  constructor(config: DockerPluginsConfig, users: Users) {
    this.#config = config
    this.#users = users
  }

  named(name: string): Plugin {
    const { timeout, max_answer_size: maxAnswer, rest } = this.#config
    const plugin =
      this.#plugins.get(name) ?? new Plugin({ name, find: () => this.#find(name), timeout, maxAnswer, rest })
    this.#plugins.set(name, plugin)
    return plugin
  }

  mapper(name: string): CertificateMapper {
    const {
      options,
      cache_time: cacheTime,
      negative_cache_time: negativeCacheTime,
      cache_size: cacheSize,
    } = this.#config
    const plugin = this.named(name)
    const mapper =
      this.#mappers.get(name) ??
      new PluginMapper({ plugin, users: this.#users, options, cacheTime, negativeCacheTime, cacheSize })
    this.#mappers.set(name, mapper)
    return mapper
  }

  #find(name: string) {
    const { addresses, socket_directories: sockets, spec_directories: specs } = this.#config
    const address = addresses[name]
    return address === undefined
      ? findPlugin(name, { sockets, specs })
      : parseAddress(address, `docker_plugins.addresses.${name}`)
  }
}
