import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { loadConfig, type RegistryRealmConfig } from '../config/index.ts'
import { describeProblem } from '../errors.ts'
import { readCertificates } from '../tls-cert-utils/certificates.ts'
import { CertificateError } from '../tls-cert-utils/key-pair.ts'
import { CommandError, fileTrouble, reporting } from './command-error.ts'
import { withConfigOption } from './config-option.ts'
import { print } from './print.ts'

interface RegistryConfigOptions {
  readonly config?: string
  readonly realm?: string
  readonly service?: string
  readonly url?: string
  readonly format: Format
  readonly bundle: string
}

export function addRegistryConfig(program: Command): void {
  withConfigOption(program.command('registry-config'))
    .description('Print what a Docker registry needs to take the tokens of a realm, and write its rootcertbundle.')
    .option('--realm <name>', 'the realm, where there are several')
    .option('--service <name>', 'the registry, where the realm has several')
    .option('--url <url>', "where clients reach the gateway (default: the realm's url)")
    .addOption(
      new Option('--format <format>', 'what to print: a config.yml, environment variables, or a compose file')
        .choices(Object.keys(FORMATS))
        .default('config'),
    )
    .option('--bundle <file>', 'where to write the certificates that sign tokens', 'registry-bundle.pem')
    .addHelpText('after', DETAILS)
    .action(reporting('registry-config', registryConfig))
}

const DETAILS = `
The bundle holds the whole chains of certificate and previous_certificates. Where a chain ends with its CA, later certificates of that CA
need no new bundle. Nothing that is printed or written is secret.

Examples:
  sallyport registry-config -c sallyport.yaml > config.yml
  docker run $(sallyport registry-config -c sallyport.yaml --format env | tr -d '\\\\') -v $PWD/registry-bundle.pem:/opt/certs/bundle.pem registry:2`

interface Facts {
  /** Where clients fetch tokens. */
  readonly realm: string
  readonly service: string
  readonly issuer: string
  readonly bundle: string
}

type Format = keyof typeof FORMATS

/** Keycloak's three: docker-v2-registry-config-file, docker-v2-variable-override, docker-v2-compose-yaml. */
const FORMATS = {
  config: ({ realm, service, issuer, bundle }: Facts) => `version: 0.1
storage:
  filesystem:
    rootdirectory: registry-data
http:
  addr: 127.0.0.1:5000
auth:
  token:
    realm: ${yaml(realm)}
    service: ${yaml(service)}
    issuer: ${yaml(issuer)}
    rootcertbundle: ${yaml(resolve(bundle))}
`,
  env: ({ realm, service, issuer }: Facts) => `-e REGISTRY_AUTH_TOKEN_REALM=${realm} \\
-e REGISTRY_AUTH_TOKEN_SERVICE=${service} \\
-e REGISTRY_AUTH_TOKEN_ISSUER=${issuer} \\
-e REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE=${IN_CONTAINER}
`,
  compose: ({ realm, service, issuer, bundle }: Facts) => `services:
  registry:
    image: registry:2
    ports:
      - 127.0.0.1:5000:5000
    environment:
      REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: /data
      REGISTRY_AUTH_TOKEN_REALM: ${yaml(realm)}
      REGISTRY_AUTH_TOKEN_SERVICE: ${yaml(service)}
      REGISTRY_AUTH_TOKEN_ISSUER: ${yaml(issuer)}
      REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: ${IN_CONTAINER}
    volumes:
      - ./data:/data:z
      - ${yaml(`${resolve(bundle)}:${IN_CONTAINER}:ro,z`)}
`,
} as const

const IN_CONTAINER = '/opt/certs/bundle.pem'

/** As plain YAML where possible, else as JSON, which is YAML too. */
function yaml(text: string): string {
  return /^[\w/][\w./:@-]*$/.test(text) && !/:$|: |^\d+$/.test(text) ? text : JSON.stringify(text)
}

async function registryConfig(options: RegistryConfigOptions): Promise<void> {
  const realm = chosenRealm(options)
  const service = chosen(options.service, realm.services, 'service')
  const base = (options.url ?? realm.url)?.replace(/\/+$/, '')
  if (base === undefined)
    throw new CommandError(`the realm ${realm.name} has no url; set it, or give --url https://HOST`)
  const pems = [realm.certificate, ...realm.previous_certificates].map(({ cert }) => cert.read())
  try {
    writeFileSync(options.bundle, bundleOf(pems))
  } catch (error) {
    if (error instanceof CertificateError) throw new CommandError(error.message)
    throw new CommandError(`${options.bundle} ${fileTrouble(error)}`)
  }
  const address = `${base}/auth/realms/${realm.name}/protocol/docker-v2/auth`
  const facts = { realm: address, service, issuer: realm.issuer, bundle: options.bundle }
  print(FORMATS[options.format](facts))
}

function chosenRealm({ config: file, realm }: RegistryConfigOptions): RegistryRealmConfig {
  const loaded = loadConfig({ file, env: process.env })
  if (!loaded.config) {
    const lines = loaded.problems.map((problem) => `  ${describeProblem(problem)}`)
    throw new CommandError(`${loaded.file ?? 'the environment'} cannot be used:\n${lines.join('\n')}`)
  }
  const realms = loaded.config.registry_realms
  const name = chosen(
    realm,
    realms.map((each) => each.name),
    'realm',
  )
  return realms.find((each) => each.name === name) as RegistryRealmConfig
}

function chosen(asked: string | undefined, known: readonly string[], what: 'realm' | 'service'): string {
  const [only, ...more] = known
  if (asked !== undefined && known.includes(asked)) return asked
  if (only === undefined) throw new CommandError(`the configuration has no ${what}; declare registry_realms`)
  if (asked !== undefined) throw new CommandError(`there is no ${what} ${asked}; known: ${known.join(', ')}`)
  if (more.length > 0) throw new CommandError(`there are several; choose one with --${what}: ${known.join(', ')}`)
  return only
}

/** Each certificate once: the registry trusts chains to any of them. */
function bundleOf(pems: readonly string[]): string {
  return [...new Set(pems.flatMap((text) => readCertificates(text).map(({ pem }) => pem)))].join('')
}
