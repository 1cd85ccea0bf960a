/** What is generated from the schema: the JSON Schema for editors, the default file, the reference, and the guide for those who come from elsewhere. */
import * as z from 'zod'
import { UPSTREAM_URL } from '../environment/variables.ts'
import { schema } from '../schema/config.ts'
import { IDENTITY_FIELDS } from '../schema/identity-fields.ts'
import { IDENTITY_PRESETS } from '../schema/identity-headers.ts'
import { allSettings, type Block, blockOf, type Setting } from '../schema/settings.ts'
import { REFERENCE_INTRODUCTION } from './introduction.ts'
import { migrationMarkdown } from './migration-guide.ts'

/** The JSON Schema (draft 7, which editors know best) of what may be written in a file. */
export function jsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', target: 'draft-7' })
  return { $schema, title: 'Sallyport', ...rest }
}

const WIDTH = 110
const ROOT = blockOf(schema)
/** Their items have required settings, so an example of them cannot be a default. */
const ENTITIES = new Set([
  'services',
  'routes',
  'upstreams',
  'targets',
  'certificates',
  'snis',
  'ca_certificates',
  'consumers',
  'consumer_groups',
  'consumer_group_consumers',
  'acls',
  'mtls_auth_credentials',
  'basicauth_credentials',
  'keyauth_credentials',
  'totp_credentials',
  'application_credentials',
  'method_plugins',
  'registry_realms',
])
/** Shared by all of Kong's entities; said once. */
const SHARED = new Set(['id', 'tags', 'created_at', 'updated_at', '_comment', '_ignore'])

/** conf/sallyport.yaml: every setting at its default, with its meaning. It loads as it stands. */
function defaultYaml(): string {
  const lines = [
    '# yaml-language-server: $schema=./sallyport.schema.json',
    '# Every setting of Sallyport at its default. Generated from src/config by "npm run docs"; docs/configuration.md explains the',
    '# types. What has no default, or names things of yours, is commented out: remove the "# " in front of it.',
  ]
  for (const setting of ROOT.settings.filter(({ key }) => !SHARED.has(key))) lines.push('', ...settingLines(setting))
  for (const block of ROOT.blocks) {
    const inside = blockLines(block)
    lines.push(
      '',
      ...wrapped(block.about).map((line) => `# ${line}`),
      ...(ENTITIES.has(block.key) ? inside.map(commented) : inside),
    )
  }
  return `${lines.join('\n')}\n`
}

function commented(line: string): string {
  return line === '' ? '#' : `# ${line}`
}

function indented(line: string): string {
  return line === '' ? '' : `  ${line}`
}

function blockLines(block: Block): string[] {
  const inside: string[] = []
  for (const setting of block.settings.filter(({ key }) => !SHARED.has(key))) inside.push(...settingLines(setting))
  for (const inner of block.blocks) {
    const lines = blockLines(inner)
    const isExample = inner.isOptional || (inner.isList && inner.settings.some(({ required }) => required))
    inside.push(...wrapped(inner.about).map((line) => `# ${line}`), ...(isExample ? lines.map(commented) : lines))
  }
  const lines = inside.map(indented)
  // A key over comments alone would have the value null.
  if (!block.isList && lines.every((line) => /^ *(#|$)/.test(line))) return [`# ${block.key}:`, ...lines]
  return [
    `${block.key}:`,
    ...(block.isList ? inside.map((line, index) => (index === 0 ? `  - ${line}` : `    ${line}`.trimEnd())) : lines),
  ]
}

function settingLines({ key, field, fallback, shape }: Setting): string[] {
  const about = wrapped(field.about + (field.otherwise === undefined ? '' : ` Default: ${field.otherwise}.`))
  const variables = field.env.length > 0 ? [`# Environment: ${field.env.join(', ')}`] : []
  const line =
    fallback === undefined
      ? `# ${key}: ${shape === 'list' ? '[]' : shape === 'map' ? '{}' : ''}`.trimEnd()
      : `${key}: ${written(fallback)}`
  return [...about.map((each) => `# ${each}`), ...variables, line]
}

function wrapped(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length >= WIDTH) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}

/** A default as YAML. */
function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    if (Object.keys(value).length === 0) return '{}'
    return `{ ${Object.entries(value)
      .map(([key, each]) => `${key}: ${written(each)}`)
      .join(', ')} }`
  }
  const text = String(value)
  const isPlain =
    typeof value !== 'string' || (/^[A-Za-z0-9_./:-]*[A-Za-z0-9_./-]$/.test(text) && !/^[\d.]+$/.test(text))
  return isPlain ? text : `"${text}"`
}

