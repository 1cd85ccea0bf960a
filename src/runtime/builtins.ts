/** The services that the gateway answers itself. */
import type { ServiceConfig } from '../config/index.ts'
import type { Log } from '../log.ts'
import type { Realm } from '../registry/realm.ts'
import { TokenService } from '../registry/token-service.ts'
import type { Service } from '../types.ts'

export interface BuiltinSurroundings {
  readonly realms: readonly Realm[]
  readonly log: Log
}

export function createBuiltin(
  name: string,
  builtin: NonNullable<ServiceConfig['builtin']>,
  { realms, log }: BuiltinSurroundings,
): Service {
  switch (builtin) {
    case 'registry-tokens':
      return new TokenService({ name, realms, record: log.info })
  }
}
