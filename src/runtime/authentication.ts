/** Builds everything that finds out who is calling, for one configuration. */

import { givenKeys, type JwtIssuerOptions, JwtIssuers } from '../auth/jwt-issuers.ts'
import { createCertificateMethod } from '../auth/methods/certificate.ts'
import { createTokenMethod } from '../auth/methods/token.ts'
import type { Receipts } from '../auth/receipts.ts'
import type { IssuerKeys, RemoteKeysOptions } from '../auth/remote-keys.ts'
import type { Config } from '../config/index.ts'
import { ConfigError } from '../errors.ts'
import { userReference } from '../identity-api/bodies.ts'
import type { Directory } from '../identity-api/directory.ts'
import { tokenAttributes } from '../identity-api/token-attributes.ts'
import { createPeerSet } from '../routing/addresses.ts'
import type { Claims } from '../tokens/tokens.ts'
import type { Store, User, Users } from '../types.ts'
import { type Accesses, type AccessOptions, buildReceipts, createAccesses } from './access.ts'
import type { AddressOf } from './authorization.ts'
import { ownedNamesOf } from './identity.ts'
import type { Lasting } from './lasting.ts'
import type { Materials } from './materials.ts'
import { createMethodPlugins } from './method-plugins.ts'
import { buildMethods, type Methods } from './methods.ts'
import type { Plugins } from './plugins.ts'
import type { createTokens } from './tokens.ts'

export interface AuthenticationOptions {
  readonly config: Config
  readonly users: Users
  readonly materials: Materials
  readonly dockerPlugins: Plugins
  readonly store: Store
  readonly tokens: ReturnType<typeof createTokens>
  readonly directory: Directory
  /** What routes allow and deny. */
  readonly authorizations: AccessOptions['authorizations']
  readonly addressOf: AddressOf
  readonly lasting: Pick<Lasting, 'log' | 'ticketSecret' | 'mappedUsers' | 'remoteKeys'>
}

export interface Authentication {
  readonly methods: Methods
  readonly receipts: Receipts
  readonly accesses: Accesses
  /** Starts the plugins. @throws ConfigError where one cannot be used */
  ready(): Promise<void>
  /** Replaces `last`, which is retired, and returns the one in use. */
  use(last: Authentication | undefined): Authentication
  /** Ends the plugins once the requests that have begun no longer need them. */
  retire(): void
  /** Ends the plugins of a configuration that was never used. */
  close(): void
}

export function buildAuthentication(options: AuthenticationOptions): Authentication {
  const { config, users, materials, store, tokens, directory, authorizations, addressOf, dockerPlugins, lasting } =
    options
  const { realm } = config.auth
  const plugins = createMethodPlugins(config, { users, addressOf, log: lasting.log, materials })
  const { mappedUsers, remoteKeys } = lasting
  const usedKeys = new Set<string>()
  const certificate = createCertificateMethod({ mappedUsers })
  const describe = (claims: Claims, user: User) => tokenAttributes(claims, user, directory)
  const issuers = new JwtIssuers(
    config.auth.jwt_issuers.map((issuer) =>
      issuerOptions(issuer, materials, (remote) => remoteKeys.get(remote, usedKeys)),
    ),
    users,
  )
  const token = tokens
    ? [createTokenMethod({ tokens: tokens.tokens, issuers, users, realm, certificate, describe })]
    : []
  const others = [certificate, ...token, ...plugins.methods]
  const methods = buildMethods({ config, users, materials, store, secret: lasting.ticketSecret, others })
  const receipts = buildReceipts(config.auth, users, lasting.ticketSecret)
  const { byName, besideCertificate } = methods
  const authentication: Authentication = {
    methods,
    receipts,
    accesses: createAccesses({
      users,
      mappedUsers,
      methods: byName,
      certificate,
      besideCertificate,
      receipts,
      authorizations,
      plugins: dockerPlugins,
      multiFactorRules: multiFactorRulesOf(config, directory, byName),
      describe: (user) => userReference(user, directory),
      ownedNames: ownedNamesOf(config),
      trusted: createPeerSet(config.trusted_ips),
    }),
    async ready() {
      await plugins.ready()
      if (materials.problems.length === 0) return
      plugins.close()
      throw new ConfigError(materials.problems)
    },
    use(last) {
      last?.retire()
      remoteKeys.forgetAllBut(usedKeys)
      return authentication
    },
    retire: () => plugins.retire(),
    close: () => plugins.close(),
  }
  return authentication
}

function multiFactorRulesOf(
  { consumers }: Config,
  directory: Directory,
  methods: Methods['byName'],
): AccessOptions['multiFactorRules'] {
  const names = new Set(consumers.flatMap(({ multi_factor_auth_rules: rules }) => rules.flat()))
  return {
    of: (user) => directory.multiFactorRulesOf(user),
    methods: [...names].flatMap((name) => methods.get(name) ?? []),
  }
}

function issuerOptions(
  config: Config['auth']['jwt_issuers'][number],
  materials: Materials,
  keysAt: (remote: RemoteKeysOptions) => IssuerKeys,
): JwtIssuerOptions {
  const {
    issuer,
    audience: audiences,
    algorithms,
    jwks_trusted_certificate: trusted,
    user_claim: userClaim,
    groups_claim: groupsClaim,
  } = config
  const { ephemeral_users: ephemeralUsers, clock_tolerance: clockTolerance } = config
  const ca = trusted && materials.trustStore(trusted, issuer)?.pems
  const keys = 'uri' in config.keys ? keysAt({ ...config.keys, ca }) : givenKeys(config.keys.set)
  return { issuer, audiences, algorithms, keys, userClaim, groupsClaim, ephemeralUsers, clockTolerance }
}
