/** The services that the gateway answers itself. */
import type { ServiceConfig } from '../config/index.ts'
import type { Log } from '../log/log.ts'
import type { Realm } from '../registry/realm.ts'
import { TokenService } from '../registry/token-service.ts'
import type { Service } from '../types.ts'
import { createIdentityApi, type IdentityApiSurroundings } from './identity-api.ts'

export interface BuiltinSurroundings {
  readonly realms: readonly Realm[]
  readonly log: Log
  /** Undefined where its keys cannot be used; `Materials` has the problems then. */
  readonly identity: Omit<IdentityApiSurroundings, 'log'> | undefined
}

export function createBuiltin(
  name: string,
  builtin: NonNullable<ServiceConfig['builtin']>,
  { realms, log, identity }: BuiltinSurroundings,
): Service | undefined {
  switch (builtin) {
    case 'registry-tokens':
      return new TokenService({ name, realms, record: log.info })
    case 'identity':
      return identity && createIdentityApi(name, { ...identity, log })
  }
}
