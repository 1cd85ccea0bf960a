/** Realms for registries, from their configuration. */
import { createPublicKey, hkdfSync } from 'node:crypto'
import { isEnough } from '../auth/multi-factor.ts'
import type {
  CertificateConfig,
  RegistryRealmConfig,
  RegistryRobotConfig,
  WrittenRegistryRule,
} from '../config/index.ts'
import { type Directory, digestOf } from '../identity-api/directory.ts'
import { type CertificateField, createCertificateDemand } from '../registry/certificate-demand.ts'
import { AclError, createAclRights } from '../registry/docker-auth-acl.ts'
import { createExternalRights } from '../registry/external-rights.ts'
import type { Realm } from '../registry/realm.ts'
import { createRefreshTokens } from '../registry/refresh-tokens.ts'
import { createRights, type Rights, type RightsRule } from '../registry/rights.ts'
import { createRobots, digestOfSecret, proofOfRobot, type Robot } from '../registry/robots.ts'
import { algorithmOf, createTokenSigner } from '../registry/token-signer.ts'
import { createAddressSet } from '../routing/addresses.ts'
import type { KeyPair } from '../tls-cert-utils/key-pair.ts'
import type { AuthMethod, Store, User, Users } from '../types.ts'
import type { AddressOf } from './authorization.ts'
import type { Materials } from './materials.ts'

export interface RealmSurroundings {
  readonly materials: Materials
  readonly store: Store
  readonly users: Users
  /** Checks names and passwords; undefined where no user has any. */
  readonly password: AuthMethod | undefined
  /** Knows which methods a user must pass. */
  readonly directory: Directory
  readonly addressOf: AddressOf
}

/** Milliseconds: what clients take for the life of a token that says less, as distribution's protocol has it. */
const SHORTEST_LIFETIME = 60_000
const TOO_SHORT =
  'is less than a minute, for which clients use each token, whatever it says: a push or pull that takes longer ends with 401; write 60s or more'

/** A realm whose keys cannot be used is left out; `materials` has the problem then. */
export function buildRealms(realms: readonly RegistryRealmConfig[], surroundings: RealmSurroundings): Realm[] {
  return realms.flatMap((realm) => {
    const pairs = signingPairs(realm, surroundings.materials)
    return pairs ? [buildRealm(realm, pairs, surroundings)] : []
  })
}

function buildRealm(
  realm: RegistryRealmConfig,
  pairs: readonly KeyPair[],
  { materials, store, users, password, directory, addressOf }: RealmSurroundings,
): Realm {
  const { name, issuer } = realm
  if (realm.token_lifetime < SHORTEST_LIFETIME) materials.warn(`${realm.at}.token_lifetime`, TOO_SHORT)
  const robots = createRobots(realm.robots.map(robotOf))
  const secretsOf = (user: User) => {
    const robot = robots.find(user.name, Date.now())
    return robot ? [digestOf(proofOfRobot(robot))] : directory.proofDigestsOf(user)
  }
  return {
    name,
    services: new Set(realm.services),
    signer: createTokenSigner({ issuer, pairs, keyIdForm: realm.key_id }),
    rights: rightsOf(realm, materials),
    addressOf,
    ...{ robots, secretsOf },
    secretsShown: ({ user, proofs = [] }) => {
      const shown = proofs.map(({ of }) => digestOf(of))
      return user ? secretsOf(user).filter((secret) => shown.includes(secret)) : []
    },
    users,
    password,
    isEnough: ({ user, methods }) =>
      !user || methods.includes('robot') || isEnough(directory.multiFactorRulesOf(user), methods),
    refreshTokens: createRefreshTokens({
      store,
      realm: name,
      lifetime: realm.refresh_token_lifetime,
      mostOfUser: realm.max_refresh_tokens,
      notBefore: realm.not_before ?? 0,
    }),
    tokenLifetime: realm.token_lifetime,
    maxScopes: realm.max_scopes,
    pageKey: Buffer.from(hkdfSync('sha256', pairs[0]?.keyPem ?? '', '', 'sallyport registry pages', 32)),
    certificateReplacesPassword: realm.certificate_replaces_password,
  }
}

function signingPairs(realm: RegistryRealmConfig, materials: Materials): KeyPair[] | undefined {
  const settings = [realm.certificate, ...realm.previous_certificates]
  const pairs = settings.flatMap((certificate) => signingPair(certificate, materials) ?? [])
  return pairs.length === settings.length ? pairs : undefined
}

function signingPair(
  { at, name, cert, key, passphrase }: CertificateConfig,
  materials: Materials,
): KeyPair | undefined {
  const passphrases = passphrase ? [passphrase] : []
  const passphraseSetting = `${at}.passphrase`
  const pair = materials.keyPair({ role: 'signing', name, cert, key, passphrases, passphraseSetting })
  if (pair && !algorithmOf(createPublicKey(pair.leaf.pem))) {
    materials.problem(
      key.setting,
      'cannot sign registry tokens: it must be an RSA key, or an EC key on the curve P-256',
    )
    return undefined
  }
  return pair
}

/** Rights come from one source: rules, docker_auth's acl, or a program. */
export function rightsOf(realm: RegistryRealmConfig, materials: Materials): Rights {
  const { acl, authorization_socket: socket, authorization_timeout: timeout } = realm
  if (socket !== undefined) return createExternalRights({ socketPath: socket.replace(/^unix:/, ''), timeout })
  if (acl) {
    try {
      return createAclRights(acl, (network) => createAddressSet([network]))
    } catch (error) {
      if (!(error instanceof AclError)) throw error
      materials.problem(`${realm.at}.acl_file`, error.message)
    }
  }
  return createRights(realm.rules.map(ruleOf))
}

function ruleOf(rule: WrittenRegistryRule): RightsRule {
  const { at, name = at, effect, anonymous, repositories, catalog, actions } = rule
  const demands = Object.entries(rule.certificate ?? {})
  return {
    ...{ name, effect, anonymous, repositories, catalog, actions },
    users: rule.users ?? [],
    groups: rule.groups ?? [],
    tags: rule.tags ?? [],
    certificate: demands.map(([field, values]) => createCertificateDemand(field as CertificateField, values)),
    addresses: rule.addresses && createAddressSet(rule.addresses),
  }
}

export function robotOf({ name, secret, secret_sha256: digest, groups, expires }: RegistryRobotConfig): Robot {
  return {
    user: Object.freeze({ id: name, name, groups: Object.freeze([...groups]), customId: undefined }),
    secretDigest: digest === undefined ? digestOfSecret(secret?.reveal() ?? '') : Buffer.from(digest, 'hex'),
    expiresAt: expires ?? Number.POSITIVE_INFINITY,
  }
}