/** docs/configuration.md. */
function referenceMarkdown(): string {
  const lines = [
    REFERENCE_INTRODUCTION.trimEnd(),
    '',
    '## Top level',
    '',
    ...table(ROOT.settings.filter(({ key }) => key !== '_ignore')),
  ]
  lines.push('', '## What identity headers can hold', '', ...wordTable('word', IDENTITY_FIELDS))
  lines.push('', '## Identity presets', '', ...wordTable('preset', IDENTITY_PRESETS))
  for (const block of ROOT.blocks) lines.push(...section(block))
  const shared =
    blockOf(schema)
      .blocks.find(({ key }) => key === 'services')
      ?.settings.filter(({ key }) => SHARED.has(key)) ?? []
  lines.push('', "## In each of Kong's entities", '', ...table(shared))
  lines.push('', '## Environment variables', '', ...variableTable())
  return `${lines.join('\n')}\n`
}

function section(block: Block): string[] {
  const title = block.isList ? `${block.path}[]` : block.path
  const isEntity = ENTITIES.has(block.path.replace(/\[\].*/, ''))
  const settings = block.settings.filter(({ key }) => !(isEntity && SHARED.has(key)))
  return ['', `## ${title}`, '', block.about, '', ...table(settings), ...block.blocks.flatMap(section)]
}

function table(settings: readonly Setting[]): string[] {
  const rows = settings.map(({ key, field, fallback, required, shape }) => {
    const kind = shape === 'value' ? field.kind.expected : `${shape}: ${field.kind.expected}`
    const standard = required
      ? '**required**'
      : fallback === undefined
        ? (field.otherwise ?? '')
        : `\`${written(fallback)}\``
    return `| \`${key}\` | ${cell(field.about)} | ${cell(standard)} | ${cell(kind)} |`
  })
  return ['| setting | meaning | default | expected |', '| --- | --- | --- | --- |', ...rows]
}

function wordTable(title: string, words: Readonly<Record<string, string>>): string[] {
  const rows = Object.entries(words).map(([name, holds]) => `| \`${name}\` | ${cell(holds)} |`)
  return [`| ${title} | holds |`, '| --- | --- |', ...rows]
}

function variableTable(): string[] {
  const rows = [...allSettings(ROOT)].flatMap(({ path, field }) =>
    field.env.map((name) => `| \`${name}\` | \`${path}\`${field.secret ? ' (secret)' : ''} |`),
  )
  const url = `| \`${UPSTREAM_URL}\` | a service \`upstream\` with that \`url\` and a route for every path |`
  return ['| variable | sets |', '| --- | --- |', url, '| `SALLYPORT_CONFIG` | the configuration file |', ...rows]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

/** Short lists on one line, as the formatter wants them. */
function compact(json: string): string {
  return json.replace(/^(.*)\[\n\s*([^[\]]*?)\n\s*\](,?)$/gm, (whole, before: string, items: string, after: string) => {
    const line = `${before}[${items.replace(/\n\s*/g, ' ')}]${after}`
    return line.length > 120 || /\{./.test(items.replaceAll('{}', '')) ? whole : line
  })
}

/** What `npm run docs` writes, by path in the repository. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  'conf/sallyport.yaml': defaultYaml,
  'conf/sallyport.schema.json': () => `${compact(JSON.stringify(jsonSchema(), null, 2))}\n`,
  'docs/configuration.md': referenceMarkdown,
  'docs/migration.md': migrationMarkdown,
}
